//! Definitions that have another symbol though they are what they were. Pure.
//!
//! A symbol holds the number of its impl among those of the module, which changes with each that comes or goes above it,
//! and it says whether a method is the trait's own or the impl's. The path that people read has neither. And a static
//! keeps its value when it moves to another module, or that gets another name.

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
    let gone = statics_by_name(old, new, names);
    for (own, new_names) in statics_by_name(new, old, names) {
        let old_names = gone.get(&own).map(Vec::as_slice);
        if let ([new_name], Some([old_name])) = (new_names.as_slice(), old_names)
            && kind_of(new, *new_name) == kind_of(old, *old_name)
        {
            found.entry(*new_name).or_insert(*old_name);
        }
    }
    found
}

/// The statics and thread-locals that only one side has and that hold state, by what they are called in their module.
fn statics_by_name(
    these: &Definitions<'_>,
    others: &Definitions<'_>,
    names: &Names,
) -> HashMap<String, Vec<NameId>> {
    let mut found: HashMap<String, Vec<NameId>> = HashMap::new();
    let only_here = these.iter().filter(|(name, _)| !others.contains_key(name));
    for (name, definition) in only_here {
        if !matches!(definition.kind, Kind::Mutable | Kind::ThreadLocal) {
            continue;
        }
        let path = format!("{:#}", rustc_demangle::demangle(names.text(*name)));
        // The value of a `thread_local!` is inside of a closure.
        let plain = path.find("::{").unwrap_or(path.len());
        let start = path[..plain].rfind("::").map_or(0, |at| at + 2);
        found
            .entry(path[start..].to_owned())
            .or_default()
            .push(*name);
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

    fn pairs(kind: Kind, old: &[&str], new: &[&str]) -> Vec<(String, String)> {
        let mut names = Names::default();
        let mut define = |symbols: &[&str]| -> Vec<Definition> {
            let definition = |symbol: &&str| Definition {
                name: names.id(symbol),
                kind,
                exact: 0,
                placeless: 0,
                size: 0,
                align: 1,
                references: Vec::new(),
                is_listed: false,
            };
            symbols.iter().map(definition).collect()
        };
        let (old, new) = (define(old), define(new));
        let old = old.iter().map(|of| (of.name, of)).collect();
        let new = new.iter().map(|of| (of.name, of)).collect();
        let found = renumbered(&old, &new, &names);
        let text = |id| names.text(id).to_owned();
        found
            .into_iter()
            .map(|(new, old)| (text(new), text(old)))
            .collect()
    }

    fn owned(of: (&str, &str)) -> (String, String) {
        (of.0.to_owned(), of.1.to_owned())
    }

    #[test]
    fn impls_with_other_numbers_are_the_same() {
        let (first, second, other) = (
            "_RNvMCs1_3appNtB2_3App4step",
            "_RNvMs_Cs1_3appNtB4_3App4step",
            "_RNvMCs1_3appNtB2_5Other4step",
        );
        let found = pairs(Kind::Function, &[first], &[other, second]);
        assert_eq!(found, [owned((second, first))]);
    }

    #[test]
    fn a_static_that_moves_is_the_same() {
        let (here, there, other) = (
            "_RNvNtCs1_3app1a5COUNT",
            "_RNvNtCs1_3app1b5COUNT",
            "_RNvNtCs1_3app1c5COUNT",
        );
        let found = pairs(Kind::Mutable, &[here], &[there]);
        assert_eq!(found, [owned((there, here))]);
        assert_eq!(pairs(Kind::Mutable, &[here], &[there, other]), []);
        // A function of another module is another function, and what nothing writes has no state.
        assert_eq!(pairs(Kind::Function, &[here], &[there]), []);
        assert_eq!(pairs(Kind::Constant, &[here], &[there]), []);
    }
}
