//! Which modules have glob imports of which, as far as paths tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::items::CrateSource;

/// A module: the number of its crate and its path there.
pub type Module = (usize, Arc<[String]>);

/// All modules of a workspace.
pub(super) struct Modules<'a> {
    new: &'a [CrateSource],
    /// What crates call others that have another name.
    externs: &'a BTreeSet<(usize, String)>,
    /// By crate.
    pub(super) paths: Vec<BTreeSet<Arc<[String]>>>,
}

impl<'a> Modules<'a> {
    /// Those of either version.
    pub(super) fn of(
        old: &[CrateSource],
        new: &'a [CrateSource],
        externs: &'a BTreeSet<(usize, String)>,
    ) -> Self {
        let both = |(old, new): (&CrateSource, &CrateSource)| &modules(old) | &modules(new);
        Self {
            new,
            externs,
            paths: old.iter().zip(new).map(both).collect(),
        }
    }

    /// Modules that a path ending in `last` may mean, seen from `at`.
    pub(super) fn called(&self, at: &Module, last: &str) -> Vec<Module> {
        let (krate, here) = at;
        match last {
            "self" => return vec![at.clone()],
            "crate" => return vec![(*krate, Arc::from([]))],
            "super" => {
                let parent = here.len().saturating_sub(1);
                return vec![(*krate, here[..parent].into())];
            }
            _ => {}
        }
        let mut out: Vec<Module> = crates_called(self.new, self.externs, last)
            .map(|number| (number, Arc::from([])))
            .collect();
        for number in 0..self.new.len() {
            let named = self.paths[number]
                .iter()
                .filter(|path| path.last().is_some_and(|name| name == last));
            out.extend(named.map(|path| (number, path.clone())));
        }
        out
    }

    /// The module that a path leads to, as seen from `at`, by modules alone: `None` where it goes through an import, begins in
    /// a crate of others, or ends at a type.
    pub(super) fn at_path(&self, at: &Module, path: &[String]) -> Option<Module> {
        let (mut krate, mut module) = (at.0, at.1.to_vec());
        for (number, part) in path.iter().enumerate() {
            match part.as_str() {
                "crate" if number == 0 => module.clear(),
                "self" if number == 0 => {}
                "super" => drop(module.pop()?),
                name => {
                    module.push(name.to_owned());
                    if self.paths[krate].contains(&*module) {
                        // Before edition 2018 a path begins at the root.
                        let is_another = module.len() > 1
                            && number == 0
                            && self.paths[krate].contains(&module[module.len() - 1..]);
                        if is_another {
                            return None;
                        }
                        continue;
                    }
                    let mut found = crates_called(self.new, self.externs, name);
                    krate = found.next().filter(|_| number == 0)?;
                    module.clear();
                }
            }
        }
        Some((krate, module.into()))
    }

    /// For each module those with a glob import of it.
    pub(super) fn globs(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let mut globs: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
        for (krate, source) in self.new.iter().enumerate() {
            for item in source.files.iter().flat_map(|file| &file.parsed.items) {
                let at = (krate, item.module.clone());
                for import in item.imports.iter().filter(|import| import.name == "*") {
                    let last = import.path.last().map_or("", String::as_str);
                    let found = self.called(&at, last).into_iter().filter(|of| *of != at);
                    found.for_each(|of| {
                        globs.entry(of).or_default().insert(at.clone());
                    });
                }
            }
        }
        globs
    }
}

/// Crates that go by this name.
pub(super) fn crates_called(
    krates: &[CrateSource],
    externs: &BTreeSet<(usize, String)>,
    name: &str,
) -> impl Iterator<Item = usize> {
    let called = krates.iter().enumerate().filter(move |(number, source)| {
        let mut externs = externs.iter();
        source.name == name || externs.any(|(of, other)| of == number && other == name)
    });
    called.map(|(number, _)| number)
}

fn modules(source: &CrateSource) -> BTreeSet<Arc<[String]>> {
    let mut out: BTreeSet<Arc<[String]>> = source
        .files
        .iter()
        .map(|file| file.module.clone())
        .collect();
    let inline = source
        .files
        .iter()
        .flat_map(|file| &file.parsed.inline_modules);
    out.extend(inline.map(|module| module.path.clone()));
    out
}
