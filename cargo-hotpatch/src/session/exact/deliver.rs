//! From a plan to code that runs: what goes into a library, its link, its way into the process.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hotpatch_rt::wire::{Place, Redirect};

use super::addresses::Found;
use super::engine::{Engine, all_definitions};
use super::krate::Crate;
use super::libraries::loaded;
use super::live::Told;
use crate::command::CancelToken;
use crate::object::fingerprint::{Definition, Kind, definitions};
use crate::object::names::NameId;
use crate::patch::from_objects::{Library, Parts, library};
use crate::plan::changes::{Changes, Selection, select};
use crate::run::client::{Client, Publish};

/// A library in the process.
pub(super) struct Loaded {
    pub(super) library: Library,
    bias: u64,
    generation: u32,
}

/// How often a library is linked for another place when something is in the one that was chosen.
const PLACES: usize = 4;

pub(super) const PLACE_ALIGN: u64 = 1 << 16;

const PLACE_STEP: u64 = 64 << 20;

/// Where the definitions of a patch come from.
pub(super) struct Supply {
    /// The crates as they were compiled last.
    pub(super) compiled: bool,
    /// Other objects: of libraries that the program was linked with, as far as they are needed, and of the fast lane.
    pub(super) lent: Lent,
}

impl Supply {
    /// The crates alone.
    fn compiled() -> Self {
        Self {
            compiled: true,
            lent: Lent::new(),
        }
    }
}

/// What definitions of a patch are taken from: objects by name, each with its bytes and what it defines.
pub(super) type Lent = BTreeMap<String, (Vec<u8>, Vec<Definition>)>;

impl Engine {
    /// Makes the library, if there is anything to bring into the process.
    pub(super) fn make(
        &mut self,
        changes: &Changes,
        twice: &BTreeSet<NameId>,
        client: &mut Client,
        cancel: &CancelToken,
    ) -> Result<Option<(Selection, Loaded)>> {
        let mut supply = Supply::compiled();
        let mut selection = self.choose(changes, twice, &mut supply)?;
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
        selection.brought.retain(|name| !threads.contains(name));
        let loaded = self.load(&selection, &BTreeSet::new(), &supply, client, cancel)?;
        Ok(Some((selection, loaded)))
    }

    /// The crates whose objects a patch may take from.
    fn supplied(&self, supply: &Supply) -> impl Iterator<Item = &Crate> {
        let crates = supply.compiled.then_some(&self.crates);
        crates.into_iter().flatten()
    }

    /// Chooses what a patch must hold, and finds what the program lacks of the libraries that it was linked with.
    pub(super) fn choose(
        &mut self,
        changes: &Changes,
        twice: &BTreeSet<NameId>,
        supply: &mut Supply,
    ) -> Result<Selection> {
        loop {
            let supplied = self.supplied(supply);
            let mut new = all_definitions(supplied.map(|krate| &krate.latest));
            for (_, definitions) in supply.lent.values() {
                new.extend(definitions.iter().map(|of| (of.name, of)));
            }
            let names = &self.names;
            let selection = select(
                changes,
                twice,
                &new,
                |name| self.process.addresses.has(name, names),
                |name| names.can_be_replaced(name),
            );
            let mut found = Vec::new();
            for name in &selection.missing {
                let object = self.libraries.object(names.text(*name));
                found.extend(object.filter(|(name, _)| !supply.lent.contains_key(name)));
            }
            if found.is_empty() {
                return Ok(selection);
            }
            for (name, bytes) in found {
                let defined = definitions(&bytes, &mut self.names, &|_| false)?;
                supply.lent.insert(name, (bytes, defined));
            }
        }
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
        let loaded = self.load(&selection, threads, &Supply::compiled(), client, cancel)?;
        let memory = fs::File::open(format!("/proc/{}/mem", self.process.pid))
            .context("failed to read the program's memory")?;
        for (text, cell) in loaded.library.thread_locals() {
            let mut bytes = [0; 8];
            memory
                .read_exact_at(&mut bytes, loaded.bias + cell)
                .context("failed to read the program's memory")?;
            let offset = i64::from_le_bytes(bytes);
            self.process
                .addresses
                .plan_thread_local(self.names.id(text), offset);
        }
        Ok(())
    }

    /// Links a library and loads it; nothing is led into it yet.
    pub(super) fn load(
        &mut self,
        selection: &Selection,
        threads: &BTreeSet<NameId>,
        supply: &Supply,
        client: &mut Client,
        cancel: &CancelToken,
    ) -> Result<Loaded> {
        let image = client.image().clone();
        for _ in 0..PLACES {
            self.process.loaded += 1;
            let output = self
                .process
                .folder
                .join(format!("patch-{}.so", self.process.loaded));
            let library = self.link(selection, threads, supply, &output, cancel)?;
            let bias = client.load(self.process.loaded, &library.path, &image)?;
            self.process.biases.insert(self.process.loaded, bias);
            self.process.was_near = library.is_fixed;
            if let Some(next) = self
                .process
                .next_place
                .as_mut()
                .filter(|_| library.is_fixed)
            {
                *next = library.end.max(*next + 1).next_multiple_of(PLACE_ALIGN);
            }
            if bias == 0 || !library.is_fixed {
                return Ok(Loaded {
                    library,
                    bias,
                    generation: self.process.loaded,
                });
            }
            // Something else is there: further on there may be room.
            self.process.next_place = self.process.next_place.map(|next| next + PLACE_STEP);
        }
        bail!("the program has no room for a patch near its own code")
    }

    fn link(
        &self,
        selection: &Selection,
        threads: &BTreeSet<NameId>,
        supply: &Supply,
        output: &Path,
        cancel: &CancelToken,
    ) -> Result<Library> {
        let is_selected = |definition: &Definition| {
            let name = &definition.name;
            selection.redirected.contains(name)
                || selection.slotted.contains(name)
                || selection.brought.contains(name)
        };
        let is_data = |of: &Definition| of.kind != Kind::Function;
        let is_brought = |of: &&Definition| selection.brought.contains(&of.name) && is_data(of);
        let crates = self.supplied(supply).flat_map(|krate| &krate.latest);
        let lent = supply
            .lent
            .values()
            .flat_map(|(_, definitions)| definitions);
        let mut all = crates.flat_map(|object| &object.definitions).chain(lent);
        let brings_data = all.any(|of| is_brought(&of));
        let mut objects = Vec::new();
        for (index, krate) in self.supplied(supply).enumerate() {
            for object in &krate.latest {
                if object.definitions.iter().any(is_selected) {
                    objects.push((format!("{index}-{}", object.name), object.bytes()?));
                }
            }
        }
        for (name, (bytes, definitions)) in &supply.lent {
            if definitions.iter().any(is_selected) {
                objects.push((name.clone(), bytes.clone()));
            }
        }
        let names = &self.names;
        let texts = |of: &BTreeSet<NameId>| of.iter().map(|name| names.text(*name)).collect();
        let id = |text: &str| names.get(text);
        let image = self.process.addresses.image();
        let mut shared = loaded(self.process.pid, &image.needed);
        shared.extend(siblings(&shared));
        library(
            Parts {
                objects,
                slotted: texts(&selection.slotted),
                redirected: texts(&selection.redirected),
                told: self
                    .told(selection)
                    .into_iter()
                    .map(|name| names.text(name))
                    .collect(),
                brought: texts(&selection.brought),
                thread_locals: texts(threads),
                near: self.process.next_place,
                brings_data,
                is_near_likely: self.process.was_near,
                address: &|text| {
                    let found = id(text).map(|name| self.process.addresses.find(name, names));
                    match found {
                        Some(found) => found.map(|found| found.address),
                        None => {
                            let symbol = image.symbols.get(text)?;
                            Some(self.process.bias + symbol.address)
                        }
                    }
                },
                thread_local: &|text| match id(text) {
                    Some(name) => self.process.addresses.thread_local(name, names),
                    None => image.tls_offset_of(text),
                },
                linker: &self.linker,
                libraries: &shared,
                output,
            },
            cancel,
        )
    }

    /// Leads the slots into a library, and learns what it brought.
    pub(super) fn apply(
        &mut self,
        selection: &Selection,
        loaded: &Loaded,
        at: Publish,
        client: &mut Client,
    ) -> Result<()> {
        let Loaded {
            library,
            bias,
            generation,
        } = loaded;
        let (generation, bias) = (*generation, *bias);
        let tellers: BTreeMap<&str, (u64, u64)> = library
            .tellers()
            .map(|(name, flag, jump)| (name, (flag, jump)))
            .collect();
        let mut redirects = Vec::new();
        let mut told = Vec::new();
        for name in &selection.redirected {
            let found = self.process.addresses.find(*name, &self.names);
            let text = self.names.text(*name);
            let slot = found.and_then(|found| found.slot);
            let redirect = Redirect {
                cell: slot.with_context(|| format!("`{text}` has no slot"))?,
                function: Place {
                    generation,
                    offset: library.offset(text)?,
                },
            };
            let Some((flag, jump)) = tellers.get(text) else {
                redirects.push(redirect);
                continue;
            };
            redirects.push(Redirect {
                function: Place {
                    generation,
                    offset: *jump,
                },
                ..redirect
            });
            told.push(Told {
                name: *name,
                flag: bias + flag,
                to_its_body: redirect,
            });
        }
        let mut bodies = Vec::new();
        for name in selection.redirected.iter().chain(&selection.slotted) {
            let offset = library.offset(self.names.text(*name))?;
            bodies.push((*name, Place { generation, offset }));
        }
        // Before code of the library runs, or a panic in it would not find its names.
        client.relist(self.process.addresses.image().library_list.as_ref());
        client.redirect(redirects, at)?;
        self.listen_for(told);
        for (name, body) in bodies {
            self.process.addresses.lead(name, body);
        }
        self.process.code.learn(&library.image, bias);
        for (text, cell, jump) in library.slots() {
            let found = Found {
                address: bias + jump,
                slot: Some(Place {
                    generation,
                    offset: cell,
                }),
            };
            self.process.addresses.bring(self.names.id(text), found);
        }
        for name in &selection.brought {
            if let Some(symbol) = library.image.symbols.get(self.names.text(*name)) {
                let found = Found {
                    address: bias + symbol.address,
                    slot: None,
                };
                self.process.addresses.bring(*name, found);
            }
        }
        Ok(())
    }
}

/// Parts of the C library that a program need not be linked with, such as `libm`.
fn siblings(libraries: &[PathBuf]) -> Vec<PathBuf> {
    let libc = libraries.iter().find(|path| path.ends_with("libc.so.6"));
    let folder = libc.and_then(|path| path.parent());
    let candidates = ["libm.so.6", "libgcc_s.so.1"];
    let found = folder
        .into_iter()
        .flat_map(|folder| candidates.map(|name| folder.join(name)));
    found
        .filter(|path| !libraries.contains(path) && path.exists())
        .collect()
}
