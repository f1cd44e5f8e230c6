//! Parts that a patch crate is put together from: small texts, and the macros that come along.

use std::collections::BTreeSet;

use super::file::{Impl, Kind, OtherItem};
use super::items::{CrateSource, SourceFile};

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
