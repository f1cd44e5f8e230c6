//! What traits are called where they are not called by their own name: symbols have their own names only.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::file::{Function, Impl, Kind, Owner};
use crate::source::items::CrateSource;

/// The imports that give another name, by that name: the module they stand in and the name they give it to.
#[derive(Debug, Clone, Default)]
pub(super) struct Renames(BTreeMap<String, Vec<(Vec<String>, String)>>);

/// Imports of imports are followed so far.
const FAR: usize = 8;

impl Renames {
    pub(super) fn read(source: &CrateSource, out: &mut Self) {
        let items = source.files.iter().flat_map(|file| &file.parsed.items);
        for item in items.filter(|item| item.kind == Kind::Use) {
            for import in &item.imports {
                let real = import.path.last().filter(|real| **real != import.name);
                if let Some(real) = real.filter(|_| import.name != "*") {
                    let known = out.0.entry(import.name.clone()).or_default();
                    known.push((item.module.to_vec(), real.clone()));
                }
            }
        }
    }

    /// The own name of the trait that a method's `impl` is of, if it is one of `traits` by another name.
    pub(super) fn trait_of(
        &self,
        source: &CrateSource,
        function: &Function,
        traits: &BTreeSet<String>,
    ) -> Option<String> {
        let Owner::Impl(head) = &function.owner else {
            return None;
        };
        let mut name = head.trait_name.clone()?;
        let mut from = home(source, function, head)?;
        for _ in 0..FAR {
            if traits.contains(&name) {
                return Some(name);
            }
            let known = self.0.get(&name)?;
            let is_there = |(module, _): &&(Vec<String>, String)| match &from {
                Some(from) => module.last().is_none_or(|last| last == from),
                None => true,
            };
            name.clone_from(&known.iter().find(is_there)?.1);
            from = None;
        }
        None
    }
}

/// The module that an `impl` takes its trait from, by its last name, where that is said; `None` for the standard
/// library's.
fn home(source: &CrateSource, function: &Function, head: &Impl) -> Option<Option<String>> {
    let written = head.trait_path.as_deref()?.replace(' ', "");
    let mut path: Vec<String> = written
        .split('<')
        .next()?
        .split("::")
        .map(str::to_owned)
        .collect();
    if path.len() == 1 {
        let items = source.files.iter().flat_map(|file| &file.parsed.items);
        let mut imports = items
            .filter(|item| item.kind == Kind::Use && item.module == function.module)
            .flat_map(|item| &item.imports);
        match imports.find(|import| import.name == path[0]) {
            Some(import) => path.clone_from(&import.path),
            None => return Some(None),
        }
    }
    if matches!(
        path.first().map(String::as_str),
        Some("std" | "core" | "alloc")
    ) {
        return None;
    }
    let module = path.len().checked_sub(2).map(|at| path[at].clone());
    Some(module.filter(|name| !matches!(name.as_str(), "crate" | "self" | "super")))
}
