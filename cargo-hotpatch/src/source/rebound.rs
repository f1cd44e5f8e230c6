//! Names that lead to another item now in code that nobody edited: an item, or an import, that comes or goes beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::diff::Changes;
use super::file::{Function, Kind, Owner};
use super::globs::{Module, Modules};
use super::items::{CrateSource, SourceFile};
use super::tokens::paths;

/// What a name of a module stands for: where it is defined, and for a function of the workspace its text.
type Meaning = (Module, String, Option<(u64, u64)>);

/// The meanings of all names of modules, in one version.
type Names = BTreeMap<(Module, String), BTreeSet<Meaning>>;

/// Names that have another meaning, by module, and what each stood for before, by its own name.
pub struct Rebound(BTreeMap<(Module, String), BTreeSet<String>>);

impl Rebound {
    /// What means something else in `new`. A function with the same text elsewhere is the same.
    #[must_use]
    pub fn of(
        old: &[CrateSource],
        new: &[CrateSource],
        externs: &BTreeSet<(usize, String)>,
        changes: &[Changes],
    ) -> Self {
        if changes.iter().all(Changes::is_bodies_only) {
            return Self(BTreeMap::new());
        }
        let modules = Modules::of(old, new, externs);
        let [before, after] = [old, new].map(|sources| names(sources, &modules));
        let keys: BTreeSet<&(Module, String)> = before.keys().chain(after.keys()).collect();
        let none = BTreeSet::new();
        let mut out: BTreeMap<(Module, String), BTreeSet<String>> = BTreeMap::new();
        let mut queue = Vec::new();
        for key in keys {
            let meanings = [&before, &after].map(|names| names.get(key).unwrap_or(&none));
            if !are_same(meanings[0], meanings[1]) {
                let was = meanings[0].iter().map(|(_, name, _)| name.clone());
                out.insert(key.clone(), was.collect());
                queue.push(key.clone());
            }
        }
        // Names that have an own meaning were looked at; these are what others tell them to be.
        let globs = modules.globs();
        while let Some((module, name)) = queue.pop() {
            let by_glob = globs.get(&module).into_iter().flatten();
            let by_glob = by_glob
                .map(|at| (at.clone(), name.clone()))
                .filter(|key| !before.contains_key(key) && !after.contains_key(key));
            let is_it = |meanings: &BTreeSet<Meaning>| {
                let mut meanings = meanings.iter();
                meanings.any(|(home, called, _)| *home == module && *called == name)
            };
            let was_it = |key| before.get(key).is_some_and(is_it);
            let by_name = after.iter().filter(|(_, meanings)| is_it(meanings));
            let by_name = by_name.map(|(key, _)| key).filter(|key| was_it(key));
            let by_name = by_name.cloned();
            let more: Vec<_> = by_glob.chain(by_name).collect();
            for key in more
                .into_iter()
                .filter(|key| !out.contains_key(key))
                .collect::<Vec<_>>()
            {
                out.insert(key.clone(), BTreeSet::from([name.clone()]));
                queue.push(key);
            }
        }
        Self(out)
    }

    /// Nothing does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names in a function that stand for something else now: each with whether that is sure, as no variable is called so,
    /// and what the things that it stood for are called.
    #[must_use]
    pub fn in_function(
        &self,
        krate: usize,
        source: &CrateSource,
        file: &SourceFile,
        function: &Function,
    ) -> Vec<Named> {
        let mut said: Option<BTreeSet<String>> = None;
        let text = &file.parsed.text;
        let mut out = Vec::new();
        for (((home, module), name), was) in &self.0 {
            if !function.mentions.contains(name) || name == "_" {
                continue;
            }
            let said = said.get_or_insert_with(|| {
                let mut said = BTreeSet::new();
                if let Ok(tokens) = text[function.body.clone()].parse() {
                    paths(tokens, &mut said);
                }
                said
            });
            let here = *home == krate && *module == function.module;
            let parent = function.module.split_last().map(|(_, parent)| parent);
            let last = module.last().unwrap_or(&source.name);
            let is_said = |qualifier: &str| said.contains(&format!("{qualifier}::{name}"));
            let is_bare = here && said.contains(name);
            let is_qualified = (here && is_said("self"))
                || (*home == krate && parent == Some(&**module) && is_said("super"))
                || (*home == krate && module.is_empty() && is_said("crate"))
                || ((*home != krate || !module.is_empty()) && is_said(last));
            if is_bare || is_qualified {
                let body = &text[function.body.clone()];
                let before = format!("{name}::");
                let goes_on = || said.iter().any(|path| path.starts_with(&before));
                let is_macro = body.contains(&format!("{name}!"));
                out.push(Named {
                    name: name.clone(),
                    is_sure: is_macro || name.contains(char::is_uppercase),
                    is_module: (is_bare && begins_a_path(body, &before))
                        || (is_qualified && goes_on()),
                    was: was.iter().cloned().chain([name.clone()]).collect(),
                });
            }
        }
        out
    }
}

/// A name in a function that leads to another item now.
#[derive(Debug)]
pub struct Named {
    /// As it is written there.
    pub name: String,
    /// It is no variable, by what it looks like.
    pub is_sure: bool,
    /// Paths begin with it.
    pub is_module: bool,
    /// What the items that it led to may be called.
    pub was: BTreeSet<String>,
}

/// Whether a path begins with this.
fn begins_a_path(body: &str, start: &str) -> bool {
    let goes_on = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | ':' | '.');
    let mut found = body.match_indices(start);
    found.any(|(at, _)| !body[..at].ends_with(goes_on))
}

fn are_same(old: &BTreeSet<Meaning>, new: &BTreeSet<Meaning>) -> bool {
    let homes = |meanings: &BTreeSet<Meaning>| -> BTreeSet<(Module, String)> {
        let of = |(home, name, _): &Meaning| (home.clone(), name.clone());
        meanings.iter().map(of).collect()
    };
    let texts = |meanings: &BTreeSet<Meaning>| -> Option<BTreeSet<(u64, u64)>> {
        meanings.iter().map(|(_, _, text)| *text).collect()
    };
    let moved = || !old.is_empty() && texts(old).is_some_and(|old| texts(new) == Some(old));
    homes(old) == homes(new) || moved()
}

fn names(sources: &[CrateSource], modules: &Modules<'_>) -> Names {
    let mut out = Names::new();
    for (krate, source) in sources.iter().enumerate() {
        let free = source.functions().map(|(_, function)| function);
        for function in free.filter(|function| function.owner == Owner::Free) {
            let home: Module = (krate, function.module.clone());
            let text = Some((function.signature, function.code));
            let meaning = (home.clone(), function.name.clone(), text);
            let key = (home, function.name.clone());
            out.entry(key).or_default().insert(meaning);
        }
        for item in source.files.iter().flat_map(|file| &file.parsed.items) {
            let home: Module = (krate, item.module.clone());
            if matches!(item.kind, Kind::Use | Kind::Impl | Kind::ItemMacro) {
                continue;
            }
            for name in &item.names {
                let meaning = (home.clone(), name.clone(), None);
                let key = (home.clone(), name.clone());
                out.entry(key).or_default().insert(meaning);
            }
        }
    }
    let defined = out.clone();
    for (krate, source) in sources.iter().enumerate() {
        let items = source.files.iter().flat_map(|file| &file.parsed.items);
        for item in items {
            let at: Module = (krate, item.module.clone());
            for import in item.imports.iter().filter(|import| import.name != "*") {
                let Some((last, path)) = import.path.split_last() else {
                    continue;
                };
                let found = modules.at_path(&at, path);
                let meaning = match found {
                    Some(home) => {
                        let there = defined.get(&(home.clone(), last.clone()));
                        let text = there.into_iter().flatten().find_map(|(_, _, text)| *text);
                        (home, last.clone(), text)
                    }
                    // Of another crate, or through an import.
                    None => ((krate, Arc::from(path)), last.clone(), None),
                };
                let key = (at.clone(), import.name.clone());
                out.entry(key).or_default().insert(meaning);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::begins_a_path;

    #[test]
    fn a_part_of_a_path_does_not_begin_it() {
        assert!(begins_a_path("{ a + once::y() }", "once::"));
        assert!(!begins_a_path("{ once + words::once::y() }", "once::"));
        assert!(!begins_a_path("{ at_once::y() }", "once::"));
    }
}
