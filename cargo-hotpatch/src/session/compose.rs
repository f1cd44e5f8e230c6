//! From a plan to code that runs: scopes, compiles, checks, links, loads, and at the very end publishes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use hotpatch_rt::wire::{Store, Target};

use super::broken::BackgroundCheck;
use super::checks::with_blank_body;
use super::make::{Maker, Outcome, Patched, Times, refuse};
use super::scopes::{Instances, Seen};
use super::storage::{LOCAL, NewStatic, STORAGE, exported, pairs};
use super::strangers::strangers;
use super::symbols::only_symbol;
use crate::build::diagnostics::Diagnostic;
use crate::image::graph::CallGraph;
use crate::image::layouts::is_environment;
use crate::image::symbols::Kind as SymbolKind;
use crate::patch::assemble::{Library, Missing, Parts};
use crate::patch::compile::{Compiled, Recipe};
use crate::patch::tls::TlsError;
use crate::patch::{assemble, compile};
use crate::plan::codes::Code;
use crate::plan::index::{Index, Vertex};
use crate::plan::reach::Plan;
use crate::plan::verdict::{Note, Refusal};
use crate::source::extract::Wanted;
use crate::source::file::{FnKey, Shape};
use crate::source::items::CrateSource;

/// How often functions are added to a patch because what was compiled needs them.
const ROUNDS: usize = 8;

impl Maker<'_> {
    pub(super) fn build(
        &mut self,
        sources: &[CrateSource],
        index: &Index,
        graph: &CallGraph,
        plan: &Plan,
        check: &mut BackgroundCheck,
        times: &mut Times,
    ) -> Result<Built> {
        let mut keeps_made = self.world.keeps_made;
        // Why there is none without what macros made.
        let mut lacking: Option<Refusal> = None;
        let mut include = plan.include.clone();
        let mut added: BTreeSet<NewStatic> = BTreeSet::new();
        let mut with_empty_slot: BTreeSet<Vertex> = BTreeSet::new();
        let mut called: BTreeMap<Vertex, String> = BTreeMap::new();
        // The program's instances of generic code that changed are old code.
        let has_old = plan
            .stale
            .iter()
            .filter_map(|vertex| index.known(*vertex))
            .any(|known| known.shape == Shape::Reinstantiated)
            // And so are those for types that look different now.
            || plan.retyped > 0
            || self.use_new_locals(sources, index, &include);
        let mut instances = if has_old && self.world.guard.is_blind() {
            // A closure or future may have another size, which only debug information would show.
            Instances::Alone
        } else if has_old {
            Instances::Own
        } else {
            Instances::Shared
        };
        for _ in 0..ROUNDS {
            let started = Instant::now();
            let mut wanted = vec![false; sources.len()];
            for known in include.iter().filter_map(|vertex| index.known(*vertex)) {
                wanted[known.krate] = true;
            }
            added.iter().for_each(|item| wanted[item.krate] = true);
            let told = instances.told();
            let seen = self
                .world
                .scopes(sources, &wanted, told, keeps_made, self.cancel);
            let seen = match (seen, lacking.take()) {
                (Err(error), Some(refusal)) if !self.cancel.is_cancelled() => {
                    return Ok(Built::Refused(refusal.because(error.to_string())));
                }
                (seen, _) => seen?,
            };
            times.scope += started.elapsed();

            let started = Instant::now();
            let what = What {
                include: &include,
                added: &added,
                called: &called,
                instances,
                bare: false,
            };
            let round = self.compile(sources, index, graph, &what, &seen)?;
            times.compile += started.elapsed();
            if keeps_made && let Some(refusal) = with_blank_body(sources, index, &include, &round) {
                return Ok(Built::Refused(refusal));
            }
            let needs = self.check(sources, index, graph, plan, &include, &round);
            if needs.refusal.is_none() && !needs.in_place.is_empty() {
                return Ok(Built::InPlace(needs.in_place));
            }
            if needs.only_made && !keeps_made {
                keeps_made = true;
                lacking = needs.refusal;
                continue;
            }
            if let Some(refusal) = needs.refusal {
                instances = match instances {
                    Instances::Shared => Instances::Own,
                    Instances::Own if needs.only_instances => Instances::Alone,
                    _ => return Ok(Built::Refused(refusal)),
                };
            } else if needs.functions.is_empty()
                && needs.with_empty_slot.is_empty()
                && needs.statics.is_empty()
                && needs.called.is_empty()
            {
                let started = Instant::now();
                if let Some(refusal) = self.disagreement(sources, index, plan, &round)? {
                    // An instance for what a closure or future was may be all that there is to it.
                    if is_environment(&refusal.message) && instances != Instances::Alone {
                        instances = Instances::Alone;
                        continue;
                    }
                    return Ok(Built::Refused(refusal));
                }
                times.link += started.elapsed();
                let started = Instant::now();
                let bare = What { bare: true, ..what };
                if let Some(refusal) = self.held_strangers(sources, index, graph, &bare, &seen)? {
                    return Ok(Built::Refused(refusal));
                }
                times.compile += started.elapsed();
                let broken = self.finish_check(check, times)?;
                if !broken.is_empty() {
                    return Ok(Built::Broken(broken));
                }
                let mut built = self.link(sources, index, round, times)?;
                if let Built::Ready(ready) = &mut built {
                    ready.with_empty_slot = with_empty_slot;
                    self.world.keeps_made = keeps_made;
                }
                return Ok(built);
            }
            let unchanged = needs.with_empty_slot.difference(&needs.functions);
            with_empty_slot.extend(unchanged.filter(|vertex| !include.contains(vertex)));
            include.extend(needs.functions);
            include.extend(needs.with_empty_slot);
            added.extend(needs.statics);
            called.extend(needs.called);
        }
        let vertex = include.first().copied();
        vertex
            .and_then(|v| {
                refuse(sources, index, v, Code::HP0001, |path| {
                    format!("the patch of `{path}` needs more and more functions")
                })
            })
            .map(Built::Refused)
            .context("an empty patch")
    }

    /// Adds who calls whom in this part, under the names that its functions have in the program.
    pub(super) fn add_to(&self, graph: &mut CallGraph, part: &Part) -> Result<()> {
        let object = &part.compiled.object;
        let statics = pairs(&part.added, object).into_iter();
        let locals = statics.filter(|(_, new)| !new.starts_with(STORAGE));
        let functions = object.pairs.iter();
        let functions = functions.map(|pair| (pair.new.clone(), pair.old.clone()));
        let rename: HashMap<String, String> = locals
            .map(|(old, new)| (new, old))
            .chain(functions)
            .collect();
        let tag = &self.world.crates[part.krate].tag;
        graph
            .add_object(tag, &part.compiled.data, &rename)
            .context("failed to read the patch")
    }

    pub(super) fn compile(
        &self,
        sources: &[CrateSource],
        index: &Index,
        graph: &CallGraph,
        what: &What<'_>,
        seen: &[Seen],
    ) -> Result<Vec<Part>> {
        let What {
            include,
            added,
            called,
            instances,
            bare,
        } = *what;
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
                    wanted.push(Wanted {
                        key: key.clone(),
                        hot: known.hot,
                        symbol: called
                            .get(vertex)
                            .cloned()
                            .or_else(|| only_symbol(known, graph)),
                        statics,
                    });
                    vertices.push(*vertex);
                }
            }
            let statics: Vec<NewStatic> = added
                .iter()
                .filter(|item| item.krate == krate)
                .cloned()
                .collect();
            if !wanted.is_empty() || !statics.is_empty() {
                jobs.push((krate, wanted, vertices, statics));
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
                .map(|(krate, wanted, vertices, statics)| {
                    scope.spawn(move || {
                        let unit = &world.crates[krate].unit;
                        let scope = seen[krate]
                            .scope
                            .as_ref()
                            .context("a crate without a scope")?;
                        let name = format!("{}-{attempt}-{krate}", world.generation + 1);
                        let identity =
                            format!("hotpatch-{}-{name}-{:?}", std::process::id(), stamp);
                        let folder = folder.join(format!("text-{name}"));
                        let recipe = Recipe {
                            unit,
                            source: &sources[krate],
                            wanted: &wanted,
                            added: &exported(&statics),
                            scope,
                            changed: &seen[krate].libraries,
                            folder: &folder,
                            identity: &identity,
                            own_instances: instances != Instances::Shared,
                            bare,
                            named: false,
                        };
                        let mut compiled = compile::compile(&recipe, cancel)?;
                        compiled.name_as_in(&world.image);
                        let _ = std::fs::remove_dir_all(&folder);
                        Ok(Part {
                            krate,
                            vertices,
                            added: statics,
                            compiled,
                        })
                    })
                })
                .collect();
            handles
                .into_iter()
                .map(|handle| {
                    handle
                        .join()
                        .unwrap_or_else(|_| Err(anyhow!("a compile panicked")))
                })
                .collect()
        });
        results.into_iter().collect()
    }

    /// Where the newest version of a function or the storage of a static is.
    pub(super) fn address(&self, symbol: &str) -> Option<u64> {
        if let Some(address) = self.world.state().symbols.get(symbol) {
            return Some(*address);
        }
        if let Some(address) = self.world.storage.address(symbol) {
            return Some(address);
        }
        let image = &self.world.image;
        let hot = || {
            self.world.slots.of(symbol)?;
            let text = rustc_demangle::demangle(symbol).to_string();
            image.read_as(&text, &[SymbolKind::Function])
        };
        let known = image.symbols.get(symbol);
        let found = known.or_else(|| hot().map(|(_, found)| found))?;
        let bias = if self.world.image.relocatable {
            self.client.bias()
        } else {
            0
        };
        (found.kind != SymbolKind::Tls).then(|| found.address + bias)
    }

    pub(super) fn link(
        &mut self,
        sources: &[CrateSource],
        index: &Index,
        round: Vec<Part>,
        times: &mut Times,
    ) -> Result<Built> {
        let libraries = self.client.libraries(&self.world.image.needed);
        let mut fresh: HashMap<String, u64> = HashMap::new();
        let mut storage: HashMap<String, u64> = HashMap::new();
        let mut loaded = Vec::new();
        for part in round {
            let started = Instant::now();
            let number = self.world.loads + 1;
            let output = self.folder.join(format!("patch-{number}.so"));
            let parts = Parts {
                compiled: &part.compiled,
                added: &pairs(&part.added, &part.compiled.object),
                image: &self.world.image,
                is_hot: &|symbol| self.world.slots.of(symbol).is_some(),
                linker: &self.world.linker,
                libraries: &libraries,
                output: &output,
            };
            let address = |name: &str| {
                let here = fresh.get(name).or_else(|| storage.get(name));
                here.copied().or_else(|| self.address(name))
            };
            let library = match assemble::library(&parts, &address, self.cancel) {
                Ok(library) => library,
                Err(error) => {
                    if let Some(error) = error.downcast_ref::<TlsError>() {
                        return self.no_way(sources, index, &part, error);
                    }
                    if error.downcast_ref::<Missing>().is_none() {
                        return Err(error);
                    }
                    let first = part.vertices.first().copied();
                    return first
                        .and_then(|v| {
                            refuse(sources, index, v, Code::HP0001, |path| {
                                format!("the edit of `{path}` is not supported yet")
                            })
                        })
                        .map(|refusal| Built::Refused(refusal.because(error.to_string())))
                        .context("a patch without a function");
                }
            };
            times.link += started.elapsed();
            if self.cancel.is_cancelled() {
                return Err(anyhow!(Superseded));
            }
            let started = Instant::now();
            self.world.loads = number;
            let bias = self.client.load(number, &library.path)?;
            times.load += started.elapsed();
            for pair in &part.compiled.object.pairs {
                let at = library
                    .image
                    .symbols
                    .get(&pair.new)
                    .with_context(|| format!("the linked patch has lost `{}`", pair.new))?;
                if self.world.slots.of(&pair.old).is_none() {
                    fresh.insert(pair.old.clone(), bias + at.address);
                }
            }
            for (name, at) in library.image.symbols.iter() {
                if name.starts_with(STORAGE) || name.starts_with(LOCAL) {
                    storage.insert(name.to_owned(), bias + at.address);
                }
            }
            for item in &part.added {
                let at = storage.get(&item.export()).copied();
                let at =
                    at.with_context(|| format!("the linked patch has lost `{}`", item.name))?;
                if item.value.is_some() {
                    // An earlier generation goes back to the value it had.
                    fresh.insert(item.symbol.clone(), at);
                } else {
                    storage.insert(item.symbol.clone(), at);
                }
            }
            loaded.push(Loaded {
                part,
                library,
                number,
            });
        }
        Ok(Built::Ready(Ready {
            loaded,
            symbols: fresh,
            storage,
            with_empty_slot: BTreeSet::new(),
        }))
    }

    /// Code of a patch asks for a thread-local in a way that cannot lead to where it is.
    fn no_way(
        &self,
        sources: &[CrateSource],
        index: &Index,
        part: &Part,
        error: &TlsError,
    ) -> Result<Built> {
        let first = part.vertices.first().copied();
        let refusal = first.and_then(|vertex| {
            refuse(sources, index, vertex, Code::HP0104, |path| {
                format!("a thread-local that `{path}` uses cannot be reached by a patch")
            })
        });
        let refusal = refusal.context("a patch without a function")?;
        Ok(Built::Refused(refusal.because(error.to_string())))
    }

    pub(super) fn publish(
        &mut self,
        sources: Vec<CrateSource>,
        index: &Arc<Index>,
        ready: Ready,
        told: Told,
        mut times: Times,
    ) -> Result<Outcome> {
        let Told {
            notes,
            behind,
            retyped,
        } = told;
        let started = Instant::now();
        let mut stores = Vec::new();
        let mut as_before: Vec<Store> = Vec::new();
        let mut patched = Patched {
            notes,
            ..Patched::default()
        };
        let mut graph = self.world.state().graph.clone();
        for Loaded {
            part,
            library,
            number,
        } in &ready.loaded
        {
            for pair in &part.compiled.object.pairs {
                let path = part
                    .vertices
                    .get(usize::try_from(pair.index).unwrap_or(usize::MAX))
                    .and_then(|vertex| index.known(*vertex))
                    .map(|known| known.path.clone())
                    .unwrap_or_default();
                match self.world.slots.of(&pair.old) {
                    Some(slot) => {
                        let at = library
                            .image
                            .symbols
                            .get(&pair.new)
                            .context("a lost function")?;
                        let target = Target::Patch {
                            generation: *number,
                            offset: at.address,
                        };
                        let vertex = usize::try_from(pair.index).ok();
                        let vertex = vertex.and_then(|at| part.vertices.get(at));
                        if vertex.is_some_and(|vertex| ready.with_empty_slot.contains(vertex)) {
                            as_before.push(Store { slot, target });
                        }
                        stores.push(Store { slot, target });
                        patched.functions.push(path);
                    }
                    None => patched.included.push(path),
                }
            }
            self.add_to(&mut graph, part)?;
            if let Some(refusal) = strangers(&sources, index, &graph, part) {
                return Ok(Outcome::Refused(refusal));
            }
            patched.bytes += library.bytes;
        }
        let others: Vec<Store> = stores
            .iter()
            .filter(|store| !as_before.contains(store))
            .copied()
            .collect();
        let begun = self.begun(&sources, index, &graph, &others)?;
        patched.notes.extend(begun);
        self.client.relist(self.world.image.library_list.as_ref());
        self.client.publish(stores.clone())?;
        self.world.storage.extend(ready.storage);
        self.world.storage.note(&sources);
        times.load += started.elapsed();
        patched.live = Some(Instant::now());
        self.world.guard.published();

        // Code of this patch may outlive a revert, and then still looks into these slots.
        for Store { slot, target } in as_before {
            for state in &mut self.world.states {
                let now = state.slots.entry(slot).or_insert(Target::Base);
                if *now == Target::Base {
                    *now = target;
                }
            }
        }
        let mut state = self.world.state().clone();
        for store in stores {
            state.slots.insert(store.slot, store.target);
        }
        state.take(ready.symbols, index, &graph);
        state.sources = sources;
        state.graph = graph;
        state.behind = behind;
        state.retyped = retyped;
        self.world.states.push(state);
        self.world.generation += 1;
        self.world.adopt(index.clone());
        patched.generation = self.world.generation;
        patched.times = times;
        Ok(Outcome::Patched(patched))
    }
}

/// What is said of a patch, and known of the program once it is live.
#[derive(Default)]
pub(super) struct Told {
    pub(super) notes: Vec<Note>,
    /// Functions whose text is newer than their code.
    pub(super) behind: BTreeSet<(usize, FnKey)>,
    /// How often types changed so far.
    pub(super) retyped: u32,
}

/// A newer save made this work pointless.
#[derive(Debug, thiserror::Error)]
#[error("a newer save came in between")]
pub struct Superseded;

pub(super) struct Part {
    pub(super) krate: usize,
    /// For each index of a pair the function it is of.
    pub(super) vertices: Vec<Vertex>,
    /// Statics it gives storage to.
    pub(super) added: Vec<NewStatic>,
    pub(super) compiled: Compiled,
}

/// What to compile.
pub(super) struct What<'a> {
    pub(super) include: &'a BTreeSet<Vertex>,
    pub(super) added: &'a BTreeSet<NewStatic>,
    /// What code of the scope calls functions that nothing can name but by their symbol, if not what the program does.
    pub(super) called: &'a BTreeMap<Vertex, String>,
    pub(super) instances: Instances,
    /// See [`Recipe::bare`].
    pub(super) bare: bool,
}

pub(super) struct Loaded {
    pub(super) part: Part,
    pub(super) library: Library,
    pub(super) number: u32,
}

#[derive(Default)]
pub(super) struct Ready {
    pub(super) loaded: Vec<Loaded>,
    pub(super) symbols: HashMap<String, u64>,
    /// Statics it brings.
    pub(super) storage: HashMap<String, u64>,
    /// Functions in it that are as they were, see [`super::checks::Needs::with_empty_slot`].
    pub(super) with_empty_slot: BTreeSet<Vertex>,
}

pub(super) enum Built {
    Ready(Ready),
    Refused(Refusal),
    /// These functions are to be left in their place.
    InPlace(BTreeSet<Vertex>),
    /// The sources do not compile.
    Broken(Vec<Diagnostic>),
}
