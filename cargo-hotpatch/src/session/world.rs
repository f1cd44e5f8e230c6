//! All that is known of the running program: its crates, symbols, slots, and what each generation changed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use hotpatch_rt::wire::{Store, Target};

use super::guard::Guard;
use super::known;
use super::scopes::extern_names;
use super::storage::Storage;
use crate::build::base::{Base, Stamp, stamp};
use crate::build::capture::Unit;
use crate::image::graph::CallGraph;
use crate::image::symbols::BaseImage;
use crate::patch::link::Linker;
use crate::plan::index::{CrateView, Index, SLOT};
use crate::plan::reach;
use crate::source::cfg::Cfg;
use crate::source::diff::{Changes, same_text, scope_key};
use crate::source::file::{FnKey, Shape};
use crate::source::items::{CrateSource, Files, ReadError};
use crate::source::shadows;

/// A crate of the program.
#[derive(Clone)]
pub struct Krate {
    /// As captured.
    pub unit: Unit,
    /// Its name in the call graph.
    pub tag: String,
    /// What `#[cfg]` sees.
    pub cfg: Cfg,
    /// The key of the scope of the source the base was built from.
    pub base_scope: u64,
}

/// A version of a function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "as in the source")]
pub struct Told {
    pub krate: usize,
    pub key: FnKey,
    pub signature: u64,
    pub code: u64,
}

/// What the program runs in a generation.
#[derive(Clone)]
pub struct State {
    /// The crates' sources.
    pub sources: Vec<CrateSource>,
    /// What each slot that was ever stored to leads to.
    pub slots: BTreeMap<u64, Target>,
    /// Addresses of functions that have newer code than the base's.
    pub symbols: Arc<HashMap<String, u64>>,
    /// Who calls whom.
    pub graph: CallGraph,
    /// Functions, by crate, whose text is newer than all or some of their code in the process.
    pub behind: BTreeSet<(usize, FnKey)>,
    /// How often types changed whose values did not matter.
    pub retyped: u32,
}

/// Slots by the text of their function's symbol.
#[derive(Debug, Clone, Default)]
pub struct Slots {
    by_text: HashMap<String, Option<u64>>,
    names: Vec<String>,
    /// Those of `async` functions.
    futures: BTreeSet<u64>,
    /// Symbols of functions that are planned for as if they had one.
    pretended: Arc<HashSet<String>>,
}

impl Slots {
    fn read(image: &BaseImage) -> Self {
        let mut slots = Self::default();
        for (symbol, at) in image.symbols.iter().filter(|(name, _)| name.contains(SLOT)) {
            let text = rustc_demangle::demangle(symbol).to_string();
            let Some(around) = text.strip_suffix(SLOT).and_then(|t| t.strip_suffix("::")) else {
                continue;
            };
            // That of an `async fn` is in the code of its future.
            let function = around.strip_suffix("::{closure#0}").unwrap_or(around);
            if function != around {
                slots.futures.insert(at.address);
            }
            let name = function.rsplit("::").next().unwrap_or_default().to_owned();
            slots.names.push(name);
            // Two slots of one text cannot be told apart: neither is ever stored to.
            slots
                .by_text
                .entry(function.to_owned())
                .and_modify(|known| *known = None)
                .or_insert(Some(at.address));
        }
        slots
    }

    /// The slot of the function with this symbol.
    #[must_use]
    pub fn of(&self, symbol: &str) -> Option<u64> {
        if !self.names.iter().any(|name| symbol.contains(name.as_str())) {
            return None;
        }
        self.of_text(&rustc_demangle::demangle(symbol).to_string())
    }

    /// The slot of the function whose symbol reads like this.
    #[must_use]
    pub fn of_text(&self, text: &str) -> Option<u64> {
        self.by_text.get(text).copied().flatten()
    }

    /// Whether the function with this symbol has a slot, or is to be planned for as if it had.
    #[must_use]
    pub fn has(&self, symbol: &str) -> bool {
        self.pretended.contains(symbol) || self.of(symbol).is_some()
    }

    /// Whether futures are counted behind this slot.
    #[must_use]
    pub fn counts_futures(&self, slot: u64) -> bool {
        self.futures.contains(&slot)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_text.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_text.is_empty()
    }
}

impl State {
    /// Takes in where the newest code of functions is. What goes by the number that its `impl` had before is the newest, too.
    pub fn take(&mut self, fresh: HashMap<String, u64>, index: &Index, graph: &CallGraph) {
        let text = |symbol: &str| rustc_demangle::demangle(symbol).to_string();
        let mut symbols = (*self.symbols).clone();
        for (symbol, address) in &fresh {
            let nodes = index.by_symbol(symbol).map(|vertex| index.nodes(vertex));
            for node in nodes.into_iter().flatten() {
                let name = graph.name(*node);
                if let Some(known) = symbols.get_mut(name)
                    && name != symbol
                    && text(name) == text(symbol)
                {
                    *known = *address;
                }
            }
        }
        symbols.extend(fresh);
        self.symbols = Arc::new(symbols);
    }
}

/// The running program, as far as patches are concerned.
pub struct World {
    /// Its crates, dependencies first.
    pub crates: Arc<Vec<Krate>>,
    /// What they call each other by other names: the number of a crate, and the name.
    pub(super) extern_names: Arc<BTreeSet<(usize, String)>>,
    /// The program's file.
    pub image: Arc<BaseImage>,
    /// Its slots.
    pub slots: Slots,
    /// What links patches.
    pub linker: Linker,
    /// The generations so far; the base is the first.
    pub states: Vec<State>,
    /// The number of the newest generation.
    pub generation: u32,
    /// How many libraries were loaded.
    pub loads: u32,
    /// Where statics are that patches brought.
    pub storage: Storage,
    /// What the base consists of, as it was when the program started.
    files: Vec<(PathBuf, Stamp)>,
    /// Edits that were refused because no hot function reaches them.
    pub told: BTreeSet<Told>,
    /// What the program and its patches say about types.
    pub guard: Guard,
    /// What the base was built from.
    pub built: Arc<Vec<CrateSource>>,
    /// For each crate the functions whose code rustc understood in its place only.
    pub in_place: Vec<BTreeSet<FnKey>>,
    /// Whether patches bring functions that macros made: some patch had to.
    pub(super) keeps_made: bool,
    graph: Option<JoinHandle<Result<CallGraph>>>,
    /// Of the sources of the current state.
    index: Option<Arc<Index>>,
    /// For each crate the functions that hot ones reached in the base.
    open: Option<Vec<BTreeSet<FnKey>>>,
}

impl World {
    /// Reads what belongs to a base that is about to run. The call graph comes in a thread of its own.
    ///
    /// # Errors
    /// A file of the base or of its sources cannot be read.
    pub fn open(base: &Base, texts: &dyn Files) -> Result<Self> {
        let mut crates = Vec::new();
        let mut sources = Vec::new();
        for unit in &base.units {
            let cfg = Cfg::parse(&unit.cfg).in_edition(unit.edition());
            let known = known::load(unit);
            let source = CrateSource::read(&unit.krate, &unit.root, &cfg, texts, known.as_ref())?;
            if known.is_none_or(|known| !same_text(&known, &source)) {
                // Nobody waits for it.
                let (unit, source) = (unit.clone(), source.clone());
                std::thread::spawn(move || known::store(&unit, &source));
            }
            crates.push(Krate {
                tag: unit.stem(),
                unit: unit.clone(),
                cfg,
                base_scope: 0,
            });
            sources.push(source);
        }
        let extern_names = extern_names(&crates);
        shadows::note(&mut sources, &extern_names);
        for (krate, source) in crates.iter_mut().zip(&sources) {
            krate.base_scope = scope_key(source);
        }
        let data = fs::read(&base.program)
            .with_context(|| format!("failed to read `{}`", base.program.display()))?;
        let image = BaseImage::parse(&data)
            .with_context(|| format!("failed to understand `{}`", base.program.display()))?;
        let slots = Slots::read(&image);
        let built = Arc::new(sources.clone());
        let state = State {
            sources,
            slots: BTreeMap::new(),
            symbols: Arc::default(),
            graph: CallGraph::default(),
            behind: BTreeSet::new(),
            retyped: 0,
        };
        let linker = linker(base.units.last());
        let mut files: Vec<(PathBuf, Stamp)> =
            base.units.iter().flat_map(Unit::libraries).collect();
        files.extend(
            base.units
                .iter()
                .map(|unit| (unit.rlib.clone(), stamp(&unit.rlib))),
        );
        Ok(Self {
            extern_names: Arc::new(extern_names),
            crates: Arc::new(crates),
            image: Arc::new(image),
            slots,
            linker,
            states: vec![state],
            generation: 0,
            loads: 0,
            storage: Storage::of(built.clone()),
            files,
            told: BTreeSet::new(),
            guard: Guard::new(base),
            built,
            in_place: vec![BTreeSet::new(); base.units.len()],
            graph: None,
            index: None,
            open: None,
            keeps_made: false,
        })
    }

    /// What runs now.
    #[must_use]
    pub fn state(&self) -> &State {
        self.states
            .last()
            .expect("invariant: the base is always there")
    }

    /// A file of the base that was built anew since the program started, by another session perhaps:
    /// what would be compiled against it does not fit the program.
    #[must_use]
    pub fn rebuilt(&self) -> Option<&Path> {
        self.files
            .iter()
            .find(|(path, old)| stamp(path) != *old)
            .map(|(path, _)| path.as_path())
    }

    /// Reads the sources again.
    ///
    /// # Errors
    /// A file is missing or does not parse.
    pub fn read_sources(&self, files: &dyn Files) -> Result<Vec<CrateSource>, ReadError> {
        let crates = self.crates.iter().zip(&self.in_place);
        let mut sources: Vec<CrateSource> = crates
            .zip(&self.state().sources)
            .map(|((krate, in_place), old)| {
                let mut source = CrateSource::read(
                    &krate.unit.krate,
                    &krate.unit.root,
                    &krate.cfg,
                    files,
                    Some(old),
                )?;
                source.in_place.clone_from(in_place);
                Ok(source)
            })
            .collect::<Result<_, ReadError>>()?;
        shadows::note(&mut sources, &self.extern_names);
        Ok(sources)
    }

    /// The crates with these sources, as the index takes them.
    #[must_use]
    pub fn views<'a>(&'a self, sources: &'a [CrateSource]) -> Vec<CrateView<'a>> {
        self.crates
            .iter()
            .zip(sources)
            .map(|(krate, source)| CrateView {
                source,
                tag: &krate.tag,
                optimised: krate.unit.args.optimised(),
            })
            .collect()
    }

    /// Begins to read the call graph, which the first edit will need.
    pub fn fetch_graph(&mut self) {
        let is_there = self.graph.is_some() || !self.state().graph.is_empty();
        if !is_there {
            let rlibs: Vec<(String, PathBuf)> = self
                .crates
                .iter()
                .map(|krate| (krate.tag.clone(), krate.unit.rlib.clone()))
                .collect();
            self.graph = Some(std::thread::spawn(move || read_graph(&rlibs)));
        }
    }

    /// Makes sure that the call graph is there.
    ///
    /// # Errors
    /// A library of the workspace cannot be read.
    pub fn ensure_graph(&mut self) -> Result<()> {
        self.fetch_graph();
        let Some(graph) = self.graph.take() else {
            return Ok(());
        };
        let graph = graph
            .join()
            .map_err(|_| anyhow::anyhow!("reading the call graph panicked, please report this"))?
            .context("failed to read who calls whom")?;
        if let Some(state) = self.states.last_mut() {
            state.graph = graph;
        }
        Ok(())
    }

    /// Functions and symbols for these sources, which differ from the current ones by `changes`.
    #[must_use]
    pub fn index(&mut self, sources: &[CrateSource], changes: &[Changes]) -> Arc<Index> {
        let bodies_only = changes.iter().all(Changes::is_bodies_only);
        let slots = &self.slots;
        let has_slot = |symbol: &str| slots.has(symbol);
        let graph = &self
            .states
            .last()
            .expect("invariant: the base is always there")
            .graph;
        if !bodies_only {
            return Arc::new(Index::new(&self.views(sources), graph, &has_slot));
        }
        let mut shared = match self.index.take() {
            Some(index) => index,
            None => Arc::new(Index::new(&self.views(sources), graph, &has_slot)),
        };
        let index = Arc::make_mut(&mut shared);
        index.follow(graph, &has_slot);
        for (krate, changes) in changes.iter().enumerate() {
            let bodies = changes
                .bodies
                .iter()
                .filter_map(|key| sources[krate].function(key));
            bodies.for_each(|(_, function)| index.edited(krate, function));
        }
        self.index = Some(shared.clone());
        shared
    }

    /// Takes the index of sources that have become the current ones.
    pub fn adopt(&mut self, index: Arc<Index>) {
        self.index = Some(index);
    }

    /// Forgets what was derived from a call graph that is not the current one any more.
    pub fn graph_replaced(&mut self) {
        self.index = None;
    }

    /// Plans from now on as if every function had a slot that can be patched under a symbol of its own.
    ///
    /// # Errors
    /// As [`World::ensure_graph`].
    pub fn pretend_hot(&mut self) -> Result<()> {
        self.ensure_graph()?;
        let sources = self.state().sources.clone();
        let index = self.index(&sources, &[]);
        let plain = index
            .functions()
            .iter()
            .filter(|known| known.shape == Shape::Plain);
        let nodes = plain.flat_map(|known| &known.nodes);
        let graph = &self.state().graph;
        let symbols = nodes.map(|node| graph.name(*node).to_owned()).collect();
        self.slots.pretended = Arc::new(symbols);
        self.index = None;
        Ok(())
    }

    /// The same program once more, to try something out; the call graph must be there.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            extern_names: self.extern_names.clone(),
            crates: self.crates.clone(),
            image: self.image.clone(),
            slots: self.slots.clone(),
            linker: self.linker.clone(),
            states: self.states.clone(),
            generation: self.generation,
            loads: self.loads,
            files: self.files.clone(),
            told: self.told.clone(),
            storage: self.storage.clone(),
            guard: self.guard.fork(),
            built: self.built.clone(),
            in_place: self.in_place.clone(),
            graph: None,
            index: self.index.clone(),
            open: self.open.clone(),
            keeps_made: self.keeps_made,
        }
    }

    /// The functions that hot ones reached in the base, by crate.
    pub(super) fn reached(&mut self) -> Result<&[BTreeSet<FnKey>]> {
        if self.open.is_none() {
            self.ensure_graph()?;
            let sources = self.state().sources.clone();
            let index = self.index(&sources, &[]);
            let mut open = vec![BTreeSet::new(); self.crates.len()];
            for vertex in reach::reached(&self.state().graph, &index) {
                if let Some(known) = index.known(vertex) {
                    open[known.krate].extend(known.keys.iter().cloned());
                }
            }
            self.open = Some(open);
        }
        Ok(self.open.as_deref().unwrap_or_default())
    }
}

fn read_graph(rlibs: &[(String, PathBuf)]) -> Result<CallGraph> {
    let mut data = Vec::new();
    for (tag, path) in rlibs {
        let bytes =
            fs::read(path).with_context(|| format!("failed to read `{}`", path.display()))?;
        data.push((tag.as_str(), bytes));
    }
    Ok(CallGraph::from_rlibs(
        data.iter().map(|(tag, bytes)| (*tag, bytes.as_slice())),
    )?)
}

/// lld as it comes with the toolchain, or else whatever `cc` links with.
pub(super) fn linker(unit: Option<&Unit>) -> Linker {
    let lld = unit.and_then(|unit| {
        let sysroot = unit.rustc.parent()?.parent()?;
        let lld = sysroot
            .join("lib/rustlib")
            .join(crate::build::base::HOST)
            .join("bin/rust-lld");
        lld.exists().then_some(lld)
    });
    match lld {
        Some(path) => Linker::RustLld(path),
        None => Linker::Cc(PathBuf::from(
            unit.and_then(|unit| unit.args.codegen("linker"))
                .filter(|l| !l.contains("ld"))
                .unwrap_or("cc"),
        )),
    }
}

/// Shared libraries in the process that the program itself was linked with: what a patch may take
/// symbols from.
#[must_use]
pub fn libraries(pid: u32, needed: &[String]) -> Vec<PathBuf> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let mut found: Vec<PathBuf> = maps
        .lines()
        .filter_map(|line| line.find('/').map(|at| Path::new(&line[at..]).to_owned()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| needed.iter().any(|n| name == n.as_str()))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// What leads from one state of the slots to another; a slot that is in neither leads to the base.
pub(super) fn stores(now: &BTreeMap<u64, Target>, then: &BTreeMap<u64, Target>) -> Vec<Store> {
    let target = |of: &BTreeMap<u64, Target>, slot| of.get(slot).copied().unwrap_or(Target::Base);
    let slots: BTreeSet<&u64> = now.keys().chain(then.keys()).collect();
    slots
        .into_iter()
        .filter(|slot| target(now, slot) != target(then, slot))
        .map(|slot| Store {
            slot: *slot,
            target: target(then, slot),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_back_and_forth_stores_what_differs() {
        let patch = |generation| Target::Patch {
            generation,
            offset: 8,
        };
        let base = BTreeMap::new();
        let first = BTreeMap::from([(1, patch(1))]);
        let second = BTreeMap::from([(1, patch(2)), (2, patch(2))]);
        let slots = |now, then| -> Vec<(u64, Target)> {
            stores(now, then)
                .into_iter()
                .map(|store| (store.slot, store.target))
                .collect()
        };
        assert_eq!(
            slots(&second, &base),
            [(1, Target::Base), (2, Target::Base)]
        );
        assert_eq!(slots(&base, &second), [(1, patch(2)), (2, patch(2))]);
        assert_eq!(slots(&second, &first), [(1, patch(1)), (2, Target::Base)]);
        assert_eq!(slots(&first, &first), []);
    }
}
