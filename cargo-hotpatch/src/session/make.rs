//! From sources that changed to code that runs: plan, scope, compile, bind, link, load, publish.
//!
//! Nothing of the process is touched before every check is done; loading maps a library that nobody
//! calls, and only the publishing of slots at the very end changes what runs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use hotpatch_rt::wire::{Store, Target};

use super::world::{Seen, State, Told, World, libraries};
use crate::build::diagnostics::{self, Diagnostic};
use crate::command::{CancelToken, CommandError};
use crate::image::graph::CallGraph;
use crate::image::symbols::Kind as SymbolKind;
use crate::patch::assemble::{self, Library, Missing, Parts};
use crate::patch::compile::{self, Compiled, Recipe, Rejected};
use crate::plan::classify;
use crate::plan::codes::Code;
use crate::plan::index::{Index, Vertex};
use crate::plan::reach::{self, Changed, Plan};
use crate::plan::verdict::{Note, Refusal};
use crate::run::client::Client;
use crate::source::diff::{self, Changes};
use crate::source::extract::Wanted;
use crate::source::file::{FnKey, Kind, Place, Shape};
use crate::source::items::CrateSource;
use crate::source::names;

/// How long each step took.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "the steps of the pipeline")]
pub struct Times {
    pub plan: Duration,
    pub scope: Duration,
    pub compile: Duration,
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
}

/// What `tracing` keeps for each place that logs: a fresh one registers itself.
const CALL_SITE: &str = "__CALLSITE";

/// How often functions are added to a patch because what was compiled needs them.
const ROUNDS: usize = 8;

/// What it takes to bring an edit into the process.
pub struct Maker<'a> {
    /// What is known of the program.
    pub world: &'a mut World,
    /// The agent in it.
    pub client: &'a mut Client,
    /// A folder for patches.
    pub folder: &'a Path,
    /// Ends the work early.
    pub cancel: &'a CancelToken,
}

impl Maker<'_> {
    /// Brings these sources into the process, or says why not.
    ///
    /// # Errors
    /// A tool or the file system failed, the work was cancelled, or the agent is gone.
    pub fn apply(&mut self, sources: Vec<CrateSource>) -> Result<Outcome> {
        let mut times = Times::default();
        let started = Instant::now();
        let old = self.world.state().sources.clone();
        let mut changes: Vec<Changes> = old
            .iter()
            .zip(&sources)
            .map(|(old, new)| {
                if diff::same_text(old, new) { Changes::default() } else { diff::compare(old, new) }
            })
            .collect();
        names::follow(&old, &sources, &mut changes);
        if changes.iter().all(Changes::is_empty) {
            self.replace_sources(sources);
            return Ok(Outcome::Unchanged);
        }
        if let Some(state) = self.earlier(&sources) {
            times.plan = started.elapsed();
            return self.revert(state, sources, times);
        }
        self.world.ensure_graph()?;
        let index = self.world.index(&sources, &changes);
        if let Some(refusal) = self.refusal(&old, &sources, &changes, &index) {
            return Ok(Outcome::Refused(refusal));
        }
        let changed = changed(&sources, &changes, &index, &self.world.state().behind);
        let graph = self.world.state().graph.clone();
        let mut plan = reach::plan(&graph, &index, &changed);
        include_added(&changes, &index, &mut plan);
        if let Some(base) = self.world.states.first().filter(|_| self.world.states.len() > 1) {
            let since: Vec<Changes> =
                base.sources.iter().zip(&sources).map(|(old, new)| diff::compare(old, new)).collect();
            plan.outdated = reach::leading_to(&graph, &index, &self::changed(&sources, &since, &index, &BTreeSet::new()));
        }
        times.plan = started.elapsed();
        if let Some(vertex) = plan.hidden.first() {
            let refusal = refuse(&sources, &index, *vertex, Code::HP0001, |path| {
                format!("`{path}` may be part of its callers' code, where nothing names it")
            });
            let why = "optimised code calls operators, `drop`, `fmt` and the like in place: \
                       such edits are patched in a build that is not optimised";
            return refusal.map(|refusal| Outcome::Refused(refusal.because(why))).context("no place");
        }
        // What is back to what the base was built from runs already.
        plan.unreached.retain(|vertex| !self.is_as_built(&sources, &index, *vertex));
        if let Some(vertex) = self.untold(&sources, &index, &plan) {
            return self.not_reached(&sources, vertex, &index, &plan, &changes);
        }
        if let Some(refusal) = behind_fields(&sources, &index, &plan.include) {
            return Ok(Outcome::Refused(refusal));
        }
        if plan.include.is_empty() {
            return self.nothing_reached(sources, &changed, &index);
        }
        let callers_may_break = changes.iter().any(Changes::may_break_others)
            && changed.suspected.iter().any(|vertex| !plan.include.contains(vertex));
        if callers_may_break {
            let broken = self.check_crates(|_| true)?;
            if !broken.is_empty() {
                return Ok(Outcome::Broken(broken));
            }
        }
        match self.build(&sources, &index, &graph, &plan, &mut times) {
            Ok(Built::Ready(ready)) => {
                let included = ready.loaded.iter().flat_map(|l| l.part.vertices.iter().copied()).collect();
                plan.settle(&graph, &index, &changed, &included);
                plan.unreached.retain(|vertex| !self.is_as_built(&sources, &index, *vertex));
                let notes = notes(&sources, &index, &graph, &plan);
                let behind = behind(&index, &changed, &included);
                self.publish(sources, &index, ready, notes, behind, times)
            }
            Ok(Built::Refused(refusal)) => Ok(Outcome::Refused(refusal)),
            Err(error) => self.explain(error, &sources, &changes),
        }
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
        earlier
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

    fn revert(&mut self, state: State, sources: Vec<CrateSource>, mut times: Times) -> Result<Outcome> {
        let started = Instant::now();
        let stores = stores(&self.world.state().slots, &state.slots);
        let slots: BTreeSet<u64> = stores.iter().map(|store| store.slot).collect();
        let functions = self.hot_paths(&sources, &slots);
        self.client.publish(stores)?;
        times.load = started.elapsed();
        let mut state = state;
        // Slots it never stored to lead to the base again.
        for slot in slots {
            state.slots.entry(slot).or_insert(Target::Base);
        }
        state.sources = sources;
        // Before the base's state the graph may not have been there yet.
        if state.graph.is_empty() {
            self.world.ensure_graph()?;
            state.graph = self.world.states.first().map(|s| s.graph.clone()).unwrap_or_default();
        }
        self.world.generation += 1;
        self.world.states.push(state);
        self.world.graph_replaced();
        Ok(Outcome::Patched(Patched {
            generation: self.world.generation,
            functions,
            times,
            ..Patched::default()
        }))
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
                    self.world.slots.of(graph.name(*node)).is_some_and(|slot| slots.contains(&slot))
                })
            })
            .map(|known| known.path.clone())
            .collect()
    }

    fn refusal(
        &self,
        old: &[CrateSource],
        new: &[CrateSource],
        changes: &[Changes],
        index: &Index,
    ) -> Option<Refusal> {
        changes.iter().enumerate().find_map(|(krate, changes)| {
            let is_hot = |key: &_| {
                old[krate].function(key).is_some_and(|(_, function)| function.hot)
                    || index
                        .find(krate, key)
                        .and_then(|vertex| index.known(vertex))
                        .is_some_and(|known| known.hot)
            };
            classify::refusal(&old[krate], &new[krate], changes, &is_hot)
        })
    }

    /// Whether a function says what the base was built from.
    fn is_as_built(&self, sources: &[CrateSource], index: &Index, vertex: Vertex) -> bool {
        let (Some(base), Some(known)) = (self.world.states.first(), index.known(vertex)) else {
            return false;
        };
        let code = |source: &CrateSource, key| source.function(key).map(|(_, f)| (f.signature, f.code));
        known
            .keys
            .iter()
            .all(|key| code(&base.sources[known.krate], key) == code(&sources[known.krate], key))
    }

    /// An edit that no hot function reaches and that was not refused before. One that was does not stand
    /// in the way of later saves, which say it again.
    fn untold(&self, sources: &[CrateSource], index: &Index, plan: &Plan) -> Option<Vertex> {
        let is_told = |vertex: &&Vertex| {
            unreached(sources, index, **vertex).all(|told| self.world.told.contains(&told))
        };
        let new = plan.unreached.iter().find(|vertex| !is_told(vertex));
        new.or_else(|| plan.unreached.first().filter(|_| plan.include.is_empty())).copied()
    }

    /// No hot function reaches the edit.
    fn not_reached(
        &mut self,
        sources: &[CrateSource],
        vertex: Vertex,
        index: &Index,
        plan: &Plan,
        changes: &[Changes],
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
        let hint = match index.known(vertex) {
            Some(known) if known.name == "main" => {
                "mark a function that `main` calls with `#[hot]` and put the code there".to_owned()
            }
            Some(known) => format!("mark `{}` with `#[hot]`, or a function that calls it", known.path),
            None => String::new(),
        };
        Ok(Outcome::Refused(refusal.because(hint)))
    }

    /// Only additions that nothing uses yet, or generic code nobody has an instance of.
    fn nothing_reached(
        &mut self,
        sources: Vec<CrateSource>,
        changed: &Changed,
        index: &Arc<Index>,
    ) -> Result<Outcome> {
        let is_new = |vertex: &&Vertex| !self.is_as_built(&sources, index, **vertex);
        let Some(vertex) = changed.edited.iter().find(is_new).copied() else {
            let behind = behind(index, changed, &BTreeSet::new());
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

    fn build(
        &mut self,
        sources: &[CrateSource],
        index: &Index,
        graph: &CallGraph,
        plan: &Plan,
        times: &mut Times,
    ) -> Result<Built> {
        let mut include = plan.include.clone();
        // The program's instances of generic code that changed are old code.
        let mut own_instances = plan.stale.iter().filter_map(|vertex| index.known(*vertex)).any(|known| {
            known.shape == Shape::Reinstantiated
        });
        for _ in 0..ROUNDS {
            let started = Instant::now();
            let mut wanted = vec![false; sources.len()];
            for known in include.iter().filter_map(|vertex| index.known(*vertex)) {
                wanted[known.krate] = true;
            }
            let seen = self.world.scopes(sources, &wanted, self.cancel)?;
            times.scope += started.elapsed();

            let started = Instant::now();
            let round = self.compile(sources, index, graph, &include, &seen, own_instances)?;
            times.compile += started.elapsed();
            let needs = self.check(sources, index, graph, plan, &include, &round);
            if let Some(refusal) = needs.refusal {
                if own_instances {
                    return Ok(Built::Refused(refusal));
                }
                own_instances = true;
            } else if needs.functions.is_empty() {
                return self.link(sources, index, round, times);
            }
            if let Some(refusal) = behind_fields(sources, index, &needs.functions) {
                return Ok(Built::Refused(refusal));
            }
            include.extend(needs.functions);
        }
        let vertex = include.first().copied();
        vertex
            .and_then(|v| refuse(sources, index, v, Code::HP0001, |path| {
                format!("the patch of `{path}` needs more and more functions")
            }))
            .map(Built::Refused)
            .context("an empty patch")
    }

    fn compile(
        &self,
        sources: &[CrateSource],
        index: &Index,
        graph: &CallGraph,
        include: &BTreeSet<Vertex>,
        seen: &[Seen],
        own_instances: bool,
    ) -> Result<Vec<Part>> {
        let mut jobs = Vec::new();
        for (krate, source) in sources.iter().enumerate() {
            let mut wanted = Vec::new();
            let mut vertices = Vec::new();
            for vertex in include {
                let Some(known) = index.known(*vertex).filter(|known| known.krate == krate) else {
                    continue;
                };
                for key in &known.keys {
                    let statics = self.statics(source, key, known, graph)?;
                    wanted.push(Wanted { key: key.clone(), hot: known.hot, statics });
                    vertices.push(*vertex);
                }
            }
            if !wanted.is_empty() {
                jobs.push((krate, wanted, vertices));
            }
        }
        let attempt = self.world.loads;
        let stamp = Instant::now();
        let cancel = self.cancel;
        let world = &*self.world;
        let folder = self.folder;
        let results: Vec<Result<Part>> = std::thread::scope(|scope| {
            let handles: Vec<_> = jobs
                .into_iter()
                .map(|(krate, wanted, vertices)| {
                    scope.spawn(move || {
                        let unit = &world.crates[krate].unit;
                        let scope = seen[krate].scope.as_ref().context("a crate without a scope")?;
                        let name = format!("{}-{attempt}-{krate}", world.generation + 1);
                        let identity =
                            format!("hotpatch-{}-{name}-{:?}", std::process::id(), stamp);
                        let folder = folder.join(format!("text-{name}"));
                        let recipe = Recipe {
                            unit,
                            source: &sources[krate],
                            wanted: &wanted,
                            scope,
                            changed: &seen[krate].libraries,
                            folder: &folder,
                            identity: &identity,
                            own_instances,
                        };
                        let compiled = compile::compile(&recipe, cancel)?;
                        let _ = std::fs::remove_dir_all(&folder);
                        Ok(Part { krate, vertices, compiled })
                    })
                })
                .collect();
            handles
                .into_iter()
                .map(|handle| handle.join().unwrap_or_else(|_| Err(anyhow!("a compile panicked"))))
                .collect()
        });
        results.into_iter().collect()
    }

    /// Symbols of the statics inside a function.
    fn statics(
        &self,
        source: &CrateSource,
        key: &FnKey,
        known: &crate::plan::index::Known,
        graph: &CallGraph,
    ) -> Result<BTreeMap<String, String>> {
        let mut out = BTreeMap::new();
        let Some((_, function)) = source.function(key) else { return Ok(out) };
        if function.statics.is_empty() {
            return Ok(out);
        }
        let text = |symbol: &str| rustc_demangle::demangle(symbol).to_string();
        let owners: BTreeSet<String> =
            known.nodes.iter().map(|node| text(graph.name(*node))).collect();
        for item in &function.statics {
            let mut found = self
                .world
                .image
                .symbols
                .iter()
                .filter(|(name, symbol)| symbol.kind == SymbolKind::Data && name.contains(&item.name))
                .filter(|(name, _)| {
                    text(name).strip_suffix(&item.name).and_then(|t| t.strip_suffix("::"))
                        .is_some_and(|owner| owners.contains(owner))
                })
                .map(|(name, _)| name.to_owned());
            match (found.next(), found.next()) {
                (Some(symbol), None) => {
                    out.insert(item.name.clone(), symbol);
                }
                _ => return Err(Unbindable(known.path.clone(), item.name.clone()).into()),
            }
        }
        Ok(out)
    }

    /// Looks at what was compiled: which functions it needs besides, and what cannot be had.
    fn check(
        &self,
        sources: &[CrateSource],
        index: &Index,
        graph: &CallGraph,
        plan: &Plan,
        include: &BTreeSet<Vertex>,
        round: &[Part],
    ) -> Needs {
        let mut needs = Needs::default();
        let replaced: BTreeSet<&str> = round
            .iter()
            .flat_map(|part| &part.compiled.object.pairs)
            .map(|pair| pair.old.as_str())
            .collect();
        for part in round {
            let Some(first) = part.vertices.first().copied() else { continue };
            let refuse = |why: String| {
                refuse(sources, index, first, Code::HP0001, |path| {
                    format!("the edit of `{path}` is not supported yet")
                })
                .map(|refusal| refusal.because(why))
            };
            for symbol in &part.compiled.object.undefined {
                if !symbol.used || symbol.weak || replaced.contains(symbol.name.as_str()) {
                    continue;
                }
                let vertex = graph
                    .nodes_named(&symbol.name)
                    .find_map(|node| index.vertex(node))
                    .or_else(|| index.by_symbol(&symbol.name));
                let known = vertex.and_then(|vertex| index.known(vertex));
                let is_hot = known.is_some_and(|known| known.hot);
                let is_outdated = |vertex| {
                    plan.outdated.contains(&vertex)
                        && !self.world.state().symbols.contains_key(&symbol.name)
                };
                let is_stale = vertex
                    .is_some_and(|vertex| plan.stale.contains(&vertex) || is_outdated(vertex))
                    && !is_hot
                    && !symbol.tls
                    && is_code(graph, &symbol.name);
                let there = self.address(&symbol.name).is_some()
                    || (symbol.tls && self.world.image.tls_offset_of(&symbol.name).is_some())
                    || self.world.image.imports(&symbol.name);
                if there && !is_stale {
                    continue;
                }
                match (vertex, known) {
                    (Some(vertex), Some(known))
                        if known.shape == Shape::Plain && !include.contains(&vertex) =>
                    {
                        needs.functions.insert(vertex);
                    }
                    _ => {
                        let name = format!("{:#}", rustc_demangle::demangle(&symbol.name));
                        needs.refusal = refuse(if is_stale {
                            format!("it goes through `{name}`, which cannot be patched yet")
                        } else {
                            format!("the program has no `{name}`")
                        });
                    }
                }
            }
            for symbol in &part.compiled.object.defined {
                // A macro may have made a static inside a function, which would begin anew with each patch.
                let is_own_state = symbol.writable && !symbol.name.contains(CALL_SITE);
                let copies_state = matches!(symbol.kind, SymbolKind::Data | SymbolKind::Tls)
                    && symbol.name.starts_with("_R")
                    && (is_own_state || self.world.image.symbols.get(&symbol.name).is_some());
                if copies_state {
                    let name = format!("{:#}", rustc_demangle::demangle(&symbol.name));
                    needs.refusal = refuse(format!("it would make a second `{name}`"));
                }
            }
        }
        needs
    }

    /// Where the newest version of a function or the storage of a static is.
    fn address(&self, symbol: &str) -> Option<u64> {
        if let Some(address) = self.world.state().symbols.get(symbol) {
            return Some(*address);
        }
        let found = self.world.image.symbols.get(symbol)?;
        let bias = if self.world.image.relocatable { self.client.bias() } else { 0 };
        (found.kind != SymbolKind::Tls).then(|| found.address + bias)
    }

    fn link(
        &mut self,
        sources: &[CrateSource],
        index: &Index,
        round: Vec<Part>,
        times: &mut Times,
    ) -> Result<Built> {
        let libraries = libraries(self.client.pid(), &self.world.image.needed);
        let mut fresh: HashMap<String, u64> = HashMap::new();
        let mut loaded = Vec::new();
        for part in round {
            let started = Instant::now();
            let number = self.world.loads + 1;
            let output = self.folder.join(format!("patch-{number}.so"));
            let parts = Parts {
                compiled: &part.compiled,
                image: &self.world.image,
                is_hot: &|symbol| self.world.slots.of(symbol).is_some(),
                linker: &self.world.linker,
                libraries: &libraries,
                output: &output,
            };
            let address = |name: &str| fresh.get(name).copied().or_else(|| self.address(name));
            let library = match assemble::library(&parts, &address, self.cancel) {
                Ok(library) => library,
                Err(error) => {
                    if error.downcast_ref::<Missing>().is_none() {
                        return Err(error);
                    }
                    let first = part.vertices.first().copied();
                    return first
                        .and_then(|v| refuse(sources, index, v, Code::HP0001, |path| {
                            format!("the edit of `{path}` is not supported yet")
                        }))
                        .map(|refusal| Built::Refused(refusal.because(error.to_string())))
                        .context("a patch without a function");
                }
            };
            times.link += started.elapsed();
            if self.cancel.is_cancelled() {
                return Err(anyhow!(Superseded));
            }
            let started = Instant::now();
            let image = self.client.image().clone();
            self.world.loads = number;
            let bias = self.client.load(number, &library.path, &image)?;
            times.load += started.elapsed();
            for pair in &part.compiled.object.pairs {
                let at = library.image.symbols.get(&pair.new).with_context(|| {
                    format!("the linked patch has lost `{}`", pair.new)
                })?;
                if self.world.slots.of(&pair.old).is_none() {
                    fresh.insert(pair.old.clone(), bias + at.address);
                }
            }
            loaded.push(Loaded { part, library, number });
        }
        Ok(Built::Ready(Ready { loaded, symbols: fresh }))
    }

    fn publish(
        &mut self,
        sources: Vec<CrateSource>,
        index: &Arc<Index>,
        ready: Ready,
        notes: Vec<Note>,
        behind: BTreeSet<(usize, FnKey)>,
        mut times: Times,
    ) -> Result<Outcome> {
        let started = Instant::now();
        let mut stores = Vec::new();
        let mut patched = Patched { notes, ..Patched::default() };
        let mut graph = self.world.state().graph.clone();
        for Loaded { part, library, number } in &ready.loaded {
            let mut rename = HashMap::new();
            for pair in &part.compiled.object.pairs {
                rename.insert(pair.new.clone(), pair.old.clone());
                let path = part
                    .vertices
                    .get(usize::try_from(pair.index).unwrap_or(usize::MAX))
                    .and_then(|vertex| index.known(*vertex))
                    .map(|known| known.path.clone())
                    .unwrap_or_default();
                match self.world.slots.of(&pair.old) {
                    Some(slot) => {
                        let at = library.image.symbols.get(&pair.new).context("a lost function")?;
                        let target = Target::Patch { generation: *number, offset: at.address };
                        stores.push(Store { slot, target });
                        patched.functions.push(path);
                    }
                    None => patched.included.push(path),
                }
            }
            let tag = &self.world.crates[part.krate].tag;
            graph.add_object(tag, &part.compiled.data, &rename).context("failed to read the patch")?;
            if let Some(refusal) = strangers(&sources, index, &graph, part) {
                return Ok(Outcome::Refused(refusal));
            }
            patched.bytes += library.bytes;
        }
        self.client.publish(stores.clone())?;
        times.load += started.elapsed();

        let mut state = self.world.state().clone();
        for store in stores {
            state.slots.insert(store.slot, store.target);
        }
        let mut symbols = (*state.symbols).clone();
        symbols.extend(ready.symbols);
        state.symbols = Arc::new(symbols);
        state.sources = sources;
        state.graph = graph;
        state.behind = behind;
        self.world.states.push(state);
        self.world.generation += 1;
        self.world.adopt(index.clone());
        patched.generation = self.world.generation;
        patched.times = times;
        Ok(Outcome::Patched(patched))
    }

    /// Tells code that does not compile from code that this tool cannot take out of its place.
    fn explain(
        &mut self,
        error: anyhow::Error,
        sources: &[CrateSource],
        changes: &[Changes],
    ) -> Result<Outcome> {
        if self.cancel.is_cancelled() {
            return Err(error);
        }
        if let Some(Unbindable(path, name)) = error.downcast_ref::<Unbindable>() {
            let place = any_place(sources, changes);
            let message = format!("the storage of `static {name}` in `{path}` cannot be bound yet");
            return Ok(Outcome::Refused(Refusal::new(Code::HP0001, message, place.0, place.1)));
        }
        let rejected = error.chain().find_map(|e| e.downcast_ref::<Rejected>());
        let of_scope = error.chain().any(|e| e.to_string() == "failed to compile the scope");
        let of_a_tool = error.chain().any(|e| e.downcast_ref::<CommandError>().is_some());
        if rejected.is_none() && (of_scope || of_a_tool) {
            return Err(error);
        }
        let broken = self.check_crates(|krate| !changes[krate].is_empty())?;
        if !broken.is_empty() {
            return Ok(Outcome::Broken(broken));
        }
        let place = any_place(sources, changes);
        let mut refusal = Refusal::new(
            Code::HP0001,
            "this edit compiles, but not as a patch, which is not supported yet",
            place.0,
            place.1,
        );
        match rejected {
            Some(Rejected(found)) => {
                if let Some(summary) = diagnostics::summary(found) {
                    refusal = refusal.because(format!("rustc says of the patch: {summary}"));
                }
                let at = found.iter().find(|d| d.error).and_then(|d| d.places.first());
                if let Some((file, line)) = at
                    && let Some((path, line)) = self.user_file(sources, file, *line)
                {
                    refusal.file = path;
                    refusal.place = Place { line, column: 1 };
                }
            }
            None => refusal = refusal.because(format!("{error:#}")),
        }
        Ok(Outcome::Refused(refusal))
    }

    fn user_file(&self, sources: &[CrateSource], file: &str, line: usize) -> Option<(PathBuf, usize)> {
        self.world.crates.iter().zip(sources).find_map(|(krate, source)| {
            let path = krate.unit.cwd.join(file);
            source.file(&path).map(|_| (path, line))
        })
    }

    /// rustc's own errors about the crates with changes, as the user wrote them.
    ///
    /// # Errors
    /// rustc cannot be run or was cancelled.
    pub fn check_crates(&self, is_changed: impl Fn(usize) -> bool) -> Result<Vec<Diagnostic>> {
        for (number, krate) in self.world.crates.iter().enumerate() {
            if !is_changed(number) {
                continue;
            }
            let found = compile::check(&krate.unit, &BTreeMap::new(), self.cancel)?;
            if found.iter().any(|d| d.error && !d.places.is_empty()) {
                // The last one only counts the others.
                return Ok(found.into_iter().filter(|d| d.error && !d.places.is_empty()).collect());
            }
        }
        Ok(Vec::new())
    }
}

/// A static inside a function whose storage is not found.
#[derive(Debug, thiserror::Error)]
#[error("the storage of `static {1}` in `{0}` is not known")]
struct Unbindable(String, String);

/// A newer save made this work pointless.
#[derive(Debug, thiserror::Error)]
#[error("a newer save came in between")]
pub struct Superseded;

struct Part {
    krate: usize,
    /// For each index of a pair the function it is of.
    vertices: Vec<Vertex>,
    compiled: Compiled,
}

/// What a compiled patch lacks.
#[derive(Default)]
struct Needs {
    /// Functions that must be in it, too.
    functions: BTreeSet<Vertex>,
    /// Why it cannot be had; with instances of its own it may be another matter.
    refusal: Option<Refusal>,
}

struct Loaded {
    part: Part,
    library: Library,
    number: u32,
}

struct Ready {
    loaded: Vec<Loaded>,
    symbols: HashMap<String, u64>,
}

#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Built {
    Ready(Ready),
    Refused(Refusal),
}

/// A private field of a type with `Deref` hides one of the target's in a scope, where it is visible.
fn behind_fields(sources: &[CrateSource], index: &Index, functions: &BTreeSet<Vertex>) -> Option<Refusal> {
    let mut hiding = Vec::new();
    for (krate, source) in sources.iter().enumerate() {
        let own = names::private_fields_before_deref(source);
        hiding.extend(own.into_iter().map(|(module, field)| (krate, module, field)));
    }
    functions.iter().copied().filter(|_| !hiding.is_empty()).find_map(|vertex| {
        let known = index.known(vertex)?;
        let source = sources.get(known.krate)?;
        let uses = known.keys.iter().filter_map(|key| source.function(key));
        let uses: BTreeSet<String> = uses.flat_map(|(file, function)| names::fields_used(file, function)).collect();
        let (_, _, field) = hiding.iter().find(|(krate, module, field)| {
            uses.contains(field) && !(*krate == known.krate && known.module.starts_with(module))
        })?;
        refuse(sources, index, vertex, Code::HP0001, |path| {
            format!("names in `{path}` may not mean what they mean in the crate")
        })
        .map(|refusal| refusal.because(format!("`{field}` is also a private field that a `Deref` leads past")))
    })
}

/// In a scope all names are visible, and one that was not may have taken the place of the one meant. Code
/// that calls a private function from outside its module shows it.
fn strangers(
    sources: &[CrateSource],
    index: &Index,
    graph: &CallGraph,
    part: &Part,
) -> Option<Refusal> {
    for pair in &part.compiled.object.pairs {
        let at = usize::try_from(pair.index).unwrap_or(usize::MAX);
        let (Some(node), Some(caller)) = (graph.node(&pair.old), part.vertices.get(at).copied()) else {
            continue;
        };
        let Some(module) = index.known(caller).map(|known| &known.module) else { continue };
        for callee in graph.callees(node) {
            let known = index.vertex(*callee).and_then(|vertex| index.known(vertex));
            let Some(known) = known.filter(|known| known.private && known.krate == part.krate) else {
                continue;
            };
            if !module.starts_with(&known.module) {
                return refuse(sources, index, caller, Code::HP0001, |path| {
                    format!("names in `{path}` would not mean what they mean in the crate")
                })
                .map(|refusal| {
                    refusal.because(format!("the patch would call `{}`, which is private", known.path))
                });
            }
        }
    }
    None
}

/// What tells a version of a function that no hot function reaches from others.
fn unreached<'a>(
    sources: &'a [CrateSource],
    index: &'a Index,
    vertex: Vertex,
) -> impl Iterator<Item = Told> + 'a {
    index.known(vertex).into_iter().flat_map(|known| {
        let functions = known.keys.iter().filter_map(|key| sources[known.krate].function(key));
        functions.map(|(_, function)| Told {
            krate: known.krate,
            key: function.key.clone(),
            signature: function.signature,
            code: function.code,
        })
    })
}

/// What leads from one state of the slots to another; a slot that is in neither leads to the base.
fn stores(now: &BTreeMap<u64, Target>, then: &BTreeMap<u64, Target>) -> Vec<Store> {
    let target = |of: &BTreeMap<u64, Target>, slot| of.get(slot).copied().unwrap_or(Target::Base);
    let slots: BTreeSet<&u64> = now.keys().chain(then.keys()).collect();
    slots
        .into_iter()
        .filter(|slot| target(now, slot) != target(then, slot))
        .map(|slot| Store { slot: *slot, target: target(then, slot) })
        .collect()
}

fn is_code(graph: &CallGraph, symbol: &str) -> bool {
    use crate::image::graph::NodeKind;
    graph.nodes_named(symbol).any(|node| graph.kind(node) == NodeKind::Function)
}

fn changed(
    sources: &[CrateSource],
    changes: &[Changes],
    index: &Index,
    behind: &BTreeSet<(usize, FnKey)>,
) -> Changed {
    let mut out = Changed {
        behind: behind.iter().filter_map(|(krate, key)| index.find(*krate, key)).collect(),
        ..Changed::default()
    };
    let names: BTreeSet<&String> = changes.iter().flat_map(|c| &c.names).collect();
    for (krate, changes) in changes.iter().enumerate() {
        let edited = changes.bodies.iter().chain(&changes.signatures);
        out.edited.extend(edited.filter_map(|key| index.find(krate, key)));
        let added: BTreeSet<Vertex> =
            changes.added.iter().filter_map(|key| index.find(krate, key)).collect();
        // Code of the same name may be left from before it was last removed.
        out.behind.extend(&added);
        if names.is_empty() {
            continue;
        }
        // What a glob import brings in, nobody need mention: its traits' methods, say.
        let globs: Vec<&[String]> = changes
            .items
            .iter()
            .filter(|change| change.item.kind == Kind::Use && change.item.names.iter().any(|n| n == "*"))
            .map(|change| &*change.item.module)
            .collect();
        for (_, function) in sources[krate].functions() {
            let mentions = names.iter().any(|name| {
                function.mentions.contains(*name)
                    && (**name != function.name || function.names_itself)
            });
            let near_a_glob = globs.iter().any(|module| function.module.starts_with(module));
            let vertex = index.find(krate, &function.key);
            if let Some(vertex) = vertex.filter(|v| (mentions || near_a_glob) && !added.contains(v)) {
                out.suspected.insert(vertex);
            }
        }
    }
    out
}

/// Functions whose code in the process is older than their text, once these are in a patch. Instances of
/// generic code that are in the program stay what they are, so those functions never catch up.
fn behind(index: &Index, changed: &Changed, included: &BTreeSet<Vertex>) -> BTreeSet<(usize, FnKey)> {
    let all = changed.edited.iter().chain(&changed.suspected).chain(&changed.behind);
    all.filter_map(|vertex| Some((vertex, index.known(*vertex)?)))
        .filter(|(vertex, known)| known.shape != Shape::Plain || !included.contains(vertex))
        .flat_map(|(_, known)| known.keys.iter().map(|key| (known.krate, key.clone())))
        .collect()
}

/// New functions that the patch names go with it; whether they are the ones meant, binding will see.
fn include_added(changes: &[Changes], index: &Index, plan: &mut Plan) {
    let mut added: Vec<Vertex> = changes
        .iter()
        .enumerate()
        .flat_map(|(krate, changes)| changes.added.iter().filter_map(move |key| index.find(krate, key)))
        .filter(|vertex| index.known(*vertex).is_some_and(|known| known.shape == Shape::Plain))
        .collect();
    loop {
        let named = |vertex: &Vertex| {
            let Some(name) = index.known(*vertex).map(|known| &known.name) else { return false };
            plan.include
                .iter()
                .filter_map(|user| index.known(*user))
                .any(|user| user.mentions.contains(name))
        };
        let (now, later): (Vec<_>, Vec<_>) = added.into_iter().partition(named);
        if now.is_empty() {
            return;
        }
        plan.include.extend(now);
        added = later;
    }
}

fn notes(
    sources: &[CrateSource],
    index: &Index,
    graph: &CallGraph,
    plan: &Plan,
) -> Vec<Note> {
    let mut out = Vec::new();
    let mut note = |vertex: Vertex, code: Code, message: String| {
        let Some(refusal) = refuse(sources, index, vertex, code, |_| message) else { return };
        let Refusal { code, message, file, place, .. } = refusal;
        out.push(Note { code, message, file, line: place.line });
    };
    for vertex in &plan.unreached {
        let Some(known) = index.known(*vertex) else { continue };
        note(*vertex, Code::HP0201, format!(
            "no hot function reaches `{}`; its edit takes effect at the next start", known.path
        ));
    }
    for (vertex, callers) in &plan.outside {
        let Some(known) = index.known(*vertex) else { continue };
        let mut names: Vec<String> = callers.iter().map(|caller| caller_name(index, graph, *caller)).collect();
        names.sort();
        names.dedup();
        note(*vertex, Code::HP0202, format!("{} keep the old code of `{}`", names.join(", "), known.path));
    }
    out
}

fn caller_name(index: &Index, graph: &CallGraph, vertex: Vertex) -> String {
    use crate::image::graph::NodeKind;
    if let Some(known) = index.known(vertex) {
        return format!("calls from `{}`", known.path);
    }
    let Some(node) = index.nodes(vertex).first() else { return "other callers".to_owned() };
    if graph.kind(*node) == NodeKind::Data {
        return "trait objects and function pointers made earlier".to_owned();
    }
    format!("calls from `{:#}`", rustc_demangle::demangle(graph.name(*node)))
}

fn refuse(
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

/// Somewhere in the edit.
fn any_place(sources: &[CrateSource], changes: &[Changes]) -> (PathBuf, Place) {
    for (source, changes) in sources.iter().zip(changes) {
        let keys = changes.bodies.iter().chain(&changes.signatures).chain(&changes.added);
        if let Some((file, place, _)) = keys.filter_map(|key| classify::place(source, key)).next() {
            return (file, place);
        }
        if let Some(item) = changes.items.first() {
            return (item.file.clone(), item.place);
        }
    }
    (PathBuf::new(), Place::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_back_and_forth_stores_what_differs() {
        let patch = |generation| Target::Patch { generation, offset: 8 };
        let base = BTreeMap::new();
        let first = BTreeMap::from([(1, patch(1))]);
        let second = BTreeMap::from([(1, patch(2)), (2, patch(2))]);
        let slots = |now, then| -> Vec<(u64, Target)> {
            stores(now, then).into_iter().map(|store| (store.slot, store.target)).collect()
        };
        assert_eq!(slots(&second, &base), [(1, Target::Base), (2, Target::Base)]);
        assert_eq!(slots(&base, &second), [(1, patch(2)), (2, patch(2))]);
        assert_eq!(slots(&second, &first), [(1, patch(1)), (2, Target::Base)]);
        assert_eq!(slots(&first, &first), []);
    }
}
