//! Traits of other crates that a module imports for itself, and a scope shows to whoever takes all from that module.
//!
//! What their methods are called is known for the standard library's. Of the others any call of a method may mean one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::std_traits::STD_TRAITS;

/// Traits by their own names, `*` for all of a module of another crate, by the module that would see them in a scope.
pub type ForeignTraits = BTreeMap<Arc<[String]>, BTreeSet<String>>;

/// Whether an import's name may be a trait's: by this path, which begins in another crate.
#[must_use]
pub fn may_be_trait(path: &[String]) -> bool {
    let (Some(first), Some(last)) = (path.first(), path.last()) else {
        return false;
    };
    let is_std = matches!(first.as_str(), "std" | "core" | "alloc");
    if is_std {
        return of_std(last).is_some() || is_extension(last);
    }
    last.starts_with(char::is_uppercase)
}

/// Whether new code in a module that sees these traits in a scope alone may call a method of theirs. `fresh` are the names
/// it did not mention before.
#[must_use]
pub fn may_be_called(traits: &BTreeSet<String>, fresh: &BTreeSet<String>, text: &str) -> bool {
    let mut of_any = methods(text)
        .into_iter()
        .filter(|name| fresh.contains(*name));
    let any = of_any.next().is_some();
    // A macro that calls a method of a `Write`.
    let writes = traits.contains("Write") && fresh.contains("writeln");
    let is_called = |name: &String| match of_std(name) {
        Some(methods) => methods.split_whitespace().any(|name| fresh.contains(name)),
        None => any,
    };
    writes || traits.iter().any(is_called)
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
        let other = set(&["Itertools"]);
        assert!(may_be_called(&other, &set(&["sorted"]), "it\n . sorted()"));
        assert!(may_be_called(
            &other,
            &set(&["sorted"]),
            "Itertools::sorted(it)"
        ));
        assert!(!may_be_called(&other, &set(&["sorted"]), "sorted(it)"));
        assert!(!may_be_called(&other, &set(&[]), "it.sorted()"));
    }
}
