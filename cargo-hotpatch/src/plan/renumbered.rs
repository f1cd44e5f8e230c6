//! Definitions that have another symbol though they are what they were. Pure.
//!
//! A symbol holds the number of its impl among those of the module, which changes with each that comes or goes above it,
//! and it says whether a method is the trait's own or the impl's. The path that people read has neither.

use std::collections::{BTreeMap, HashMap};

use super::changes::Definitions;
use crate::object::fingerprint::Kind;
use crate::object::names::{NameId, Names};

/// The new name of each such definition, with the one it had. Only what is one of its kind on both sides is found; what
/// stands inside of closures is left out, as their numbers mean something.
#[must_use]
pub fn renumbered(
    old: &Definitions<'_>,
    new: &Definitions<'_>,
    names: &Names,
) -> BTreeMap<NameId, NameId> {
    let gone = by_path(old, new, names);
    let added = by_path(new, old, names);
    let mut found = BTreeMap::new();
    for (path, new_names) in added {
        let old_names = gone.get(&path).map(Vec::as_slice);
        if let ([new_name], Some([old_name])) = (new_names.as_slice(), old_names)
            && kind_of(new, *new_name) == kind_of(old, *old_name)
        {
            found.insert(*new_name, *old_name);
        }
    }
    found
}

fn kind_of(definitions: &Definitions<'_>, name: NameId) -> Option<Kind> {
    definitions.get(&name).map(|definition| definition.kind)
}

/// What only one side has, by its path with the crates' hashes.
fn by_path(
    these: &Definitions<'_>,
    others: &Definitions<'_>,
    names: &Names,
) -> HashMap<String, Vec<NameId>> {
    let mut found: HashMap<String, Vec<NameId>> = HashMap::new();
    for name in these.keys().filter(|name| !others.contains_key(name)) {
        let path = rustc_demangle::demangle(names.text(*name)).to_string();
        if !path.contains('{') {
            found.entry(path).or_default().push(*name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::renumbered;
    use crate::object::fingerprint::{Definition, Kind};
    use crate::object::names::Names;
    use std::collections::BTreeMap;

    #[test]
    fn impls_with_other_numbers_are_the_same() {
        let mut names = Names::default();
        let mut define = |symbols: &[&str]| -> Vec<Definition> {
            let definition = |symbol: &&str| Definition {
                name: names.id(symbol),
                kind: Kind::Function,
                exact: 0,
                placeless: 0,
                size: 0,
                align: 1,
                references: Vec::new(),
                is_listed: false,
            };
            symbols.iter().map(definition).collect()
        };
        let (first, second, other) = (
            "_RNvMCs1_3appNtB2_3App4step",
            "_RNvMs_Cs1_3appNtB4_3App4step",
            "_RNvMCs1_3appNtB2_5Other4step",
        );
        let old = define(&[first]);
        let new = define(&[other, second]);
        let map = |of: &'_ [Definition]| {
            of.iter()
                .map(|of| (of.name, of.clone()))
                .collect::<Vec<_>>()
        };
        let (old, new) = (map(&old), map(&new));
        let old = old.iter().map(|(name, of)| (*name, of)).collect();
        let new = new.iter().map(|(name, of)| (*name, of)).collect();
        let found = renumbered(&old, &new, &names);
        let expected = BTreeMap::from([(names.get(second).unwrap(), names.get(first).unwrap())]);
        assert_eq!(found, expected);
    }
}
