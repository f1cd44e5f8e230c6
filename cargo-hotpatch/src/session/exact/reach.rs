//! Which functions of the program's own crate lead to what differs since its tests were run last.

use std::collections::{BTreeSet, HashMap};

use super::engine::{Engine, all_definitions};
use super::objects::Objects;
use super::refusals::shown;
use crate::object::fingerprint::Kind;
use crate::object::names::NameId;
use crate::plan::changes::{Changes, Definitions};

/// What differs since the last run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Something does.
    pub differs: bool,
    /// Functions of the program's own crate that lead there, themselves included, without the crate's name.
    pub functions: BTreeSet<String>,
    /// Those of them that are new.
    pub added: BTreeSet<String>,
}

impl Engine {
    /// The process runs the tests of what was compiled last.
    pub(super) fn mark_run(&mut self) {
        for krate in &mut self.crates {
            krate.tested = Some(krate.latest.clone());
        }
    }

    /// What differs between the code of the last run and the code that was compiled last.
    pub(super) fn reach(&self) -> Reach {
        let tested = |krate: &'_ super::krate::Crate| -> Objects {
            krate.tested.clone().unwrap_or_else(|| krate.base.clone())
        };
        let tested: Vec<Objects> = self.crates.iter().map(tested).collect();
        let old = all_definitions(tested.iter());
        let new = all_definitions(self.crates.iter().map(|krate| &krate.latest));
        let mut changes = Changes::between(&old, &new, |_| true);
        let added = new.keys().filter(|name| !old.contains_key(*name));
        let added: BTreeSet<NameId> = added.copied().collect();
        let mut seeds = added.clone();
        for those in [
            // Not those in which only the places of panics are others: they do the same.
            &mut changes.changed,
            &mut changes.constants,
            &mut changes.initialisers,
            &mut changes.other_kind,
            &mut changes.outgrown,
            &mut changes.listed,
        ] {
            seeds.append(those);
        }
        let is_less = !changes.gone.is_empty() || !changes.shifted.is_empty();
        let reached = leading_to(seeds, &new);
        let functions = reached.iter().filter(|name| {
            let definition = new.get(*name);
            definition.is_none_or(|definition| definition.kind == Kind::Function)
        });
        let named = functions.filter_map(|name| Some((*name, self.in_program(*name)?)));
        let named: Vec<(NameId, String)> = named.collect();
        let new = named.iter().filter(|(name, _)| added.contains(name));
        Reach {
            differs: is_less || !reached.is_empty(),
            added: new.map(|(_, path)| path.clone()).collect(),
            functions: named.into_iter().map(|(_, path)| path).collect(),
        }
    }

    /// The functions that lead to those that the fast lane brought.
    pub(super) fn reach_of_ahead(&self) -> Reach {
        let new = all_definitions(self.crates.iter().map(|krate| &krate.latest));
        let reached = leading_to(self.process.ahead.keys().copied().collect(), &new);
        let functions = reached.iter().filter_map(|name| self.in_program(*name));
        Reach {
            differs: true,
            functions: functions.collect(),
            added: BTreeSet::new(),
        }
    }

    /// The path of a function of the program's own crate, without the crate's name. A closure is a part of the function
    /// around it.
    fn in_program(&self, name: NameId) -> Option<String> {
        let krate = &self.crates.last()?.unit.krate;
        let text = shown(self.names.text(name));
        let text = text.split("::{").next().unwrap_or_default();
        let path = text.strip_prefix(krate.as_str())?.strip_prefix("::")?;
        Some(path.to_owned())
    }
}

/// These, and all that refers to one of them. What has a table of methods may call any of these: the table is what it refers
/// to.
fn leading_to(seeds: BTreeSet<NameId>, definitions: &Definitions<'_>) -> BTreeSet<NameId> {
    let mut referring: HashMap<NameId, Vec<NameId>> = HashMap::new();
    for (name, definition) in definitions {
        for target in &definition.references {
            referring.entry(*target).or_default().push(*name);
        }
    }
    closure(seeds, |name| {
        referring
            .get(&name)
            .map_or(&[], |sources| sources.as_slice())
    })
}

/// These, and all that `next` leads to from one of them.
pub(super) fn closure<'a>(
    from: BTreeSet<NameId>,
    next: impl Fn(NameId) -> &'a [NameId],
) -> BTreeSet<NameId> {
    let mut todo: Vec<NameId> = from.iter().copied().collect();
    let mut found = from;
    while let Some(name) = todo.pop() {
        for other in next(name) {
            if found.insert(*other) {
                todo.push(*other);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{BTreeSet, leading_to};
    use crate::object::fingerprint::{Definition, Kind};
    use crate::object::names::{NameId, Names};

    #[test]
    fn callers_and_their_callers_lead_there() {
        let mut names = Names::default();
        let edges = BTreeMap::from([
            ("one", vec!["helper"]),
            ("two", vec!["table"]),
            ("table", vec!["method"]),
            ("helper", vec!["changed"]),
            ("method", vec!["changed", "two"]),
            ("three", vec!["other"]),
        ]);
        let all: Vec<Definition> = edges
            .iter()
            .map(|(name, to)| Definition {
                name: names.id(name),
                kind: Kind::Function,
                exact: 0,
                placeless: 0,
                size: 0,
                align: 1,
                references: to.iter().map(|name| names.id(name)).collect(),
                is_listed: false,
            })
            .collect();
        let definitions = all.iter().map(|of| (of.name, of)).collect();
        let id = |name: &str| names.get(name).unwrap();
        let found = leading_to(BTreeSet::from([id("changed")]), &definitions);
        let expected = ["changed", "helper", "method", "one", "table", "two"];
        let expected: BTreeSet<NameId> = expected.into_iter().map(id).collect();
        assert_eq!(found, expected);
    }
}
