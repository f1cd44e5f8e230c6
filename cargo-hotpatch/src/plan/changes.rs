//! What differs between the code that runs and the code that was compiled last, by symbol. Pure.

use std::collections::{BTreeSet, HashMap};

use crate::image::hash::NameHashBuilder;
use crate::object::fingerprint::{Definition, Kind};
use crate::object::names::NameId;

/// Everything that the workspace's objects define.
pub type Definitions<'a> = HashMap<NameId, &'a Definition, NameHashBuilder>;

/// What `tracing` keeps for each place that logs: a fresh one registers itself.
pub const CALL_SITE: &str = "__CALLSITE";

/// What differs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Functions that do something else.
    pub changed: BTreeSet<NameId>,
    /// Functions in which nothing but the places differ that panics tell.
    pub shifted: BTreeSet<NameId>,
    /// What is of another kind: a static that can be written and could not be, or the other way round.
    pub other_kind: BTreeSet<NameId>,
    /// Statics and thread-locals that keep the place they have, which is too small or not aligned enough for them now.
    pub outgrown: BTreeSet<NameId>,
    /// Functions and statics that are not there any more.
    pub gone: BTreeSet<NameId>,
    /// Statics and thread-locals with another initial value, which keep the one they have.
    pub initialisers: BTreeSet<NameId>,
    /// Statics that nothing writes, with another value; and those that refer to one of them.
    pub constants: BTreeSet<NameId>,
    /// What is found by its place in a list (constructors, entries of `linkme` and its like), and is new, differs or is gone.
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
                continue;
            };
            if was.kind != definition.kind {
                changes.other_kind.insert(*name);
                continue;
            }
            let stays = matches!(definition.kind, Kind::Mutable | Kind::ThreadLocal);
            if stays && (definition.size > was.size || definition.align > was.align) {
                changes.outgrown.insert(*name);
            }
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
        let missing = old.iter().filter(|(name, _)| !new.contains_key(name));
        let listed = missing.filter(|(_, was)| was.is_listed);
        changes.listed.extend(listed.map(|(name, _)| *name));
        changes.gone = old
            .keys()
            .filter(|name| !new.contains_key(name))
            .copied()
            .collect();
        changes.spread(new, is_call_site);
        changes
    }

    /// A constant that refers to another one has to be made anew with it, and so has what else `is_call_site` names.
    pub fn spread(&mut self, new: &Definitions<'_>, is_call_site: impl Fn(NameId) -> bool) {
        loop {
            let before = self.constants.len();
            for (name, definition) in new {
                let follows = match definition.kind {
                    Kind::Constant => true,
                    Kind::Mutable | Kind::ThreadLocal => is_call_site(*name),
                    Kind::Function => false,
                };
                if follows
                    && !self.constants.contains(name)
                    && refers_to(definition, &self.constants)
                {
                    self.constants.insert(*name);
                    self.initialisers.remove(name);
                    self.outgrown.remove(name);
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
            && self.other_kind.is_empty()
            && self.outgrown.is_empty()
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

#[cfg(test)]
mod tests {
    use super::{Changes, Definitions, select};
    use crate::object::fingerprint::{Definition, Kind};
    use crate::object::names::{NameId, Names};
    use std::collections::BTreeSet;

    /// `name kind exact placeless -> references`, with kinds `f`unction, `m`utable, `c`onstant and `t`hread-local.
    fn define(names: &mut Names, lines: &[&str]) -> Vec<Definition> {
        let mut one = |line: &&str| {
            let (head, references) = line.split_once("->").unwrap_or((line, ""));
            let words: Vec<&str> = head.split_whitespace().collect();
            let mut references: Vec<NameId> = references
                .split_whitespace()
                .map(|name| names.id(name))
                .collect();
            references.sort_unstable();
            Definition {
                name: names.id(words[0]),
                kind: match words[1] {
                    "f" => Kind::Function,
                    "m" => Kind::Mutable,
                    "c" => Kind::Constant,
                    _ => Kind::ThreadLocal,
                },
                exact: words[2].parse().unwrap(),
                placeless: words[3].parse().unwrap(),
                size: 8,
                align: 8,
                references,
                is_listed: false,
            }
        };
        lines.iter().map(&mut one).collect()
    }

    fn map(all: &[Definition]) -> Definitions<'_> {
        all.iter()
            .map(|definition| (definition.name, definition))
            .collect()
    }

    #[test]
    fn what_differs_is_told_by_kind() {
        let mut names = Names::default();
        let old = define(
            &mut names,
            &[
                "a f 1 1",
                "b f 2 2",
                "s m 3 3",
                "k c 4 4",
                "l c 5 5 -> k",
                "gone f 6 6",
                "t t 7 7",
                "w c 7 7",
            ],
        );
        let new = define(
            &mut names,
            &[
                "a f 9 9",
                "b f 9 2",
                "s m 9 9",
                "k c 9 9",
                "l c 5 5 -> k",
                "new f 8 8",
                "t t 9 9",
                "w m 7 7",
            ],
        );
        let changes = Changes::between(&map(&old), &map(&new), |_| false);
        let set = |of: &[&str]| {
            of.iter()
                .map(|name| names.get(name).unwrap())
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(changes.changed, set(&["a"]));
        assert_eq!(changes.shifted, set(&["b"]));
        assert_eq!(changes.gone, set(&["gone"]));
        assert_eq!(changes.other_kind, set(&["w"]));
        assert_eq!(changes.initialisers, set(&["s", "t"]));
        assert_eq!(changes.constants, set(&["k", "l"]));
    }

    #[test]
    fn statics_that_stay_can_outgrow_their_place() {
        let mut names = Names::default();
        let old = define(&mut names, &["s m 1 1", "t t 2 2", "k c 3 3", "f f 4 4"]);
        let is_outgrown = |new: &[Definition]| {
            let changes = Changes::between(&map(&old), &map(new), |_| false);
            assert_eq!(changes.outgrown.is_empty(), changes.is_nothing());
            changes.outgrown
        };
        let id = |name: &str| names.get(name).unwrap();
        let mut wider = old.clone();
        wider.iter_mut().for_each(|of| of.align = 16);
        assert_eq!(is_outgrown(&wider), BTreeSet::from([id("s"), id("t")]));
        let mut larger = old.clone();
        larger[0].size = 9;
        assert_eq!(is_outgrown(&larger), BTreeSet::from([id("s")]));
        let mut smaller = old.clone();
        smaller
            .iter_mut()
            .for_each(|of| (of.align, of.size) = (4, 4));
        assert!(is_outgrown(&smaller).is_empty());
    }

    #[test]
    fn lines_that_moved_are_nothing() {
        let mut names = Names::default();
        let old = define(&mut names, &["a f 1 1"]);
        let new = define(&mut names, &["a f 2 1", "nobody_calls_it f 3 3"]);
        assert!(Changes::between(&map(&old), &map(&new), |_| false).is_nothing());
    }

    #[test]
    fn a_patch_holds_what_differs_the_border_and_what_is_new() {
        let mut names = Names::default();
        let old = define(
            &mut names,
            &[
                "main f 1 1 -> step",
                "step f 2 2 -> old",
                "old f 3 3",
                "border f 4 4 -> old",
            ],
        );
        let new = define(
            &mut names,
            &[
                "main f 1 1 -> step",
                "step f 9 9 -> helper libc",
                "helper f 5 5 -> text old",
                "text m 6 6",
                "old f 3 3 -> old",
                "border f 4 4 -> old",
            ],
        );
        let changes = Changes::between(&map(&old), &map(&new), |_| false);
        let id = |name: &str| names.get(name).unwrap();
        let twice = BTreeSet::from([id("old")]);
        let base: BTreeSet<NameId> = old.iter().map(|definition| definition.name).collect();
        let selection = select(
            &changes,
            &twice,
            &map(&new),
            |name| base.contains(&name),
            |_| true,
        );
        let set = |of: &[&str]| of.iter().map(|name| id(name)).collect::<BTreeSet<_>>();
        assert_eq!(selection.redirected, set(&["step", "border"]));
        assert_eq!(selection.slotted, set(&["helper", "old"]));
        assert_eq!(selection.brought, set(&["text"]));
        assert_eq!(selection.missing, set(&["libc"]));
    }
}
