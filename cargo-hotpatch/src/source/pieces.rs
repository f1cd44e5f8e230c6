//! Parts that a patch crate is put together from: small texts, and the macros that come along.

use std::collections::BTreeSet;

use super::file::{Impl, Kind, OtherItem};
use super::globs::{Module, Modules};
use super::items::{CrateSource, SourceFile, raw};

/// The pairs of a function, each the one in the scope and the new one, and the end of its block.
pub(super) fn pairs(pairs: &[(String, String)], index: usize) -> String {
    let mut text = String::new();
    for (number, (old, new)) in pairs.iter().enumerate() {
        text += &format!(
            " #[used] #[unsafe(link_section = \".hp_pairs\")] static __HP{number}: crate::__HpPair = \
             crate::__HpPair({old} as *const (), {new} as *const (), {index});"
        );
    }
    text + " };"
}

/// A trait with these methods, and the beginning of its impl for the type.
pub(super) fn local_trait(head: &Impl, methods: &str) -> String {
    let Impl {
        generics,
        params,
        bounds,
        self_ty,
        ..
    } = head;
    format!(
        "const _: () = {{ trait __Hp {generics} {bounds} {{ {methods} }} \
         impl {generics} __Hp {params} for {self_ty} {bounds} {{ "
    )
}

/// The same text with nothing in it: lines and columns stay.
pub(super) fn blank(text: &str) -> String {
    text.chars()
        .map(|c| if c == '\n' { '\n' } else { ' ' })
        .collect()
}

pub(super) fn macro_items(krate: &CrateSource) -> impl Iterator<Item = (&SourceFile, &OtherItem)> {
    krate.files.iter().flat_map(|file| {
        file.parsed
            .items
            .iter()
            .filter(|item| item.kind == Kind::MacroRules)
            .map(move |item| (file, item))
    })
}

/// The crate's own macros that code with these identifiers may call, those they may call, and those that are imported
/// together with one of them: an import comes along as a whole.
pub(super) fn needed_macros<'a>(
    krate: &'a CrateSource,
    mut names: BTreeSet<&'a str>,
) -> BTreeSet<&'a str> {
    let mut needed = BTreeSet::new();
    loop {
        let before = needed.len();
        for (_, item) in macro_items(krate) {
            if let Some(name) = item.names.first()
                && names.contains(name.as_str())
                && needed.insert(name.as_str())
            {
                names.extend(item.mentions.iter().map(String::as_str));
            }
        }
        for import in krate
            .items()
            .filter(|item| item.kind == Kind::Use && item.names.len() > 1)
        {
            if import
                .names
                .iter()
                .any(|name| needed.contains(name.as_str()))
            {
                names.extend(import.names.iter().map(String::as_str));
            }
        }
        if needed.len() == before {
            return needed;
        }
    }
}

/// Imports of the `needed` macros that a module takes from others by glob imports: the scope cannot show them. `modules` are
/// those that the patch has.
pub(super) fn imported_macros(
    krate: &CrateSource,
    known: &Modules<'_>,
    module: &[String],
    modules: &BTreeSet<Vec<String>>,
    needed: &BTreeSet<&str>,
) -> String {
    let uses = || krate.items().filter(|item| item.kind == Kind::Use);
    let own = uses().filter(|item| *item.module == *module);
    let imports = own.flat_map(|item| item.imports.iter().map(move |of| (&item.module, of)));
    let globs = imports.filter(|(_, import)| import.name == "*");
    let from: BTreeSet<Module> = globs
        .filter_map(|(at, import)| known.at_path(at, &import.path))
        .filter(|from| **from != *module && modules.contains(&from.to_vec()))
        .collect();
    let mut text = String::new();
    for from in from {
        let names = uses().filter(|item| item.module == from);
        let names: BTreeSet<&str> = names
            .flat_map(|item| &item.names)
            .map(String::as_str)
            .filter(|name| needed.contains(name))
            .collect();
        for name in names {
            let path: Vec<_> = from.iter().map(|part| raw(part)).collect();
            let path = path
                .iter()
                .map(|part| format!("{part}::"))
                .collect::<String>();
            text += &format!("#[allow(unused_imports)] use crate::{path}{}; ", raw(name));
        }
    }
    text
}
