//! What is known of the process and its crates, and the steps from a save to running code.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use hotpatch_rt::wire::{Place, Redirect};
use xxhash_rust::xxh3::xxh3_128;

use super::addresses::{Addresses, Found};
use super::compile::compile;
use super::libraries::Libraries;
use super::objects::{self, Objects, facts_beside, hashes};
use super::refusals::{is_retyped, shown, values_are_alive};
use super::stacks::CodeMap;
use super::sources::Inputs;
use crate::build::base::{Base, Stamp};
use crate::build::capture::Unit;
use crate::build::replay::{Replayed, mir};
use crate::build::slotted::LinkedObjects;
use crate::command::CancelToken;
use crate::image::layouts::Layouts;
use crate::image::symbols::{BaseImage, Kind as SymbolKind};
use crate::object::fingerprint::{Definition, Kind, definitions};
use crate::object::names::{NameId, Names};
use crate::object::v0;
use crate::patch::from_objects::{Library, Parts, library};
use crate::patch::link::Linker;
use crate::patch::tls::Reach;
use crate::plan::changes::{Changes, Definitions, Selection, select};
use crate::plan::codes::Code;
use crate::plan::verdict::{Note, Refusal};
use crate::plan::worlds::{Alive, alive, compare, retyped};
use crate::plan::disguises::{Disguise, Finder};
use crate::run::client::Client;
use crate::session::make::{CALL_SITE, Outcome, Patched, Times};
use crate::session::world::{libraries, linker};

/// A crate of the workspace.
pub(super) struct Crate {
    pub(super) unit: Unit,
    pub(super) inputs: Inputs,
    /// The objects whose code runs, as far as it is compared.
    pub(super) running: Objects,
    /// The objects as they were compiled last.
    pub(super) latest: Objects,
    /// Of what other crates see of it.
    pub(super) metadata: Option<u128>,
    /// The libraries and macros of others that it was compiled with.
    pub(super) externs: Vec<(PathBuf, Stamp)>,
}

/// The process and its crates.
pub(super) struct Engine {
    pub(super) crates: Vec<Crate>,
    names: Names,
    addresses: Addresses,
    libraries: Libraries,
    /// Names of the workspace's crates, as symbols have them.
    crate_names: Vec<String>,
    linked: LinkedObjects,
    linker: Linker,
    pid: u32,
    bias: u64,
    folder: PathBuf,
    code: CodeMap,
    /// Types that the source had once.
    gone_types: Layouts,
    /// Where the next library is linked for, near a program whose addresses are fixed.
    next_place: Option<u64>,
    /// Libraries loaded so far, also those that did not go live.
    loaded: u32,
    generation: u32,
}

/// The program's file, for what a patch refers to.
///
/// # Errors
/// It cannot be read.
pub(super) fn read_program(base: &Base) -> Result<BaseImage> {
    let data = fs::read(&base.program)
        .with_context(|| format!("failed to read `{}`", base.program.display()))?;
    BaseImage::parse(&data)
        .with_context(|| format!("failed to read `{}`", base.program.display()))
}

impl Engine {
    /// For a program that has just started.
    ///
    /// # Errors
    /// What was kept of its link cannot be read.
    pub(super) fn new(
        base: &Base,
        image: BaseImage,
        client: &Client,
        folder: &Path,
    ) -> Result<Self> {
        let program = base.units.last().context("the program has no crate")?;
        let linked = LinkedObjects::read(program)?;
        let mut names = Names::default();
        let next_place = (!image.relocatable).then(|| {
            let symbols = image.symbols.iter().map(|(_, symbol)| symbol);
            let addresses = symbols.filter(|of| of.kind != SymbolKind::Tls).map(|of| of.address);
            let end = addresses.max().unwrap_or_default();
            (end + GAP).next_multiple_of(PLACE_ALIGN).max(FIRST_PLACE)
        });
        let code = CodeMap::new(&image, client.bias());
        let addresses = Addresses::new(image, client.bias(), &linked.slots, &mut names)?;
        let crates = base.units.iter().map(|unit| Crate {
            inputs: Inputs::of_base(unit, base.began),
            unit: unit.clone(),
            running: Objects::new(),
            latest: Objects::new(),
            metadata: metadata_of(unit),
            externs: Vec::new(),
        });
        let mut crates: Vec<Crate> = crates.collect();
        for index in 0..crates.len() {
            crates[index].externs = externs_of_others(&crates[index].unit, &crates);
        }
        let folders = folders(&crates);
        Ok(Self {
            crate_names: crates.iter().map(|of| of.unit.krate.clone()).collect(),
            crates,
            names,
            addresses,
            libraries: Libraries::new(linked.libraries.clone(), &folders),
            linker: linker(Some(program)),
            linked,
            pid: client.pid(),
            bias: client.bias(),
            folder: folder.to_owned(),
            code,
            next_place,
            gone_types: Layouts::default(),
            loaded: 0,
            generation: 0,
        })
    }

    /// Reads the objects that the program was linked from.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn read_base(&mut self) -> Result<()> {
        for krate in &mut self.crates {
            let kept = self.linked.objects.get(&krate.unit.stem());
            let paths: Vec<PathBuf> = kept.into_iter().flatten().map(|k| k.path.clone()).collect();
            let sources = spellings(&krate.unit, &krate.inputs);
            let is_source = |path: &[u8]| sources.contains(path);
            krate.running = objects::read(&paths, &Objects::new(), &mut self.names, &is_source)?;
            krate.latest.clone_from(&krate.running);
        }
        Ok(())
    }

    /// How many functions of the program can be replaced.
    pub(super) fn replaceable(&self) -> usize {
        self.linked.slots.len()
    }

    /// Whether the program was linked with the library of this stem.
    pub(super) fn is_linked(&self, stem: &str) -> bool {
        let mut stems = self.linked.libraries.iter().filter_map(|path| path.file_stem());
        stems.any(|library| library.to_str().and_then(|name| name.strip_prefix("lib")) == Some(stem))
    }

    /// There may be other libraries to take something from.
    pub(super) fn learn_libraries(&mut self) {
        let folders = folders(&self.crates);
        self.libraries = Libraries::new(self.linked.libraries.clone(), &folders);
        self.crate_names = self.crates.iter().map(|of| of.unit.krate.clone()).collect();
    }

    /// All files that a crate was compiled from.
    pub(super) fn files(&self) -> BTreeSet<PathBuf> {
        let files = self.crates.iter().flat_map(|krate| krate.inputs.files());
        files.cloned().collect()
    }

    /// Files of crates that may have been written while the base was built.
    pub(super) fn stale_files(&mut self) -> BTreeSet<PathBuf> {
        let stale = self.crates.iter().filter(|krate| krate.inputs.is_stale());
        stale
            .filter_map(|krate| krate.inputs.files().next().cloned())
            .collect()
    }

    /// Compiles what changed, compares it with what runs, and replaces what differs.
    ///
    /// # Errors
    /// A tool or the file system failed, the work was cancelled, or the agent is gone.
    pub(super) fn follow(&mut self, client: &mut Client, cancel: &CancelToken) -> Result<Outcome> {
        let mut times = Times::default();
        let begun = Instant::now();
        if let Some(broken) = self.compile(cancel)? {
            return Ok(broken);
        }
        times.compile = begun.elapsed();
        let begun = Instant::now();
        let plan = match self.plan(cancel)? {
            Planned::Nothing => return Ok(Outcome::Unchanged),
            Planned::Refused(refusal) => return Ok(Outcome::Refused(refusal)),
            Planned::Patch(plan) => plan,
        };
        times.check = begun.elapsed();
        let changes = &plan.changes;
        let (functions, included) = self.shown(changes.changed.iter());
        let mut patched = Patched {
            functions,
            included,
            notes: plan.notes,
            ..Patched::default()
        };
        let begun = Instant::now();
        let made = self.make(changes, &plan.twice, client, cancel)?;
        times.link = begun.elapsed();
        let begun = Instant::now();
        if let Some((selection, loaded)) = made {
            patched.bytes = loaded.library.bytes;
            self.apply(&selection, &loaded, client)?;
        }
        for name in &plan.changes.gone {
            self.addresses.forget(*name);
        }
        let mut gone = self.gone_types.without(&plan.known);
        gone.learn(plan.gone);
        self.gone_types = gone;
        for krate in &mut self.crates {
            krate.running.clone_from(&krate.latest);
        }
        times.load = begun.elapsed();
        self.generation += 1;
        patched.generation = self.generation;
        patched.times = times;
        patched.live = Some(Instant::now());
        Ok(Outcome::Patched(patched))
    }

    /// What the compiled crates mean for the process.
    fn plan(&mut self, cancel: &CancelToken) -> Result<Planned> {
        let old = all_definitions(self.crates.iter().map(|krate| &krate.running));
        let new = all_definitions(self.crates.iter().map(|krate| &krate.latest));
        let names = &self.names;
        let changes = Changes::between(&old, &new, |name| names.text(name).contains(CALL_SITE));
        if changes.is_nothing() {
            return Ok(Planned::Nothing);
        }
        let crates: Vec<&str> = self.crate_names.iter().map(String::as_str).collect();
        let running = || self.crates.iter().flat_map(|krate| &krate.running);
        let latest = || self.crates.iter().flat_map(|krate| &krate.latest);
        let mut old_facts = facts_beside(running(), &hashes(latest()), &crates)?;
        let new_facts = facts_beside(latest(), &hashes(running()), &crates)?;
        // A type that comes again is compared with what it was when it went.
        old_facts.layouts.learn(self.gone_types.without(&old_facts.layouts));
        let can_be_replaced = |name| is_replaceable(names.text(name), &crates);
        let worlds = compare(&old_facts, &new_facts, &new, &old, names, can_be_replaced);
        if let Some((symbol, (was, is))) = retyped(&old_facts, &new_facts, &old, names)
            .into_iter()
            .next()
        {
            return Ok(Planned::Refused(is_retyped(symbol, was, is)));
        }
        let on_stack = self.code.look(self.pid).unwrap_or_default();
        let mut alive = alive(&worlds, &old_facts, &old, names, &on_stack.functions);
        if alive.is_empty() {
            let disguises = self.disguises(&worlds.named(), cancel)?;
            alive.extend(disguises.into_iter().map(Alive::Disguised));
        }
        if !alive.is_empty() {
            let files: Vec<PathBuf> = self.files().into_iter().collect();
            return Ok(Planned::Refused(values_are_alive(&worlds, &alive, &files)));
        }
        let mut notes = Vec::new();
        for place in &on_stack.functions {
            let name = names.get(&place.symbol);
            if name.is_some_and(|name| changes.changed.contains(&name)) {
                notes.push(note(
                    Code::HP0201,
                    format!(
                        "thread `{}` is in `{}` and runs its old code until it is called again",
                        place.thread,
                        shown(&place.symbol)
                    ),
                    old_facts.functions.get(&place.symbol).map(|of| (&of.file, of.line)),
                ));
            }
        }
        for name in &changes.initialisers {
            let symbol = names.text(*name);
            notes.push(note(
                Code::HP0204,
                format!("static `{}` keeps its value", shown(symbol)),
                new_facts.statics.get(symbol).map(|of| (&of.file, of.line)),
            ));
        }
        let gone = old_facts.layouts.without(&new_facts.layouts);
        Ok(Planned::Patch(Plan {
            changes,
            twice: worlds.twice,
            notes,
            gone,
            known: new_facts.layouts,
        }))
    }

    /// Compiles the crates whose files differ, and those that see something else of them.
    fn compile(&mut self, cancel: &CancelToken) -> Result<Option<Outcome>> {
        let externs = self.crates.iter().map(|of| externs_of_others(&of.unit, &self.crates));
        let externs: Vec<Vec<(PathBuf, Stamp)>> = externs.collect();
        let dirty = self.crates.iter_mut().zip(&externs).map(|(krate, externs)| {
            // Macros may have been built anew under the same name.
            let has_others = krate.externs != *externs;
            krate.inputs.is_stale() || has_others || !krate.inputs.changed().is_empty()
        });
        let dirty: Vec<bool> = dirty.collect();
        let mut compiled = compile(&self.crates, &dirty, &self.early_folder(), cancel);
        let mut stopped = Ok(None);
        for (index, result) in compiled.results {
            let krate = &mut self.crates[index];
            match result {
                Ok(Replayed::Compiled(paths)) if matches!(stopped, Ok(None)) => {
                    let look = compiled.before.remove(&index).unwrap_or_default();
                    krate.inputs.compiled(&krate.unit, &look);
                    let sources = spellings(&krate.unit, &krate.inputs);
                    let is_source = |path: &[u8]| sources.contains(path);
                    let mut known = krate.running.clone();
                    known.extend(krate.latest.iter().cloned());
                    krate.latest = objects::read(&paths, &known, &mut self.names, &is_source)?;
                    krate.metadata = metadata_of(&krate.unit);
                    krate.externs.clone_from(&externs[index]);
                }
                // Compiled with something that did not come to an end.
                Ok(Replayed::Compiled(_)) => krate.inputs.expire(),
                Ok(Replayed::Broken(found)) => {
                    krate.inputs.expire();
                    if matches!(stopped, Ok(None)) {
                        stopped = Ok(Some(Outcome::Broken(found)));
                    }
                }
                Err(error) => {
                    krate.inputs.expire();
                    stopped = Err(error);
                }
            }
        }
        stopped
    }

    /// For metadata of crates whose code is still being made.
    fn early_folder(&self) -> PathBuf {
        let program = self.crates.last().map(|of| of.unit.folder.clone());
        program.unwrap_or_default().join("early")
    }

    /// Where code takes values for those of another type, if one of these types is among them. rustc is only asked
    /// where `unsafe` is written at all.
    fn disguises(&self, types: &BTreeSet<String>, cancel: &CancelToken) -> Result<Vec<Disguise>> {
        let mut found = Vec::new();
        if types.is_empty() || !self.files().iter().any(|file| says_unsafe(file)) {
            return Ok(found);
        }
        for krate in &self.crates {
            if hashes(krate.running.iter()) == hashes(krate.latest.iter()) {
                continue;
            }
            let mut finder = Finder::new(types);
            mir(&krate.unit, cancel, |line| finder.line(line))
                .context("failed to see what `unsafe` code does with types")?;
            found.extend(finder.found());
        }
        Ok(found)
    }

    /// Makes the library, if there is anything to bring into the process.
    fn make(
        &mut self,
        changes: &Changes,
        twice: &BTreeSet<NameId>,
        client: &mut Client,
        cancel: &CancelToken,
    ) -> Result<Option<(Selection, Loaded)>> {
        // Definitions of libraries that the program was linked with, as far as they are needed.
        let mut lent: BTreeMap<String, (Vec<u8>, Vec<Definition>)> = BTreeMap::new();
        let selection = loop {
            let mut new = all_definitions(self.crates.iter().map(|krate| &krate.latest));
            for (_, definitions) in lent.values() {
                new.extend(definitions.iter().map(|of| (of.name, of)));
            }
            let names = &self.names;
            let crates: Vec<&str> = self.crate_names.iter().map(String::as_str).collect();
            let selection = select(
                changes,
                twice,
                &new,
                |name| self.addresses.has(name, names),
                |name| is_replaceable(names.text(name), &crates),
            );
            let mut found = Vec::new();
            for name in &selection.missing {
                let object = self.libraries.object(names.text(*name));
                found.extend(object.filter(|(name, _)| !lent.contains_key(name)));
            }
            if found.is_empty() {
                break selection;
            }
            for (name, bytes) in found {
                let defined = definitions(&bytes, &mut self.names, &|_| false)?;
                lent.insert(name, (bytes, defined));
            }
        };
        if selection.redirected.is_empty() {
            return Ok(None);
        }
        let defined = all_definitions(self.crates.iter().map(|krate| &krate.latest));
        let is_thread_local = |name: &&NameId| {
            let definition = defined.get(name);
            definition.is_some_and(|definition| definition.kind == Kind::ThreadLocal)
        };
        let threads = selection.brought.iter().filter(is_thread_local);
        let threads: BTreeSet<NameId> = threads.copied().collect();
        if !threads.is_empty() {
            self.bring_thread_locals(&threads, client, cancel)?;
        }
        let mut selection = selection;
        selection.brought.retain(|name| !threads.contains(name));
        let library = self.load(&selection, &BTreeSet::new(), &lent, client, cancel)?;
        Ok(Some((selection, library)))
    }

    /// Thread-locals come in a library of their own, before the code that uses them: where the loader puts them is the
    /// same distance from the thread pointer in all threads, and code is bound to that.
    fn bring_thread_locals(
        &mut self,
        threads: &BTreeSet<NameId>,
        client: &mut Client,
        cancel: &CancelToken,
    ) -> Result<()> {
        let selection = Selection {
            brought: threads.clone(),
            ..Selection::default()
        };
        let loaded = self.load(&selection, threads, &BTreeMap::new(), client, cancel)?;
        let memory = fs::File::open(format!("/proc/{}/mem", self.pid))
            .context("failed to read the program's memory")?;
        for (text, cell) in loaded.library.thread_locals() {
            let mut bytes = [0; 8];
            memory
                .read_exact_at(&mut bytes, loaded.bias + cell)
                .context("failed to read the program's memory")?;
            let offset = i64::from_le_bytes(bytes);
            self.addresses.bring_thread_local(self.names.id(text), offset);
        }
        Ok(())
    }

    /// Links a library and loads it; nothing is led into it yet.
    fn load(
        &mut self,
        selection: &Selection,
        threads: &BTreeSet<NameId>,
        lent: &BTreeMap<String, (Vec<u8>, Vec<Definition>)>,
        client: &mut Client,
        cancel: &CancelToken,
    ) -> Result<Loaded> {
        let image = client.image().clone();
        for _ in 0..PLACES {
            self.loaded += 1;
            let output = self.folder.join(format!("patch-{}.so", self.loaded));
            let library = self.link(selection, threads, lent, &output, cancel)?;
            let bias = client.load(self.loaded, &library.path, &image)?;
            if let Some(next) = &mut self.next_place {
                *next = library.end.max(*next + 1).next_multiple_of(PLACE_ALIGN);
            }
            if bias == 0 || !library.is_fixed {
                return Ok(Loaded {
                    library,
                    bias,
                    generation: self.loaded,
                });
            }
            // Something else is there: further on there may be room.
            self.next_place = self.next_place.map(|next| next + PLACE_STEP);
        }
        bail!("the program has no room for a patch near its own code")
    }

    fn link(
        &self,
        selection: &Selection,
        threads: &BTreeSet<NameId>,
        lent: &BTreeMap<String, (Vec<u8>, Vec<Definition>)>,
        output: &Path,
        cancel: &CancelToken,
    ) -> Result<Library> {
        let is_selected = |definition: &Definition| {
            let name = &definition.name;
            selection.redirected.contains(name)
                || selection.slotted.contains(name)
                || selection.brought.contains(name)
        };
        let mut objects = Vec::new();
        for (index, krate) in self.crates.iter().enumerate() {
            for object in &krate.latest {
                if object.definitions.iter().any(is_selected) {
                    objects.push((format!("{index}-{}", object.name), object.bytes()?));
                }
            }
        }
        for (name, (bytes, definitions)) in lent {
            if definitions.iter().any(is_selected) {
                objects.push((name.clone(), bytes.clone()));
            }
        }
        let names = &self.names;
        let texts = |of: &BTreeSet<NameId>| of.iter().map(|name| names.text(*name)).collect();
        let id = |text: &str| names.get(text);
        let image = self.addresses.image();
        let mut shared = libraries(self.pid, &image.needed);
        shared.extend(siblings(&shared));
        library(
            Parts {
                objects,
                slotted: texts(&selection.slotted),
                redirected: texts(&selection.redirected),
                brought: texts(&selection.brought),
                thread_locals: texts(threads),
                preferred: self.next_place,
                address: &|text| {
                    let found = id(text).map(|name| self.addresses.find(name, names));
                    match found {
                        Some(found) => found.map(|found| found.address),
                        None => {
                            let symbol = image.symbols.get(text)?;
                            Some(self.bias + symbol.address)
                        }
                    }
                },
                thread_local: &|text| {
                    let offset = match id(text) {
                        Some(name) => self.addresses.thread_local(name, names),
                        None => image.tls_offset_of(text),
                    };
                    offset.map(Reach::Offset)
                },
                image,
                linker: &self.linker,
                libraries: &shared,
                output,
            },
            cancel,
        )
    }

    /// Leads the slots into a library, and learns what it brought.
    fn apply(
        &mut self,
        selection: &Selection,
        loaded: &Loaded,
        client: &mut Client,
    ) -> Result<()> {
        let Loaded {
            library,
            bias,
            generation,
        } = loaded;
        let (generation, bias) = (*generation, *bias);
        let mut redirects = Vec::new();
        for name in &selection.redirected {
            let found = self.addresses.find(*name, &self.names);
            let text = self.names.text(*name);
            let slot = found.and_then(|found| found.slot);
            redirects.push(Redirect {
                cell: slot.with_context(|| format!("`{text}` has no slot"))?,
                function: Place {
                    generation,
                    offset: library.offset(text)?,
                },
            });
        }
        client.redirect(redirects)?;
        self.code.learn(&library.image, bias);
        client.relist(self.addresses.image().library_list.as_ref());
        for (text, cell, jump) in library.slots() {
            let found = Found {
                address: bias + jump,
                slot: Some(Place {
                    generation,
                    offset: cell,
                }),
            };
            self.addresses.bring(self.names.id(text), found);
        }
        for name in &selection.brought {
            if let Some(symbol) = library.image.symbols.get(self.names.text(*name)) {
                let found = Found {
                    address: bias + symbol.address,
                    slot: None,
                };
                self.addresses.bring(*name, found);
            }
        }
        Ok(())
    }

    /// The functions that these symbols are of, as people read them: those that are written in the workspace, and
    /// others, such as instances for its types.
    fn shown<'a>(&self, names: impl Iterator<Item = &'a NameId>) -> (Vec<String>, Vec<String>) {
        let (mut own, mut others) = (BTreeSet::new(), BTreeSet::new());
        for name in names {
            let text = shown(self.names.text(*name));
            let start = text.trim_start_matches('<');
            let is_own = self.crate_names.iter().any(|krate| {
                let rest = start.strip_prefix(krate.as_str());
                rest.is_some_and(|rest| rest.starts_with("::"))
            });
            match is_own {
                // A closure is a part of the function around it, and a shim stands for one.
                true => own.insert(match text.split_once("::{") {
                    Some((function, _)) => function.trim_start_matches('<').to_owned(),
                    None => text,
                }),
                false => others.insert(text),
            };
        }
        (own.into_iter().collect(), others.into_iter().collect())
    }
}

/// A library in the process.
struct Loaded {
    library: Library,
    bias: u64,
    generation: u32,
}

/// The lowest address of a patch.
const FIRST_PLACE: u64 = 1 << 30;
/// How often a library is linked for another place when something is in the one that was chosen.
const PLACES: usize = 4;
const PLACE_ALIGN: u64 = 1 << 16;
const PLACE_STEP: u64 = 64 << 20;
/// Patches begin so far behind the program, which leaves room for its heap.
const GAP: u64 = 256 << 20;

/// What an edit means for the process.
enum Planned {
    Nothing,
    Refused(Refusal),
    Patch(Plan),
}

/// An edit that can go live.
struct Plan {
    changes: Changes,
    twice: BTreeSet<NameId>,
    notes: Vec<Note>,
    /// Types that are not described any more.
    gone: Layouts,
    /// Types that are.
    known: Layouts,
}

fn note(code: Code, message: String, place: Option<(&Option<String>, u32)>) -> Note {
    let (file, line) = place.unwrap_or((&None, 0));
    Note {
        code,
        message,
        file: file.as_deref().map(PathBuf::from).unwrap_or_default(),
        line: usize::try_from(line).unwrap_or_default(),
    }
}

/// Where the libraries are that crates are compiled with.
fn folders(crates: &[Crate]) -> Vec<PathBuf> {
    let folders = crates.iter().filter_map(|krate| krate.unit.args.out_dir());
    let folders: BTreeSet<PathBuf> = folders.map(Path::to_owned).collect();
    folders.into_iter().collect()
}

/// The libraries and macros that a crate is compiled with, but for those of the session's own crates.
fn externs_of_others(unit: &Unit, crates: &[Crate]) -> Vec<(PathBuf, Stamp)> {
    let stems: BTreeSet<String> = crates.iter().map(|of| of.unit.stem()).collect();
    let is_own = |path: &Path| {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        stem.and_then(|stem| stem.strip_prefix("lib")).is_some_and(|stem| stems.contains(stem))
    };
    let mut externs = unit.libraries();
    externs.retain(|(path, _)| !is_own(path));
    externs
}

/// Whether a file has the keyword in it, perhaps in a comment; the lint `unsafe_code` is another word.
fn says_unsafe(file: &Path) -> bool {
    const WORD: &[u8] = b"unsafe";
    let is_word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    fs::read(file).is_ok_and(|text| {
        let mut places = text.windows(WORD.len()).enumerate();
        places.any(|(at, word)| word == WORD && !is_word(text.get(at + WORD.len())))
    })
}

/// Of what other crates see of a crate.
pub(super) fn metadata_of(unit: &Unit) -> Option<u128> {
    let path = unit.rlib.with_extension("rmeta");
    fs::read(path).ok().map(|bytes| xxh3_128(&bytes))
}

/// The crate's files as rustc spells them in panic messages.
fn spellings(unit: &Unit, inputs: &Inputs) -> HashSet<Vec<u8>> {
    let spelled = inputs.files().map(|file| unit.spelling(file));
    spelled
        .map(|path| path.into_os_string().into_encoded_bytes())
        .collect()
}

fn all_definitions<'a>(crates: impl Iterator<Item = &'a Objects>) -> Definitions<'a> {
    let objects = crates.flatten();
    objects
        .flat_map(|object| &object.definitions)
        .map(|definition| (definition.name, definition))
        .collect()
}

/// Whether an edit can change a function, so that it has a slot.
fn is_replaceable(symbol: &str, crates: &[&str]) -> bool {
    !v0::is_mangled(symbol) || v0::mentions(symbol, crates)
}

/// Parts of the C library that a program need not be linked with, such as `libm`.
fn siblings(libraries: &[PathBuf]) -> Vec<PathBuf> {
    let libc = libraries.iter().find(|path| path.ends_with("libc.so.6"));
    let folder = libc.and_then(|path| path.parent());
    let candidates = ["libm.so.6", "libgcc_s.so.1"];
    let found = folder.into_iter().flat_map(|folder| {
        candidates.map(|name| folder.join(name))
    });
    found
        .filter(|path| !libraries.contains(path) && path.exists())
        .collect()
}
