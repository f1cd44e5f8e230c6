//! Where everything lies in the process: what the base has, and what patches brought.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result};
use hotpatch_rt::wire::Place;

use crate::image::symbols::{BaseImage, Kind};
use crate::object::cells::{CELLS, JUMPS, SIZE};
use crate::object::names::{NameId, Names};

/// A symbol of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// What its address is to code: of a function with a slot, that of its stub.
    pub address: u64,
    /// The slot of a function that has one.
    pub slot: Option<Place>,
}

/// The address of each symbol.
#[derive(Debug)]
pub struct Addresses {
    bias: u64,
    image: BaseImage,
    cells: u64,
    jumps: u64,
    /// The base's slots, in their order.
    slots: HashMap<NameId, u32>,
    /// What patches brought, and took the name from what had it before.
    brought: HashMap<NameId, Found>,
    /// Thread-locals of patches, by their distance from the thread pointer.
    threads: HashMap<NameId, i64>,
    /// What has gone from the source: the name means something else when it comes again.
    gone: BTreeSet<NameId>,
}

impl Addresses {
    /// Those of a program that has just started.
    ///
    /// # Errors
    /// The program has no slots.
    pub fn new(image: BaseImage, bias: u64, slots: &[String], names: &mut Names) -> Result<Self> {
        let array = |name: &str| {
            let symbol = image.symbols.get(name).map(|symbol| symbol.address);
            symbol.with_context(|| format!("the program has no `{name}`"))
        };
        let (cells, jumps) = match slots.is_empty() {
            true => (0, 0),
            false => (array(CELLS)?, array(JUMPS)?),
        };
        let numbered = slots.iter().zip(0..);
        Ok(Self {
            slots: numbered.map(|(name, at)| (names.id(name), at)).collect(),
            bias,
            cells,
            jumps,
            image,
            brought: HashMap::new(),
            threads: HashMap::new(),
            gone: BTreeSet::new(),
        })
    }

    /// Build id and libraries of the program.
    #[must_use]
    pub fn image(&self) -> &BaseImage {
        &self.image
    }

    /// Where a symbol lies, thread-locals aside.
    #[must_use]
    pub fn find(&self, name: NameId, names: &Names) -> Option<Found> {
        if let Some(found) = self.brought.get(&name) {
            return Some(*found);
        }
        if self.gone.contains(&name) {
            return None;
        }
        if let Some(number) = self.slots.get(&name) {
            let at = u64::from(*number) * SIZE;
            return Some(Found {
                address: self.bias + self.jumps + at,
                slot: Some(Place {
                    generation: 0,
                    offset: self.cells + at,
                }),
            });
        }
        let symbol = self.image.symbols.get(names.text(name))?;
        (symbol.kind != Kind::Tls).then_some(Found {
            address: self.bias + symbol.address,
            slot: None,
        })
    }

    /// How far from the thread pointer a thread-local is, in bytes.
    #[must_use]
    pub fn thread_local(&self, name: NameId, names: &Names) -> Option<i64> {
        if let Some(offset) = self.threads.get(&name) {
            return Some(*offset);
        }
        if self.gone.contains(&name) {
            return None;
        }
        self.image.tls_offset_of(names.text(name))
    }

    /// Whether the process has something of this name.
    #[must_use]
    pub fn has(&self, name: NameId, names: &Names) -> bool {
        self.find(name, names).is_some() || self.thread_local(name, names).is_some()
    }

    /// From now on a name means this.
    pub fn bring(&mut self, name: NameId, found: Found) {
        self.gone.remove(&name);
        self.brought.insert(name, found);
    }

    /// A patch brought this thread-local, so far from the thread pointer.
    pub fn bring_thread_local(&mut self, name: NameId, offset: i64) {
        self.gone.remove(&name);
        self.threads.insert(name, offset);
    }

    /// What lies under one name is called by another one, too, from now on.
    pub fn rename(&mut self, was: NameId, is: NameId, names: &Names) {
        if let Some(found) = self.find(was, names) {
            self.bring(is, found);
        } else if let Some(offset) = self.thread_local(was, names) {
            self.bring_thread_local(is, offset);
        }
    }

    /// The source has it no more.
    pub fn forget(&mut self, name: NameId) {
        self.brought.remove(&name);
        self.threads.remove(&name);
        self.gone.insert(name);
    }
}
