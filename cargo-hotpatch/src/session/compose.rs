//! From a plan to code that runs: scopes, compiles, checks, links, loads, and at the very end publishes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use hotpatch_rt::wire::{Store, Target};

use super::make::{CALL_SITE, Maker, Outcome, Patched, Times, refuse};
use super::storage::{NewStatic, STORAGE, exported};
use super::world::{Seen, libraries};
use crate::image::demangle::demangle;
use crate::image::elf::Elf;
use crate::image::graph::CallGraph;
use crate::image::symbols::Kind as SymbolKind;
use crate::patch::assemble::{Library, Missing, Parts};
use crate::patch::compile::{Compiled, Recipe};
use crate::patch::{assemble, compile};
use crate::plan::codes::Code;
use crate::plan::index::{Index, Known, Vertex};
use crate::plan::reach::Plan;
use crate::plan::verdict::{Note, Refusal};
use crate::source::extract::Wanted;
use crate::source::fields;
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
        times: &mut Times,
    ) -> Result<Built> {
        let mut include = plan.include.clone();
        let mut added: BTreeSet<NewStatic> = BTreeSet::new();
        // The program's instances of generic code that changed are old code.
        let mut own_instances = plan
            .stale
            .iter()
            .filter_map(|vertex| index.known(*vertex))
            .any(|known| known.shape == Shape::Reinstantiated)
            // And so are those for types that look different now.
            || plan.retyped > 0;
        for _ in 0..ROUNDS {
            let started = Instant::now();
            let mut wanted = vec![false; sources.len()];
            for known in include.iter().filter_map(|vertex| index.known(*vertex)) {
                wanted[known.krate] = true;
            }
            added.iter().for_each(|item| wanted[item.krate] = true);
            let seen = self.world.scopes(sources, &wanted, self.cancel)?;
            times.scope += started.elapsed();

            let started = Instant::now();
            let what = What {
                include: &include,
                added: &added,
                own_instances,
            };
            let round = self.compile(sources, index, graph, &what, &seen)?;
            times.compile += started.elapsed();
            let needs = self.check(sources, index, graph, plan, &include, &round);
            if let Some(refusal) = needs.refusal {
                if own_instances {
                    return Ok(Built::Refused(refusal));
                }
                own_instances = true;
            } else if needs.functions.is_empty() && needs.statics.is_empty() {
                return self.link(sources, index, round, times);
            }
            if let Some(refusal) = before_deref(sources, index, &needs.functions) {
                return Ok(Built::Refused(refusal));
            }
            include.extend(needs.functions);
            added.extend(needs.statics);
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
            own_instances,
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
                        symbol: only_symbol(known, graph),
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
                            own_instances,
                        };
                        let compiled = compile::compile(&recipe, cancel)?;
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

    /// Looks at what was compiled: which functions it needs besides, and what cannot be had.
    pub(super) fn check(
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
            .chain(
                round
                    .iter()
                    .flat_map(|part| &part.added)
                    .map(|item| item.symbol.as_str()),
            )
            .collect();
        for part in round {
            let first = part.vertices.first().or_else(|| include.first()).copied();
            let Some(first) = first else {
                continue;
            };
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
                let of_data = self.world.image.symbols.get(&symbol.name);
                let is_doubtful = of_data.is_some_and(|found| found.kind != SymbolKind::Function)
                    && self.is_doubtful(sources, index, &symbol.name);
                if there && is_doubtful {
                    let name = format!("{:#}", rustc_demangle::demangle(&symbol.name));
                    needs.refusal = refuse(format!(
                        "`{name}`, which a macro made, may be another one in the program"
                    ));
                    continue;
                }
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
                        if let Some(item) = self.new_static(sources, &symbol.name) {
                            needs.statics.insert(item);
                            continue;
                        }
                        let name = format!("{:#}", rustc_demangle::demangle(&symbol.name));
                        needs.refusal = refuse(if is_stale {
                            format!("it goes through `{name}`, which cannot be patched yet")
                        } else {
                            format!("the program has no `{name}`")
                        });
                    }
                }
            }
            if let Some(section) = starts_by_itself(&part.compiled.data) {
                needs.refusal = refuse(format!("code in section {section} would run by itself"));
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
    pub(super) fn address(&self, symbol: &str) -> Option<u64> {
        if let Some(address) = self.world.state().symbols.get(symbol) {
            return Some(*address);
        }
        if let Some(address) = self.world.storage.address(symbol) {
            return Some(address);
        }
        let found = self.world.image.symbols.get(symbol)?;
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
        let libraries = libraries(self.client.pid(), &self.world.image.needed);
        let mut fresh: HashMap<String, u64> = HashMap::new();
        let mut storage: HashMap<String, u64> = HashMap::new();
        let mut loaded = Vec::new();
        for part in round {
            let started = Instant::now();
            let number = self.world.loads + 1;
            let output = self.folder.join(format!("patch-{number}.so"));
            let parts = Parts {
                compiled: &part.compiled,
                added: &exported(&part.added),
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
            let image = self.client.image().clone();
            self.world.loads = number;
            let bias = self.client.load(number, &library.path, &image)?;
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
                if name.starts_with(STORAGE) {
                    storage.insert(name.to_owned(), bias + at.address);
                }
            }
            for item in &part.added {
                let at = storage.get(&item.export()).copied();
                let at =
                    at.with_context(|| format!("the linked patch has lost `{}`", item.name))?;
                storage.insert(item.symbol.clone(), at);
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
        }))
    }

    pub(super) fn publish(
        &mut self,
        sources: Vec<CrateSource>,
        index: &Arc<Index>,
        ready: Ready,
        notes: Vec<Note>,
        behind: BTreeSet<(usize, FnKey)>,
        retyped: u32,
        mut times: Times,
    ) -> Result<Outcome> {
        let started = Instant::now();
        let mut stores = Vec::new();
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
                        let at = library
                            .image
                            .symbols
                            .get(&pair.new)
                            .context("a lost function")?;
                        let target = Target::Patch {
                            generation: *number,
                            offset: at.address,
                        };
                        stores.push(Store { slot, target });
                        patched.functions.push(path);
                    }
                    None => patched.included.push(path),
                }
            }
            let tag = &self.world.crates[part.krate].tag;
            graph
                .add_object(tag, &part.compiled.data, &rename)
                .context("failed to read the patch")?;
            if let Some(refusal) = strangers(&sources, index, &graph, part) {
                return Ok(Outcome::Refused(refusal));
            }
            patched.bytes += library.bytes;
        }
        self.client.relist(self.world.image.library_list.as_ref());
        self.client.publish(stores.clone())?;
        self.world.storage.extend(ready.storage);
        self.world.storage.note(&sources);
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
        state.retyped = retyped;
        self.world.states.push(state);
        self.world.generation += 1;
        self.world.adopt(index.clone());
        patched.generation = self.world.generation;
        patched.times = times;
        Ok(Outcome::Patched(patched))
    }
}

/// A static inside a function whose storage is not found.
#[derive(Debug, thiserror::Error)]
#[error("the storage of `static {1}` in `{0}` is not known")]
pub(super) struct Unbindable(pub(super) String, pub(super) String);

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
    pub(super) own_instances: bool,
}

/// What a compiled patch lacks.
#[derive(Default)]
pub(super) struct Needs {
    /// Functions that must be in it, too.
    pub(super) functions: BTreeSet<Vertex>,
    /// Statics that need storage.
    pub(super) statics: BTreeSet<NewStatic>,
    /// Why it cannot be had; with instances of its own it may be another matter.
    pub(super) refusal: Option<Refusal>,
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
}

pub(super) enum Built {
    Ready(Ready),
    Refused(Refusal),
}

/// The symbol of the function itself, not of closures in it, if there is one and no other.
fn only_symbol(known: &Known, graph: &CallGraph) -> Option<String> {
    let is_own = |symbol: &&str| demangle(symbol).is_some_and(|found| found.rest.is_empty());
    let names: BTreeSet<&str> = known
        .nodes
        .iter()
        .map(|node| graph.name(*node))
        .filter(is_own)
        .collect();
    let mut names = names.into_iter();
    names
        .next()
        .filter(|_| names.next().is_none())
        .map(str::to_owned)
}

/// Private fields of a type with a `Deref` stay private in a scope. Code that may use one would, in a patch,
/// be led past it to a field of that name behind the `Deref`.
pub(super) fn before_deref(
    sources: &[CrateSource],
    index: &Index,
    functions: &BTreeSet<Vertex>,
) -> Option<Refusal> {
    let fields: Vec<_> = sources
        .iter()
        .map(fields::private_fields_before_deref)
        .collect();
    functions.iter().find_map(|vertex| {
        let known = index.known(*vertex)?;
        let source = sources.get(known.krate)?;
        let own = fields.get(known.krate)?;
        let used: BTreeSet<String> = known
            .keys
            .iter()
            .filter(|_| !own.is_empty())
            .filter_map(|key| source.function(key))
            .flat_map(|(file, function)| fields::fields_used(file, function))
            .collect();
        let (_, field) = own
            .iter()
            .find(|(module, field)| used.contains(field) && known.module.starts_with(module))?;
        refuse(sources, index, *vertex, Code::HP0001, |path| {
            format!(
                "`{path}` uses a private field of a type with a `Deref`, which is not supported yet"
            )
        })
        .map(|refusal| refusal.because(format!("`.{field}` could mean a field behind the `Deref`")))
    })
}

/// In a scope all names are visible, and one that was not may have taken the place of the one meant. Code
/// that calls a private function from outside its module shows it.
pub(super) fn strangers(
    sources: &[CrateSource],
    index: &Index,
    graph: &CallGraph,
    part: &Part,
) -> Option<Refusal> {
    for pair in &part.compiled.object.pairs {
        let at = usize::try_from(pair.index).unwrap_or(usize::MAX);
        let (Some(node), Some(caller)) = (graph.node(&pair.old), part.vertices.get(at).copied())
        else {
            continue;
        };
        let Some(module) = index.known(caller).map(|known| &known.module) else {
            continue;
        };
        for callee in graph.callees(node) {
            let known = index.vertex(*callee).and_then(|vertex| index.known(vertex));
            let Some(known) = known.filter(|known| known.krate == part.krate) else {
                continue;
            };
            let own = known.private.then(|| known.module.clone());
            let home =
                own.or_else(|| sources[part.krate].home_of_private_trait(known.keys.first()?));
            if home.is_some_and(|home| !module.starts_with(&home)) {
                return refuse(sources, index, caller, Code::HP0001, |path| {
                    format!("names in `{path}` would not mean what they mean in the crate")
                })
                .map(|refusal| {
                    refusal.because(format!(
                        "the patch would call `{}`, which is private",
                        known.path
                    ))
                });
            }
        }
    }
    None
}

/// A section of functions that run when the library is loaded.
fn starts_by_itself(object: &[u8]) -> Option<String> {
    let names = [
        ".init_array",
        ".preinit_array",
        ".ctors",
        ".fini_array",
        ".dtors",
    ];
    let elf = Elf::parse(object).ok()?;
    let mut found = elf.sections.iter().map(|section| section.name);
    let found = found.find(|section| names.iter().any(|name| section.starts_with(name)));
    found.map(str::to_owned)
}

pub(super) fn is_code(graph: &CallGraph, symbol: &str) -> bool {
    use crate::image::graph::NodeKind;
    graph
        .nodes_named(symbol)
        .any(|node| graph.kind(node) == NodeKind::Function)
}
