//! From sources that changed to code that runs: plan, scope, compile, bind, link, load, publish.
//!
//! Nothing of the process is touched before every check is done; loading maps a library that nobody
//! calls, and only the publishing of slots at the very end changes what runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hotpatch_rt::wire::Target;

use super::broken::BackgroundCheck;
use super::changed::{
    behind, changed_in, gone, include_added, kept_values, left_behind, notes, old_constants,
    old_values, revalued, unreached, with_new_initialisers,
};
use super::compose::{Built, Ready, Told};
use super::process::Process;
use super::ruling::{Judged, mistaken, recurs, static_traits, tells_old_code, with_trespassers};
use super::turned::overtaken;
use super::world::{State, World, stores};
use crate::build::capture::Lane;
use crate::build::diagnostics::Diagnostic;
use crate::command::CancelToken;
use crate::image::graph::NodeKind;
use crate::patch::compile::Rejected;
use crate::plan::alive::touching;
use crate::plan::codes::Code;
use crate::plan::index::{Index, Vertex};
use crate::plan::overrides::any_overrides;
use crate::plan::reach::{Changed, Plan};
use crate::plan::verdict::{Note, Refusal};
use crate::plan::{classify, reach};
use crate::source::diff::Changes;
use crate::source::file::{Place, Shape};
use crate::source::items::CrateSource;
use crate::source::rebound::Rebound;
use crate::source::{diff, names, privacy};

/// How long each step took; what is none of them is the plan's.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "the steps of the pipeline")]
pub struct Times {
    pub scope: Duration,
    pub compile: Duration,
    pub check: Duration,
    pub link: Duration,
    pub load: Duration,
}

/// What an edit led to.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing that runs is different.
    Unchanged,
    /// New code runs.
    Patched(Patched),
    /// It cannot be patched, and nothing was touched.
    Refused(Refusal),
    /// It does not compile.
    Broken(Vec<Diagnostic>),
}

/// A patch that went live.
#[derive(Debug, Default)]
pub struct Patched {
    /// Its generation.
    pub generation: u32,
    /// Hot functions that run new code.
    pub functions: Vec<String>,
    /// Other functions in the patch.
    pub included: Vec<String>,
    /// What is worth knowing.
    pub notes: Vec<Note>,
    /// Size of the libraries.
    pub bytes: u64,
    /// How long it took.
    pub times: Times,
    /// When the last slot was published.
    pub live: Option<Instant>,
    /// Which lane made it.
    pub lane: Option<Lane>,
    /// Why the fast lane, which comes before the exact one, stepped aside.
    pub aside: Option<String>,
    /// What the fast lane needs is being made.
    pub preparing: bool,
}

/// What `tracing` keeps for each place that logs: a fresh one registers itself.
pub(super) const CALL_SITE: &str = "__CALLSITE";

/// What it takes to bring an edit into the process.
pub struct Maker<'a> {
    /// What is known of the program.
    pub world: &'a mut World,
    /// The process, or what stands for it.
    pub client: &'a mut dyn Process,
    /// A folder for patches.
    pub folder: &'a Path,
    /// Ends the work early.
    pub cancel: &'a CancelToken,
    /// The sources compile: whatever rustc refuses, it refuses because of the patch.
    pub compiles: bool,
    /// Where in the user's files rustc found fault with the last patch it refused.
    pub blamed: Vec<(PathBuf, usize)>,
}

impl Maker<'_> {
    /// Brings these sources into the process, or says why not.
    ///
    /// # Errors
    /// A tool or the file system failed, the work was cancelled, or the agent is gone.
    pub fn apply(&mut self, sources: Vec<CrateSource>) -> Result<Outcome> {
        self.try_again(sources, Times::default())
    }

    /// The same after attempts that took `times`.
    fn try_again(&mut self, sources: Vec<CrateSource>, mut times: Times) -> Result<Outcome> {
        let old = self.world.state().sources.clone();
        let mut changes: Vec<Changes> = old
            .iter()
            .zip(&sources)
            .map(|(old, new)| {
                if diff::same_text(old, new) {
                    Changes::default()
                } else {
                    diff::compare(old, new)
                }
            })
            .collect();
        names::follow(&old, &sources, &self.world.extern_names, &mut changes);
        let narrowed = privacy::narrowed(&old, &sources, &changes);
        if narrowed && changes.iter().all(Changes::is_empty) {
            let broken = self.check_crates(|_| true)?;
            if !broken.is_empty() {
                return Ok(Outcome::Broken(broken));
            }
        }
        if changes.iter().all(Changes::is_empty) {
            self.replace_sources(sources);
            return Ok(Outcome::Unchanged);
        }
        let earlier = self.earlier(&sources);
        if let Some(state) = earlier.filter(|state| !self.empties_a_future(state)) {
            let notes = self.keepers(&sources, &changes, &state)?;
            return self.revert(state, sources, notes, times);
        }
        self.world.ensure_graph()?;
        let gone = gone(&mut *self.world, &old, &changes);
        let index = self.world.index(&sources, &changes);
        let graph = self.world.state().graph.clone();
        let alive = self.alive(&old, &sources, &changes, &graph);
        let judged = Judged {
            alive,
            static_traits: static_traits(&old, &sources, &changes, &graph),
            overrides: self.overrides(&old, &sources, &changes),
        };
        if let Some(refusal) = self.refusal(&old, &sources, &changes, &index, &judged) {
            return Ok(Outcome::Refused(refusal));
        }
        let Judged {
            alive, overrides, ..
        } = judged;
        if let Some(refusal) = self.unguarded(&sources, &changes)? {
            return Ok(Outcome::Refused(refusal));
        }
        let mut changed = changed_in(&sources, &changes, &index, &self.world.state().behind);
        changed.override_with(&overrides, &index, &graph);
        let retyped: BTreeSet<String> = alive.into_keys().collect();
        if !retyped.is_empty() {
            let nodes = [&old, &sources].map(|sources| touching(&retyped, sources, &graph));
            let touched = nodes
                .iter()
                .flatten()
                .filter_map(|node| index.vertex(*node));
            changed.suspected.extend(touched);
        }
        let mut plan = reach::plan(&graph, &index, &changed);
        include_added(&changes, &index, &mut plan);
        let anew = !retyped.is_empty() || plan.everywhere;
        plan.retyped = self.world.state().retyped + u32::from(anew);
        plan.free = retyped;
        plan.revalued = revalued(&changes);
        if self.world.states.len() > 1 {
            let base = self.world.built.clone();
            let since: Vec<Changes> = base
                .iter()
                .zip(&sources)
                .map(|(old, new)| diff::compare(old, new))
                .collect();
            let mut changed_since = changed_in(&sources, &since, &index, &BTreeSet::new());
            let overrides = any_overrides(&base, &sources, &since);
            changed_since.override_with(&overrides, &index, &graph);
            plan.outdated = reach::leading_to(&graph, &index, &changed_since);
        }
        if let Some(vertex) = plan.hidden.first() {
            let refusal = refuse(&sources, &index, *vertex, Code::HP0001, |path| {
                format!(
                    "`{path}` may be part of any caller's code, and not all of it can be patched"
                )
            });
            let why = "optimised code calls operators, `drop`, `fmt` and the like in place: \
                       such edits are patched in a build that is not optimised";
            return refusal
                .map(|refusal| Outcome::Refused(refusal.because(why)))
                .context("no place");
        }
        if let Some(refusal) = self.lost(&sources, &index, &changed) {
            return Ok(Outcome::Refused(refusal));
        }
        // What is back to what the base was built from runs already.
        plan.unreached
            .retain(|vertex| !self.is_as_built(&sources, &index, *vertex));
        let rebound = Rebound::of(&old, &sources, &self.world.extern_names, &changes);
        let overtaken = overtaken(&sources, &changes, &index, &graph, &changed, &rebound);
        plan.unreached.extend(overtaken.keys());
        if let Some(vertex) = self.untold(&sources, &index, &plan) {
            let why = overtaken.get(&vertex).map(String::as_str);
            return self.not_reached(&sources, vertex, &index, &plan, &changes, why);
        }
        if plan.include.is_empty() {
            return self.nothing_reached(sources, &changes, &changed, &index, times);
        }
        let callers_may_break = changes.iter().any(Changes::may_break_others)
            && changed
                .suspected
                .iter()
                .any(|vertex| !plan.include.contains(vertex));
        // What a patch would take and the crate does not.
        let mut uncompiled = with_new_initialisers(&old, &sources, &changes);
        uncompiled.extend(with_trespassers(&old, &sources, &changes));
        let is_unsaid =
            tells_old_code(&sources, &index, &plan) || recurs(&old, &sources, &index, &changes);
        let mut check = BackgroundCheck::default();
        if callers_may_break || narrowed || is_unsaid || !uncompiled.is_empty() {
            // Each crate is checked against the others as they are now.
            check = self.start_check();
        }
        let built = match mistaken(&sources, &self.world.extern_names, &index, &plan.include) {
            Some(refusal) => Ok(Built::Refused(refusal)),
            None => self.build(&sources, &index, &graph, &plan, &mut check, &mut times),
        };
        let broken = self.finish_check(&mut check, &mut times)?;
        if !broken.is_empty() {
            return Ok(Outcome::Broken(broken));
        }
        match built {
            Ok(Built::Broken(found)) => Ok(Outcome::Broken(found)),
            Ok(Built::Ready(ready)) => {
                let included: BTreeSet<Vertex> = ready
                    .loaded
                    .iter()
                    .flat_map(|l| l.part.vertices.iter().copied())
                    .collect();
                if self.leaves_out(&changes, &index, &included) {
                    let started = Instant::now();
                    let broken = self.check_crates(|krate| !changes[krate].is_empty())?;
                    times.check += started.elapsed();
                    if !broken.is_empty() {
                        return Ok(Outcome::Broken(broken));
                    }
                }
                let turned = self.turned(&index, &graph, &changed, &ready)?;
                changed.edited.extend(turned);
                plan.settle(&graph, &index, &changed, &included);
                plan.unreached
                    .retain(|vertex| !self.is_as_built(&sources, &index, *vertex));
                let left = overtaken.keys().filter(|v| !included.contains(v));
                plan.unreached.extend(left);
                let mut notes = notes(&sources, &index, &graph, &plan);
                notes.extend(left_behind(&gone, &index, &graph, &included));
                notes.extend(kept_values(&old, &sources, &changes));
                notes.extend(old_values(&changes, &index, &included));
                if changes.iter().any(|changes| !changes.values.is_empty()) {
                    let reached = reach::reached(&graph, &index).into_iter().collect();
                    notes.extend(old_constants(&changes, &index, &reached));
                }
                let behind = behind(&index, &changed, &included);
                let told = Told {
                    notes,
                    behind,
                    retyped: plan.retyped,
                };
                match self.publish(sources, &index, ready, told, times)? {
                    Outcome::Refused(refusal) => self.unless_broken(refusal, &changes),
                    outcome => Ok(outcome),
                }
            }
            Ok(Built::Refused(refusal)) => self.unless_broken(refusal, &changes),
            Ok(Built::InPlace(vertices)) => {
                let known = vertices.iter().filter_map(|vertex| index.known(*vertex));
                let keys = known.flat_map(|known| known.keys.iter().map(|key| (known.krate, key)));
                let sources = self.with_in_place(sources.clone(), keys);
                self.try_again(sources, times)
            }
            Err(error) => {
                if let Some(outcome) = self.unsent(&error, &sources, &index)? {
                    return Ok(outcome);
                }
                // A mistake of the user's is no reason to leave a function in its place.
                if error
                    .chain()
                    .any(|e| e.downcast_ref::<Rejected>().is_some())
                {
                    let broken = self.check_crates(|krate| !changes[krate].is_empty())?;
                    if !broken.is_empty() {
                        return Ok(Outcome::Broken(broken));
                    }
                }
                match self.in_its_place(&error, &sources, &index, &plan) {
                    Some(sources) => self.try_again(sources, times),
                    None => self.explain(error, &sources, &changes),
                }
            }
        }
    }

    /// Some of what was edited is neither in the patch nor in a scope, so that no compiler has seen it.
    fn leaves_out(&self, changes: &[Changes], index: &Index, included: &BTreeSet<Vertex>) -> bool {
        changes.iter().enumerate().any(|(krate, changes)| {
            let keys = changes
                .bodies
                .iter()
                .chain(&changes.added)
                .chain(&changes.signatures);
            let mut vertices = keys.filter_map(|key| index.find(krate, key));
            vertices.any(|vertex| {
                let known = index.known(vertex);
                !included.contains(&vertex)
                    && known.is_some_and(|known| known.shape != Shape::Reinstantiated)
            })
        })
    }

    /// New text of the same code: later patches stand on its lines.
    fn replace_sources(&mut self, sources: Vec<CrateSource>) {
        if let Some(state) = self.world.states.last_mut() {
            state.sources = sources;
        }
    }

    /// The newest earlier generation with the same code.
    fn earlier(&self, sources: &[CrateSource]) -> Option<State> {
        let earlier = self.world.states.iter().rev().skip(1);
        let now = self.world.state().retyped;
        earlier
            // Values that were made since may be of types that were not there or were others.
            .filter(|state| state.retyped == now)
            .filter(|state| {
                state.sources.len() == sources.len()
                    && state
                        .sources
                        .iter()
                        .zip(sources)
                        .all(|(old, new)| diff::same_code(old, new))
            })
            .map(State::clone)
            .next()
    }

    fn revert(
        &mut self,
        state: State,
        sources: Vec<CrateSource>,
        notes: Vec<Note>,
        mut times: Times,
    ) -> Result<Outcome> {
        let started = Instant::now();
        let stores = stores(&self.world.state().slots, &state.slots);
        let slots: BTreeSet<u64> = stores.iter().map(|store| store.slot).collect();
        let functions = self.hot_paths(&sources, &slots);
        let mut notes = notes;
        if !functions.is_empty() {
            let index = self.world.index(&sources, &[]);
            let graph = self.world.state().graph.clone();
            notes.extend(self.begun(&sources, &index, &graph, &stores)?);
        }
        self.client.publish(stores)?;
        times.load = started.elapsed();
        let live = Some(Instant::now());
        let mut state = state;
        // Slots it never stored to lead to the base again.
        for slot in slots {
            state.slots.entry(slot).or_insert(Target::Base);
        }
        state.sources = sources;
        // Before the base's state the graph may not have been there yet.
        if state.graph.is_empty() {
            self.world.ensure_graph()?;
            state.graph = self
                .world
                .states
                .first()
                .map(|s| s.graph.clone())
                .unwrap_or_default();
        }
        self.world.generation += 1;
        self.world.states.push(state);
        self.world.graph_replaced();
        Ok(Outcome::Patched(Patched {
            generation: self.world.generation,
            functions,
            notes,
            times,
            live,
            ..Patched::default()
        }))
    }

    /// Notes about what was made since an earlier state and keeps the code that it was made with.
    fn keepers(
        &mut self,
        sources: &[CrateSource],
        changes: &[Changes],
        then: &State,
    ) -> Result<Vec<Note>> {
        self.world.ensure_graph()?;
        let index = self.world.index(sources, changes);
        let graph = self.world.state().graph.clone();
        let changed = changed_in(sources, changes, &index, &BTreeSet::new());
        let mut plan = reach::plan(&graph, &index, &changed);
        plan.unreached.clear();
        let base = self
            .world
            .states
            .first()
            .map_or(0, |state| state.graph.len());
        let known = if then.graph.is_empty() {
            base
        } else {
            then.graph.len()
        };
        // Tables that were there lead to the code that was there; what patches bring comes after it.
        let is_newer = |vertex: &Vertex| {
            let node = index.nodes(*vertex).first();
            node.is_some_and(|node| graph.kind(*node) == NodeKind::Data && node.index() >= known)
        };
        plan.outside
            .values_mut()
            .for_each(|callers| callers.retain(is_newer));
        plan.outside.retain(|_, callers| !callers.is_empty());
        Ok(notes(sources, &index, &graph, &plan))
    }

    fn hot_paths(&mut self, sources: &[CrateSource], slots: &BTreeSet<u64>) -> Vec<String> {
        if self.world.ensure_graph().is_err() {
            return Vec::new();
        }
        let index = self.world.index(sources, &[]);
        let graph = &self.world.state().graph;
        index
            .functions()
            .iter()
            .filter(|known| known.hot)
            .filter(|known| {
                known.nodes.iter().any(|node| {
                    self.world
                        .slots
                        .of(graph.name(*node))
                        .is_some_and(|slot| slots.contains(&slot))
                })
            })
            .map(|known| known.path.clone())
            .collect()
    }

    /// Whether a function says what the base was built from.
    fn is_as_built(&self, sources: &[CrateSource], index: &Index, vertex: Vertex) -> bool {
        let Some(known) = index.known(vertex) else {
            return false;
        };
        let base = &self.world.built;
        let code =
            |source: &CrateSource, key| source.function(key).map(|(_, f)| (f.signature, f.code));
        known
            .keys
            .iter()
            .all(|key| code(&base[known.krate], key) == code(&sources[known.krate], key))
    }

    /// An edit that no hot function reaches and that was not refused before. One that was does not stand
    /// in the way of later saves, which say it again.
    fn untold(&self, sources: &[CrateSource], index: &Index, plan: &Plan) -> Option<Vertex> {
        let is_told = |vertex: &&Vertex| {
            unreached(sources, index, **vertex).all(|told| self.world.told.contains(&told))
        };
        let new = plan.unreached.iter().find(|vertex| !is_told(vertex));
        new.or_else(|| plan.unreached.first().filter(|_| plan.include.is_empty()))
            .copied()
    }

    /// No hot function reaches the edit. `why`: where the function is as it was.
    fn not_reached(
        &mut self,
        sources: &[CrateSource],
        vertex: Vertex,
        index: &Index,
        plan: &Plan,
        changes: &[Changes],
        why: Option<&str>,
    ) -> Result<Outcome> {
        let broken = self.check_crates(|krate| !changes[krate].is_empty())?;
        if !broken.is_empty() {
            return Ok(Outcome::Broken(broken));
        }
        for vertex in &plan.unreached {
            self.world.told.extend(unreached(sources, index, *vertex));
        }
        let refusal = refuse(sources, index, vertex, Code::HP0201, |path| {
            format!("no hot function reaches `{path}`; the edit takes effect at the next start")
        })
        .context("an edit without a place")?;
        let refusal = match why {
            Some(why) => refusal.because(why),
            None => refusal,
        };
        let hint = match index.known(vertex) {
            Some(known) if known.name == "main" => {
                "mark a function that `main` calls with `#[hot]` and put the code there".to_owned()
            }
            Some(known) => format!(
                "mark `{}` with `#[hot]`, or a function that calls it",
                known.path
            ),
            None => String::new(),
        };
        Ok(Outcome::Refused(refusal.because(hint)))
    }

    /// Only additions that nothing uses yet, or generic code nobody has an instance of.
    fn nothing_reached(
        &mut self,
        sources: Vec<CrateSource>,
        changes: &[Changes],
        changed: &Changed,
        index: &Arc<Index>,
        times: Times,
    ) -> Result<Outcome> {
        let is_new = |vertex: &&Vertex| !self.is_as_built(&sources, index, **vertex);
        let Some(vertex) = changed.edited.iter().find(is_new).copied() else {
            let behind = behind(index, changed, &BTreeSet::new());
            // Nobody else would look at it.
            let broken = self.check_crates(|krate| !changes[krate].is_empty())?;
            if !broken.is_empty() {
                return Ok(Outcome::Broken(broken));
            }
            let reached = reach::reached(&self.world.state().graph, index);
            let keepers = old_constants(changes, index, &reached.into_iter().collect());
            if let Some(note) = keepers.into_iter().next() {
                let message =
                    "no hot function reaches what uses it; the edit takes effect at the next start";
                let place = Place {
                    line: note.line,
                    column: 1,
                };
                let refusal = Refusal::new(Code::HP0201, message, note.file, place);
                return Ok(Outcome::Refused(refusal.because(note.message)));
            }
            let old = self.world.state().sources.clone();
            let notes = kept_values(&old, &sources, changes);
            if !notes.is_empty() {
                let told = Told {
                    notes,
                    behind,
                    retyped: self.world.state().retyped,
                };
                return self.publish(sources, index, Ready::default(), told, times);
            }
            self.replace_sources(sources);
            if let Some(state) = self.world.states.last_mut() {
                state.behind = behind;
            }
            self.world.adopt(index.clone());
            return Ok(Outcome::Unchanged);
        };
        refuse(&sources, index, vertex, Code::HP0001, |path| {
            format!("the code that calls `{path}` cannot be patched yet")
        })
        .map(Outcome::Refused)
        .context("an edit without a place")
    }
}

pub(super) fn refuse(
    sources: &[CrateSource],
    index: &Index,
    vertex: Vertex,
    code: Code,
    message: impl FnOnce(&str) -> String,
) -> Option<Refusal> {
    let known = index.known(vertex)?;
    let (file, place, path) = classify::place(sources.get(known.krate)?, known.keys.first()?)?;
    Some(Refusal::new(code, message(&path), file, place))
}
