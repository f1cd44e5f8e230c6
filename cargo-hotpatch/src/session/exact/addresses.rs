//! Where everything lies in the process: what the base has, and what patches brought.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

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

/// What names mean since patches went live, as far as that is not what they meant at the start.
#[derive(Debug, Clone, Default)]
pub struct Bindings {
    /// What patches brought, and took the name from what had it before.
    brought: HashMap<NameId, Found>,
    /// The bodies that slots have been led to.
    bodies: HashMap<NameId, Place>,
    /// Thread-locals of patches, by their distance from the thread pointer.
    threads: HashMap<NameId, i64>,
    /// What has gone from the source: the name means something else when it comes again.
    gone: BTreeSet<NameId>,
}

/// The address of each symbol.
#[derive(Debug)]
pub struct Addresses {
    bias: u64,
    image: Arc<BaseImage>,
    cells: u64,
    jumps: u64,
    /// The base's slots, in their order.
    slots: Arc<HashMap<NameId, u32>>,
    bound: Bindings,
    /// Names of a plan that has not gone live, with those that the process has for the same.
    planned: BTreeMap<NameId, NameId>,
    /// Thread-locals of such a plan. They are in the process, but nobody uses them until it goes live.
    planned_threads: BTreeMap<NameId, i64>,
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
        let slots = numbered.map(|(name, at)| (names.id(name), at)).collect();
        Ok(Self::of_start(
            bias,
            Arc::new(image),
            (cells, jumps),
            Arc::new(slots),
        ))
    }

    /// Those of another process of the program, which has just started.
    #[must_use]
    pub fn afresh(&self, bias: u64) -> Self {
        let arrays = (self.cells, self.jumps);
        Self::of_start(bias, self.image.clone(), arrays, self.slots.clone())
    }

    fn of_start(
        bias: u64,
        image: Arc<BaseImage>,
        (cells, jumps): (u64, u64),
        slots: Arc<HashMap<NameId, u32>>,
    ) -> Self {
        Self {
            bias,
            image,
            cells,
            jumps,
            slots,
            bound: Bindings::default(),
            planned: BTreeMap::new(),
            planned_threads: BTreeMap::new(),
        }
    }

    /// Build id and libraries of the program.
    #[must_use]
    pub fn image(&self) -> &BaseImage {
        &self.image
    }

    /// Where a symbol lies, thread-locals aside.
    #[must_use]
    pub fn find(&self, name: NameId, names: &Names) -> Option<Found> {
        if let Some(found) = self.bound.brought.get(&name) {
            return Some(*found);
        }
        if let Some(was) = self.planned.get(&name) {
            return self.find(*was, names);
        }
        if self.bound.gone.contains(&name) {
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
        let brought = self.planned_threads.get(&name);
        if let Some(offset) = brought.or_else(|| self.bound.threads.get(&name)) {
            return Some(*offset);
        }
        if let Some(was) = self.planned.get(&name) {
            return self.thread_local(*was, names);
        }
        if self.bound.gone.contains(&name) {
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
        self.bound.gone.remove(&name);
        self.bound.brought.insert(name, found);
    }

    /// The body that a function's slot leads to.
    #[must_use]
    pub fn body(&self, name: NameId, names: &Names) -> Option<Place> {
        if let Some(body) = self.bound.bodies.get(&name) {
            return Some(*body);
        }
        if let Some(was) = self.planned.get(&name) {
            return self.body(*was, names);
        }
        let is_base = !self.bound.brought.contains_key(&name) && !self.bound.gone.contains(&name);
        let symbol = self.image.symbols.get(names.text(name));
        symbol.filter(|_| is_base).map(|symbol| Place {
            generation: 0,
            offset: symbol.address,
        })
    }

    /// A function's slot leads to this body now.
    pub fn lead(&mut self, name: NameId, body: Place) {
        self.bound.bodies.insert(name, body);
    }

    fn bring_thread_local(&mut self, name: NameId, offset: i64) {
        self.bound.gone.remove(&name);
        self.bound.threads.insert(name, offset);
    }

    /// In the plan that is made now, definitions have other names: each new one, with the one that the process has. No
    /// old name is a new one of another. It takes the place of what an earlier plan said, which has not gone live if it
    /// is not settled: the next one may begin the same thread-locals with other values.
    pub fn plan_names(&mut self, planned: BTreeMap<NameId, NameId>) {
        self.planned = planned;
        self.planned_threads.clear();
    }

    /// For the plan that is made now this thread-local was brought, so far from the thread pointer.
    pub fn plan_thread_local(&mut self, name: NameId, offset: i64) {
        self.planned_threads.insert(name, offset);
    }

    /// The plan has gone live: its names and thread-locals are the process's, and the old names mean something else
    /// when they come again.
    pub fn settle_names(&mut self, names: &Names) {
        for (name, offset) in std::mem::take(&mut self.planned_threads) {
            self.bring_thread_local(name, offset);
        }
        for (name, was) in std::mem::take(&mut self.planned) {
            if self.find(name, names).is_none() {
                if let Some(found) = self.find(was, names) {
                    // A body that came with the plan stands already.
                    if !self.bound.bodies.contains_key(&name)
                        && let Some(body) = self.body(was, names)
                    {
                        self.lead(name, body);
                    }
                    self.bring(name, found);
                } else if let Some(offset) = self.thread_local(was, names) {
                    self.bring_thread_local(name, offset);
                }
            }
            self.forget(was);
        }
    }

    /// The source has it no more.
    pub fn forget(&mut self, name: NameId) {
        self.bound.brought.remove(&name);
        self.bound.bodies.remove(&name);
        self.bound.threads.remove(&name);
        self.bound.gone.insert(name);
    }

    /// Whether a name is one that the process has for something, which has another in the plan.
    #[must_use]
    pub fn is_renamed(&self, name: NameId) -> bool {
        self.planned.values().any(|was| *was == name)
    }

    /// What names mean now.
    #[must_use]
    pub fn bindings(&self) -> Bindings {
        self.bound.clone()
    }

    /// What all would be if names meant again what they did once. What they did not mean anything then they mean on, but for
    /// those that are to `go`.
    #[must_use]
    pub fn as_once(&self, once: &Bindings, go: impl Fn(NameId) -> bool, names: &Names) -> Self {
        let mut bound = once.clone();
        let meant = Self {
            bound: once.clone(),
            image: self.image.clone(),
            slots: self.slots.clone(),
            planned: BTreeMap::new(),
            planned_threads: BTreeMap::new(),
            ..*self
        };
        let stays = |name: &NameId| !meant.has(*name, names) && !go(*name);
        for (name, found) in self.bound.brought.iter().filter(|(name, _)| stays(name)) {
            bound.gone.remove(name);
            bound.brought.insert(*name, *found);
            if let Some(body) = self.bound.bodies.get(name) {
                bound.bodies.insert(*name, *body);
            }
        }
        for (name, offset) in self.bound.threads.iter().filter(|(name, _)| stays(name)) {
            bound.gone.remove(name);
            bound.threads.insert(*name, *offset);
        }
        Self { bound, ..meant }
    }

    /// All names that mean, here or there, anything else than at the start, or whose slots lead elsewhere. What has gone may
    /// have its slot under another name.
    pub fn differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = NameId> + 'a {
        let both = [&self.bound, &other.bound].into_iter();
        both.flat_map(|bound| {
            let names = bound.bodies.keys().chain(bound.brought.keys());
            names.chain(&bound.gone).copied()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Addresses, Found};
    use crate::image::samples::Samples;
    use crate::image::symbols::BaseImage;
    use crate::object::names::Names;
    use hotpatch_rt::wire::Place;
    use std::collections::BTreeMap;

    /// Those of a program without slots.
    fn addresses(names: &mut Names) -> Addresses {
        let samples = Samples::new();
        let program = samples.rustc("fn main() {}", "app", &["-Clink-arg=-Wl,--build-id=sha1"]);
        let image = BaseImage::parse(&std::fs::read(program).unwrap()).unwrap();
        Addresses::new(image, 0, &[], names).unwrap()
    }

    #[test]
    fn thread_locals_of_a_plan_that_does_not_go_live_are_forgotten() {
        let mut names = Names::default();
        let mut addresses = addresses(&mut names);
        let id = names.id("COUNT");
        addresses.plan_names(BTreeMap::new());
        addresses.plan_thread_local(id, -64);
        assert_eq!(addresses.thread_local(id, &names), Some(-64));
        // The process refused the patch.
        addresses.plan_names(BTreeMap::new());
        assert!(!addresses.has(id, &names));
        addresses.plan_thread_local(id, -128);
        addresses.settle_names(&names);
        addresses.plan_names(BTreeMap::new());
        assert_eq!(addresses.thread_local(id, &names), Some(-128));
        // It goes, and comes again.
        addresses.forget(id);
        addresses.plan_names(BTreeMap::new());
        assert!(!addresses.has(id, &names));
        addresses.plan_thread_local(id, -192);
        assert_eq!(addresses.thread_local(id, &names), Some(-192));
        addresses.plan_names(BTreeMap::new());
        assert!(!addresses.has(id, &names));
    }

    #[test]
    fn a_body_that_comes_with_another_name_is_known_by_it() {
        let mut names = Names::default();
        let mut addresses = addresses(&mut names);
        let (was, is) = (names.id("was"), names.id("is"));
        let place = |offset| Place {
            generation: 1,
            offset,
        };
        addresses.bring(
            was,
            Found {
                address: 8,
                slot: Some(place(16)),
            },
        );
        addresses.lead(was, place(32));
        addresses.plan_names(BTreeMap::from([(is, was)]));
        addresses.lead(is, place(64));
        addresses.settle_names(&names);
        assert_eq!(addresses.body(is, &names), Some(place(64)));
        // One that comes without a body has the one it had.
        addresses.plan_names(BTreeMap::from([(was, is)]));
        addresses.settle_names(&names);
        assert_eq!(addresses.body(was, &names), Some(place(64)));
    }

    #[test]
    fn a_thread_local_is_known_by_its_new_name_when_the_plan_goes_live() {
        let mut names = Names::default();
        let mut addresses = addresses(&mut names);
        let (was, is) = (names.id("was"), names.id("is"));
        addresses.plan_names(BTreeMap::new());
        addresses.plan_thread_local(was, -64);
        addresses.settle_names(&names);
        addresses.plan_names(BTreeMap::from([(is, was)]));
        assert_eq!(addresses.thread_local(is, &names), Some(-64));
        addresses.settle_names(&names);
        assert_eq!(addresses.thread_local(is, &names), Some(-64));
        assert!(!addresses.has(was, &names));
    }
}
