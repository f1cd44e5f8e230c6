//! What differs between the code that runs and the code that was compiled last, by symbol. Pure.

use std::collections::{BTreeSet, HashMap};

use crate::object::fingerprint::{Definition, Kind};
use crate::object::names::NameId;

/// Everything that the workspace's objects define.
pub type Definitions<'a> = HashMap<NameId, &'a Definition>;

/// What differs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Functions that do something else.
    pub changed: BTreeSet<NameId>,
    /// Functions in which nothing but the places differ that panics tell.
    pub shifted: BTreeSet<NameId>,
    /// Functions that were not there before.
    pub added: BTreeSet<NameId>,
    /// Functions and statics that are not there any more.
    pub gone: BTreeSet<NameId>,
    /// Statics and thread-locals with another initial value, which keep the one they have.
    pub initialisers: BTreeSet<NameId>,
    /// Statics that nothing writes, with another value; and those that refer to one of them.
    pub constants: BTreeSet<NameId>,
    /// What is found by its place in a list (constructors, entries of `linkme` and its like), and is new or differs.
    pub listed: BTreeSet<NameId>,
}

impl Changes {
    /// Compares. `is_call_site` tells statics that a logging macro keeps for each of its calls: they are made anew when
    /// what they describe differs.
    #[must_use]
    pub fn between(
        old: &Definitions<'_>,
        new: &Definitions<'_>,
        is_call_site: impl Fn(NameId) -> bool,
    ) -> Self {
        let mut changes = Self::default();
        for (name, definition) in new {
            let was = old.get(name);
            if definition.is_listed && was.is_none_or(|was| was.exact != definition.exact) {
                changes.listed.insert(*name);
            }
            let Some(was) = was else {
                if definition.kind == Kind::Function {
                    changes.added.insert(*name);
                }
                continue;
            };
            if was.exact == definition.exact {
                continue;
            }
            let is_shifted = was.placeless == definition.placeless;
            match (definition.kind, is_shifted) {
                (Kind::Function, false) => changes.changed.insert(*name),
                (Kind::Function, true) => changes.shifted.insert(*name),
                (Kind::Constant, false) => changes.constants.insert(*name),
                (Kind::Mutable | Kind::ThreadLocal, false) => changes.initialisers.insert(*name),
                (_, true) => false,
            };
        }
        changes.gone = old
            .keys()
            .filter(|name| !new.contains_key(name))
            .copied()
            .collect();
        changes.spread(new, is_call_site);
        changes
    }

    /// A constant that refers to another one has to be made anew with it.
    fn spread(&mut self, new: &Definitions<'_>, is_call_site: impl Fn(NameId) -> bool) {
        loop {
            let before = self.constants.len();
            for (name, definition) in new {
                let follows = match definition.kind {
                    Kind::Constant => true,
                    Kind::Mutable => is_call_site(*name),
                    Kind::Function | Kind::ThreadLocal => false,
                };
                if follows
                    && !self.constants.contains(name)
                    && refers_to(definition, &self.constants)
                {
                    self.constants.insert(*name);
                    self.initialisers.remove(name);
                }
            }
            if self.constants.len() == before {
                return;
            }
        }
    }

    /// Nothing that runs is different.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.changed.is_empty()
            && self.initialisers.is_empty()
            && self.constants.is_empty()
            && self.listed.is_empty()
    }
}

/// Whether a definition refers to one of these.
#[must_use]
pub fn refers_to(definition: &Definition, names: &BTreeSet<NameId>) -> bool {
    !names.is_empty()
        && definition
            .references
            .iter()
            .any(|name| names.contains(name))
}

/// What goes into a patch, and what is led into it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Functions whose slots are led to the bodies in the patch.
    pub redirected: BTreeSet<NameId>,
    /// Functions that get slots in the patch: new ones, and those that from now on exist twice.
    pub slotted: BTreeSet<NameId>,
    /// Other definitions that the patch brings: statics, and instances of other crates' code.
    pub brought: BTreeSet<NameId>,
    /// What neither the workspace defines nor the process has: some library's, or a shared one's.
    pub missing: BTreeSet<NameId>,
}

/// Chooses what a patch must hold.
///
/// `twice` are functions that exist twice from now on (DESIGN.md, section 3). `has` says whether the process has a
/// symbol under this name, `can_be_replaced` whether an edit can change it, so that it gets a slot.
#[must_use]
pub fn select(
    changes: &Changes,
    twice: &BTreeSet<NameId>,
    new: &Definitions<'_>,
    has: impl Fn(NameId) -> bool,
    can_be_replaced: impl Fn(NameId) -> bool,
) -> Selection {
    let mut selection = Selection::default();
    let mut todo: Vec<NameId> = Vec::new();
    for (name, definition) in new {
        let is_function = definition.kind == Kind::Function;
        if !is_function || twice.contains(name) || !has(*name) {
            continue;
        }
        let differs = changes.changed.contains(name) || changes.shifted.contains(name);
        let is_border = refers_to(definition, twice) || refers_to(definition, &changes.constants);
        // Another instance of the same code of another crate changes nothing, and has no slot.
        if is_border || (differs && can_be_replaced(*name)) {
            selection.redirected.insert(*name);
            todo.push(*name);
        }
    }
    while let Some(name) = todo.pop() {
        let Some(definition) = new.get(&name) else {
            continue;
        };
        for target in &definition.references {
            let is_new = twice.contains(target) || changes.constants.contains(target);
            if !is_new && has(*target) {
                continue;
            }
            let Some(definition) = new.get(target) else {
                selection.missing.insert(*target);
                continue;
            };
            let slotted = definition.kind == Kind::Function && can_be_replaced(*target);
            let fresh = match slotted {
                true => selection.slotted.insert(*target),
                false => selection.brought.insert(*target),
            };
            if fresh {
                todo.push(*target);
            }
        }
    }
    selection
}
