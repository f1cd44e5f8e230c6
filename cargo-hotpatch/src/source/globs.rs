//! Which modules have glob imports of which, as far as paths tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::items::CrateSource;

/// A module of a crate, by its path; the root's is empty.
pub type Module = Arc<[String]>;

/// All modules of a crate.
pub(super) struct Modules<'a> {
    source: &'a CrateSource,
    paths: BTreeSet<Module>,
}

impl<'a> Modules<'a> {
    pub(super) fn of(source: &'a CrateSource) -> Self {
        let files = source.files.iter();
        let inline = files.clone().flat_map(|file| &file.parsed.inline_modules);
        let inline = inline.map(|module| module.path.clone());
        Self {
            source,
            paths: files
                .map(|file| file.module.clone())
                .chain(inline)
                .collect(),
        }
    }

    /// Modules that a path ending in `last` may mean, seen from `at`.
    pub(super) fn called(&self, at: &Module, last: &str) -> Vec<Module> {
        match last {
            "self" => return vec![at.clone()],
            "crate" => return vec![Arc::from([])],
            "super" => {
                let parent = at.len().saturating_sub(1);
                return vec![at[..parent].into()];
            }
            _ => {}
        }
        let root = (self.source.name == last).then(|| Arc::from([]));
        let named = self.paths.iter();
        let named = named.filter(|path| path.last().is_some_and(|name| name == last));
        root.into_iter().chain(named.cloned()).collect()
    }

    /// The module that a path leads to, as seen from `at`, by modules alone: `None` where it goes through an import, begins in
    /// another crate, or ends at a type.
    pub(super) fn at_path(&self, at: &Module, path: &[String]) -> Option<Module> {
        let mut module = at.to_vec();
        for (number, part) in path.iter().enumerate() {
            match part.as_str() {
                "crate" if number == 0 => module.clear(),
                "self" if number == 0 => {}
                "super" => drop(module.pop()?),
                name => {
                    module.push(name.to_owned());
                    if self.paths.contains(&*module) {
                        // Before edition 2018 a path begins at the root.
                        let is_another = module.len() > 1
                            && number == 0
                            && self.paths.contains(&module[module.len() - 1..]);
                        if is_another {
                            return None;
                        }
                        continue;
                    }
                    if number > 0 || self.source.name != name {
                        return None;
                    }
                    module.clear();
                }
            }
        }
        Some(module.into())
    }

    /// For each module those with a glob import of it.
    pub(super) fn globs(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let mut globs: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
        for item in self.source.items() {
            let at = &item.module;
            for import in item.imports.iter().filter(|import| import.name == "*") {
                let last = import.path.last().map_or("", String::as_str);
                for of in self.called(at, last).into_iter().filter(|of| of != at) {
                    globs.entry(of).or_default().insert(at.clone());
                }
            }
        }
        globs
    }
}
