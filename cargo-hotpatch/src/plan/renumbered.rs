//! Definitions that have another symbol though they are what they were. Pure.
//!
//! A symbol holds the number of its impl among those of the module, which changes with each that comes or goes above it,
//! and it says whether a method is the trait's own or the impl's. The path that people read has neither. And a static
//! keeps its value when it moves to another module, or that gets another name.

use std::collections::{BTreeMap, HashMap};

use super::changes::Definitions;
use crate::object::fingerprint::Kind;
use crate::object::names::{NameId, Names};
use crate::plan::changes::CALL_SITE;

/// The new name of each such definition, with the one it had. Only what is one of its kind on both sides is found; what
/// stands inside of closures is left out, as their numbers mean something.
#[must_use]
pub fn renumbered(
    old: &Definitions<'_>,
    new: &Definitions<'_>,
    names: &Names,
) -> BTreeMap<NameId, NameId> {
    let mut found = pairs(old, new, |name, _| path(names.text(name)));
    for (name, was) in pairs(old, new, |name, kind| state(names.text(name), kind)) {
        found.entry(name).or_insert(was);
    }
    found
}

/// What only one side has each, by what they have in common, if they are of one kind.
fn pairs(
    old: &Definitions<'_>,
    new: &Definitions<'_>,
    key: impl Fn(NameId, Kind) -> Option<String>,
) -> BTreeMap<NameId, NameId> {
    let only = |these: &Definitions<'_>, others: &Definitions<'_>| {
        let mut found: HashMap<String, Vec<(NameId, Kind)>> = HashMap::new();
        let only_here = these.iter().filter(|(name, _)| !others.contains_key(name));
        for (name, definition) in only_here {
            if let Some(key) = key(*name, definition.kind) {
                let same = found.entry(key).or_default();
                same.push((*name, definition.kind));
            }
        }
        found
    };
    let gone = only(old, new);
    let added = only(new, old).into_iter();
    let pairs =
        added.filter_map(
            |(key, added)| match (added.as_slice(), gone.get(&key)?.as_slice()) {
                ([(name, kind)], [(was, old_kind)]) if kind == old_kind => Some((*name, *was)),
                _ => None,
            },
        );
    pairs.collect()
}

/// The path with the crates' hashes, but of what stands inside of closures.
fn path(symbol: &str) -> Option<String> {
    let path = rustc_demangle::demangle(symbol).to_string();
    (!path.contains('{')).then_some(path)
}

/// Of a static or thread-local that holds state, what it is called in its module: `COUNT`, and `step::COUNT` in a
/// function. What `tracing` keeps for a place that logs is made anew where there is another one.
fn state(symbol: &str, kind: Kind) -> Option<String> {
    if !matches!(kind, Kind::Mutable | Kind::ThreadLocal) || symbol.contains(CALL_SITE) {
        return None;
    }
    let path = format!("{:#}", rustc_demangle::demangle(symbol));
    // The value of a `thread_local!` is inside of a closure.
    let plain = &path[..path.find("::{").unwrap_or(path.len())];
    let start = match plain.find('>').filter(|_| plain.starts_with('<')) {
        // A method's: `World>::step::COUNT`.
        Some(end) => plain[..end].rfind("::").map_or(0, |at| at + 2),
        None => {
            let mut names = plain.match_indices("::").map(|(at, _)| at + 2);
            names.nth(modules(symbol))?
        }
    };
    Some(path[start..].to_owned())
}

/// In how many modules below the crate's root something is. Symbols say what each name of a path is, the innermost last:
/// `Nt` is a module or a type, and all else is a function, a static or a closure.
fn modules(symbol: &str) -> usize {
    let mut rest = symbol.strip_prefix("_R").unwrap_or(symbol);
    let mut kinds = Vec::new();
    while let Some(kind) = rest.strip_prefix('N').and_then(|rest| rest.chars().next()) {
        kinds.push(kind);
        rest = &rest[1 + kind.len_utf8()..];
    }
    let outer = kinds.iter().rev();
    outer.take_while(|kind| **kind == 't').count()
}

#[cfg(test)]
mod tests {
    use super::renumbered;
    use crate::object::fingerprint::{Definition, Kind};
    use crate::object::names::Names;

    fn found(kind: Kind, old: &[&str], new: &[&str]) -> Vec<(String, String)> {
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
        let found = found(Kind::Function, &[first], &[other, second]);
        assert_eq!(found, [owned((second, first))]);
    }

    #[test]
    fn a_static_in_a_function_moves_with_it() {
        let symbols = [
            "_RNvNvCs1_3app1f5COUNT",
            "_RNvNvNtCs1_3app1a1f5COUNT",
            "_RNvNvCs1_3app1g5COUNT",
            "_RNvNvMCs1_3appNtB4_3App1f5COUNT",
        ];
        let [here, there, other, method] = symbols;
        let is_same = |old, new| !found(Kind::Mutable, &[old], &[new]).is_empty();
        assert!(is_same(here, there));
        assert!(!is_same(here, other));
        assert!(!is_same(here, method));
        let callsites = [
            "_RNvNvCs1_3app1f10__CALLSITE",
            "_RNvNvNtCs1_3app1a1f10__CALLSITE",
        ];
        assert!(!is_same(callsites[0], callsites[1]));
    }

    #[test]
    fn a_static_that_moves_is_the_same() {
        let (here, there, other) = (
            "_RNvNtCs1_3app1a5COUNT",
            "_RNvNtCs1_3app1b5COUNT",
            "_RNvNtCs1_3app1c5COUNT",
        );
        let found = found(Kind::Mutable, &[here], &[there]);
        assert_eq!(found, [owned((there, here))]);
        assert_eq!(
            super::tests::found(Kind::Mutable, &[here], &[there, other]),
            []
        );
        // A function of another module is another function, and what nothing writes has no state.
        assert_eq!(super::tests::found(Kind::Function, &[here], &[there]), []);
        assert_eq!(super::tests::found(Kind::Constant, &[here], &[there]), []);
    }
}
