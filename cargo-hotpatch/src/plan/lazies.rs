//! Values that a program makes when it needs them first, by code that an edit changed: one that is made stays. Pure.
//!
//! `LazyLock` and its like keep a pointer to that code; `OnceLock` and its like are given it with each call of
//! `get_or_init`, of which the program has an instance for each such code. What is called from there alone belongs to it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::changes::Definitions;
use crate::object::fingerprint::Kind;
use crate::object::names::{NameId, Names};

/// How v0 symbols spell the methods that make a value which is not there yet.
const MAKING: &[&str] = &["11get_or_init", "15get_or_try_init", "15get_mut_or_init"];

/// The last part of the names of types that keep a pointer to the code that makes their value.
const LAZY: &[&str] = &["LazyLock", "LazyCell", "Lazy"];

/// Statics and thread-locals whose value is made by code that is `changed`. `ty` is the full name of a static's type, where
/// it is known; `shown` a symbol as people read it.
#[must_use]
pub fn lazies(
    changed: &BTreeSet<NameId>,
    new: &Definitions<'_>,
    names: &Names,
    ty: impl Fn(NameId) -> Option<String>,
    shown: impl Fn(&str) -> String,
) -> BTreeSet<NameId> {
    let is_function = |name: &NameId| new.get(name).is_some_and(|of| of.kind == Kind::Function);
    let is_state = |name: &NameId| {
        let kind = new.get(name).map(|of| of.kind);
        matches!(kind, Some(Kind::Mutable | Kind::ThreadLocal))
    };
    let is_making = |name: &NameId| {
        let symbol = names.text(*name);
        is_function(name) && MAKING.iter().any(|method| symbol.contains(method))
    };
    let making: HashSet<NameId> = new.keys().copied().filter(is_making).collect();
    // The code that makes a value, with the statics that may be meant.
    let mut makers: BTreeMap<NameId, BTreeSet<NameId>> = BTreeMap::new();
    // `OnceLock` of `<std::sync::once_lock::OnceLock<T>>::get_or_init::<F>`, read once for all who call it.
    let mut kinds: HashMap<NameId, String> = HashMap::new();
    for (name, definition) in new {
        let references = definition.references.iter();
        if is_state(name) {
            let code: Vec<&NameId> = references.filter(|name| is_function(name)).collect();
            let is_lazy = |ty: String| LAZY.contains(&last(head(&ty)));
            if !code.is_empty() && ty(*name).is_some_and(is_lazy) {
                for maker in code {
                    makers.entry(*maker).or_default().insert(*name);
                }
            }
        } else if definition.kind == Kind::Function {
            for maker in references.filter(|name| making.contains(name)) {
                let of = kinds.entry(*maker).or_insert_with(|| {
                    let of = shown(names.text(*maker));
                    head(of.trim_start_matches('<')).to_owned()
                });
                let references = definition.references.iter();
                let meant = references
                    .filter(|name| is_state(name) && ty(**name).is_some_and(|ty| head(&ty) == *of));
                makers.entry(*maker).or_default().extend(meant);
            }
        }
    }
    makers.retain(|_, meant| !meant.is_empty());
    let led_to = makers.keys().map(|maker| (*maker, led_to(*maker, new)));
    let led_to: Vec<(NameId, HashSet<NameId>)> = led_to
        .filter(|(_, found)| changed.iter().any(|name| found.contains(name)))
        .collect();
    if led_to.is_empty() {
        return BTreeSet::new();
    }
    let mut referrers: HashMap<NameId, Vec<NameId>> = HashMap::new();
    for (name, definition) in new {
        for reference in &definition.references {
            referrers.entry(*reference).or_default().push(*name);
        }
    }
    let statics = led_to.into_iter().filter_map(|(maker, found)| {
        let own = of_nobody_else(maker, found, &referrers);
        let is_changed = changed.iter().any(|name| own.contains(name));
        is_changed.then(|| makers.remove(&maker)).flatten()
    });
    statics.flatten().collect()
}

/// A function and those that it leads to.
fn led_to(root: NameId, new: &Definitions<'_>) -> HashSet<NameId> {
    let mut found = HashSet::from([root]);
    let mut todo = vec![root];
    while let Some(at) = todo.pop() {
        let references = new.get(&at).into_iter().flat_map(|of| &of.references);
        let functions = references.filter(|name| {
            let definition = new.get(name);
            definition.is_some_and(|of| of.kind == Kind::Function)
        });
        todo.extend(functions.filter(|name| found.insert(**name)));
    }
    found
}

/// Of the functions that `root` leads to those that nobody else leads to.
fn of_nobody_else(
    root: NameId,
    mut found: HashSet<NameId>,
    referrers: &HashMap<NameId, Vec<NameId>>,
) -> HashSet<NameId> {
    loop {
        let is_shared = |name: &&NameId| {
            let mut others = referrers.get(name).into_iter().flatten();
            **name != root && others.any(|other| !found.contains(other))
        };
        let shared: Vec<NameId> = found.iter().filter(is_shared).copied().collect();
        if shared.is_empty() {
            return found;
        }
        for name in shared {
            found.remove(&name);
        }
    }
}

/// The path of a type without its arguments.
fn head(ty: &str) -> &str {
    ty.split('<').next().unwrap_or(ty)
}

fn last(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::lazies;
    use crate::object::fingerprint::{Definition, Kind};
    use crate::object::names::{NameId, Names};
    use std::collections::BTreeSet;

    const ONCE: &str = "std::sync::once_lock::OnceLock";

    /// `name: what it refers to`; statics are written in capitals.
    fn define(names: &mut Names, lines: &[&str]) -> Vec<Definition> {
        let one = |line: &&str| {
            let (name, references) = line.split_once(':').unwrap_or((line, ""));
            let mut references: Vec<NameId> = references
                .split_whitespace()
                .map(|name| names.id(name))
                .collect();
            references.sort_unstable();
            let is_static = name.starts_with(|c: char| c.is_ascii_uppercase());
            Definition {
                name: names.id(name),
                kind: match is_static {
                    true => Kind::Mutable,
                    false => Kind::Function,
                },
                exact: 0,
                placeless: 0,
                size: 8,
                align: 8,
                references,
                is_listed: false,
            }
        };
        lines.iter().map(one).collect()
    }

    fn kept(lines: &[&str], changed: &str) -> Vec<String> {
        let mut names = Names::default();
        let all = define(&mut names, lines);
        let new = all.iter().map(|of| (of.name, of)).collect();
        let changed = BTreeSet::from([names.id(changed)]);
        let types = |name: NameId| match names.text(name) {
            "LAZY" => Some("std::sync::lazy_lock::LazyLock<u8>".to_owned()),
            "TABLE" => Some("[fn(); 1]".to_owned()),
            _ => Some(format!("{ONCE}<u8>")),
        };
        let shown = |_: &str| format!("<{ONCE}<u8>>::get_or_init::<F>");
        let found = lazies(&changed, &new, &names, types, shown);
        let found = found.iter().map(|name| names.text(*name).to_owned());
        found.collect()
    }

    #[test]
    fn a_value_belongs_to_the_code_that_makes_it() {
        let all = [
            "LAZY:shim",
            "shim:closure",
            "closure:load log",
            "load",
            "log",
            "TABLE:step",
            "step:log",
            "get:ONCE 11get_or_init",
            "ONCE",
            "11get_or_init:made",
            "made",
        ];
        assert_eq!(kept(&all, "closure"), ["LAZY"]);
        assert_eq!(kept(&all, "load"), ["LAZY"]);
        assert_eq!(kept(&all, "made"), ["ONCE"]);
        // Others call it as well.
        assert!(kept(&all, "log").is_empty());
        // A pointer to a function is no value that it made.
        assert!(kept(&all, "step").is_empty());
        assert!(kept(&all, "get").is_empty());
    }
}
