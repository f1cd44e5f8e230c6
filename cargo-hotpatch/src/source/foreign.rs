//! Traits of other crates that a module imports for itself, and a scope shows to whoever takes all from that module.
//!
//! What their methods are called is known for the standard library's. Of the others any call of a method may mean one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::file::Import;
use super::std_traits::STD_TRAITS;

/// Traits of the standard library by their own names, `*` for any other, by the module that would see them in a scope.
pub type ForeignTraits = BTreeMap<Arc<[String]>, BTreeSet<String>>;

/// Whether an import's name may be a trait's: by this path, which begins in another crate.
#[must_use]
pub fn may_be_trait(path: &[String]) -> bool {
    let Some(last) = path.last() else {
        return false;
    };
    if begins_in_std(path) {
        return of_std(last).is_some() || is_extension(last);
    }
    last.starts_with(char::is_uppercase)
}

/// The trait that an import from another crate brings, if it is the standard library's; else `*`.
#[must_use]
pub(super) fn known_name(import: &Import) -> &str {
    let last = import.path.last().map_or("*", String::as_str);
    let is_known = import.name != "*" && begins_in_std(&import.path);
    if is_known { last } else { "*" }
}

fn begins_in_std(path: &[String]) -> bool {
    let first = path.first().map_or("", String::as_str);
    matches!(first, "std" | "core" | "alloc")
}

/// Whether new code in a module that sees these traits in a scope alone may call a method of theirs. `fresh` are the names
/// it did not mention before.
#[must_use]
pub fn may_be_called(traits: &BTreeSet<String>, fresh: &BTreeSet<String>, text: &str) -> bool {
    let mut of_any = methods(text)
        .into_iter()
        .filter(|name| fresh.contains(*name));
    let any = of_any.next().is_some();
    // Macros that call a method of a `Write`, which may be any crate's.
    let writes = ["write", "writeln"]
        .iter()
        .any(|name| fresh.contains(*name));
    traits.iter().any(|name| match of_std(name) {
        Some(_) if name == "Write" && writes => true,
        Some(methods) => methods.split_whitespace().any(|name| fresh.contains(name)),
        None => any || writes,
    })
}

fn of_std(name: &str) -> Option<&'static str> {
    let known = STD_TRAITS.iter().find(|(known, _)| *known == name);
    known.map(|(_, methods)| *methods)
}

/// Traits by which the standard library extends its types for one system.
fn is_extension(name: &str) -> bool {
    name.ends_with("Ext") || (name.len() > 2 && name.ends_with("Fd"))
}

/// Names that follow a dot or a path: what a method is called by.
fn methods(text: &str) -> BTreeSet<&str> {
    let starts = text.match_indices(['.', ':']).map(|(at, _)| at + 1);
    let name = |at: usize| {
        let rest = text[at..].trim_start();
        let rest = rest.strip_prefix("r#").unwrap_or(rest);
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        &rest[..end.unwrap_or(rest.len())]
    };
    let names = starts.map(name);
    names
        .filter(|name| name.starts_with(|c: char| c.is_alphabetic() || c == '_'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_may_be_a_trait() {
        let may =
            |path: &str| may_be_trait(&path.split("::").map(str::to_owned).collect::<Vec<_>>());
        assert!(may("std::fmt::Write") && may("core::str::FromStr"));
        assert!(may("std::os::unix::fs::MetadataExt") && may("std::os::fd::AsRawFd"));
        assert!(!may("std::collections::HashMap") && !may("std::fmt"));
        assert!(may("itertools::Itertools") && !may("serde_json::json"));
    }

    #[test]
    fn another_crates_trait_is_not_taken_for_stds() {
        let known = |path: &str, name: &str| {
            let path = path.split("::").map(str::to_owned).collect();
            let name = name.to_owned();
            known_name(&Import { path, name }).to_owned()
        };
        assert_eq!(known("std::fmt::Write", "_"), "Write");
        assert_eq!(known("embedded_io::Write", "Write"), "*");
        assert_eq!(known("std::io::prelude", "*"), "*");
    }

    #[test]
    fn new_calls_of_their_methods_are_suspicious() {
        let write = set(&["Write"]);
        assert!(may_be_called(
            &write,
            &set(&["write_str"]),
            "s.write_str(x)"
        ));
        assert!(may_be_called(&write, &set(&["write"]), "write!(s, \"\")"));
        assert!(may_be_called(&write, &set(&["writeln"]), "writeln!(s)"));
        assert!(!may_be_called(&write, &set(&["len"]), "s.len()"));
        let other = set(&["*"]);
        assert!(may_be_called(&other, &set(&["sorted"]), "it\n . sorted()"));
        assert!(may_be_called(
            &other,
            &set(&["sorted"]),
            "Itertools::sorted(it)"
        ));
        assert!(!may_be_called(&other, &set(&["sorted"]), "sorted(it)"));
        assert!(!may_be_called(&other, &set(&[]), "it.sorted()"));
        assert!(may_be_called(&other, &set(&["write"]), "write!(to, \"\")"));
    }
}
