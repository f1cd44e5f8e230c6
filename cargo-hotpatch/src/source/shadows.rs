//! Names of the prelude that a glob import takes in a scope, where everything is visible, and not in the crate.
//!
//! A name that two glob imports bring is an error, and rustc says so; but what one of them brings comes before the
//! prelude without a word.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::file::{Kind, Owner};
use super::globs::{Module, Modules};
use super::items::CrateSource;
use super::privacy::Spot;

/// What every module knows without an import; from the library reference's `std::prelude` and the language's own types.
const PRELUDE: &[&str] = &[
    "AsMut",
    "AsRef",
    "AsyncFn",
    "AsyncFnMut",
    "AsyncFnOnce",
    "Box",
    "Clone",
    "Copy",
    "Default",
    "DoubleEndedIterator",
    "Drop",
    "Eq",
    "Err",
    "ExactSizeIterator",
    "Extend",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "FromIterator",
    "Future",
    "Into",
    "IntoFuture",
    "IntoIterator",
    "Iterator",
    "None",
    "Ok",
    "Option",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "Result",
    "Send",
    "Sized",
    "Some",
    "String",
    "Sync",
    "ToOwned",
    "ToString",
    "TryFrom",
    "TryInto",
    "Unpin",
    "Vec",
    "align_of",
    "align_of_val",
    "bool",
    "char",
    "drop",
    "f32",
    "f64",
    "i128",
    "i16",
    "i32",
    "i64",
    "i8",
    "isize",
    "size_of",
    "size_of_val",
    "str",
    "u128",
    "u16",
    "u32",
    "u64",
    "u8",
    "usize",
];

/// Notes in each crate which names of the prelude mean something else in which of its modules in a scope.
///
/// `externs` are the names by which crates know each other, where those are not their own.
pub fn note(krates: &mut [CrateSource], externs: &BTreeSet<(usize, String)>) {
    let found = shadows(krates, externs);
    for krate in &mut *krates {
        krate.shadows.clear();
    }
    for ((krate, module), names) in found {
        krates[krate].shadows.insert(module, names);
    }
}

/// What gives such names back the meaning that they have in the crate, on one line: what a module names itself comes before
/// what its glob imports bring.
#[must_use]
pub fn imports(krate: &CrateSource, module: &[String]) -> String {
    let mut root = krate.files.first().into_iter().flat_map(|file| {
        let attrs = file.parsed.inner_attrs.iter();
        attrs.map(|range| &file.parsed.text[range.clone()])
    });
    let is_alone = root.any(|attr| attr.contains("no_std"));
    let names = krate.shadows.get(module).into_iter().flatten();
    let import = |name: &String| {
        let path = match name.as_str() {
            "Box" | "String" | "ToOwned" | "ToString" | "Vec" if is_alone => return String::new(),
            "Future" | "IntoFuture" => "core::future",
            "drop" | "align_of" | "align_of_val" | "size_of" | "size_of_val" => "core::mem",
            name if name.starts_with(char::is_uppercase) && is_alone => "core::prelude::rust_2021",
            name if name.starts_with(char::is_uppercase) => "std::prelude::rust_2021",
            _ => "core::primitive",
        };
        format!(" #[allow(unused_imports)] use ::{path}::{name};")
    };
    names.map(import).collect()
}

fn shadows(
    krates: &[CrateSource],
    externs: &BTreeSet<(usize, String)>,
) -> BTreeMap<Module, BTreeSet<String>> {
    let hidden = hidden(krates);
    let mut out: BTreeMap<Module, BTreeSet<String>> = BTreeMap::new();
    if hidden.is_empty() {
        return out;
    }
    let globs = Modules::of(krates, krates, externs).globs();
    for Hidden { at: of, home, name } in &hidden {
        let mut seen = BTreeSet::from([of.clone()]);
        let mut queue = vec![of];
        while let Some(module) = queue.pop() {
            for at in globs.get(module).into_iter().flatten() {
                if defines(&krates[at.0], at, name) || !seen.insert(at.clone()) {
                    continue;
                }
                queue.push(at);
                let spot = Spot {
                    krate: at.0,
                    module: &at.1,
                };
                if !spot.may_name(of.0, Some(home)) {
                    out.entry(at.clone()).or_default().insert(name.clone());
                }
            }
        }
    }
    out
}

/// Something with a name of the prelude that not everybody may name.
struct Hidden {
    at: Module,
    home: Arc<[String]>,
    name: String,
}

fn hidden(krates: &[CrateSource]) -> Vec<Hidden> {
    let is_known = |name: &&String| PRELUDE.binary_search(&name.as_str()).is_ok();
    let mut out = Vec::new();
    for (krate, source) in krates.iter().enumerate() {
        for file in &source.files {
            let functions = file.parsed.functions.iter();
            let functions = functions
                .filter(|function| function.owner == Owner::Free)
                .map(|function| (&function.module, &function.home, &function.name));
            let items = file
                .parsed
                .items
                .iter()
                .filter(|item| !item.kind.is_macro() && item.kind != Kind::Impl)
                .filter(|item| !item.name.contains(" of "))
                .flat_map(|item| {
                    item.names
                        .iter()
                        .map(|name| (&item.module, &item.home, name))
                });
            let named = functions.chain(items).filter(|(_, _, name)| is_known(name));
            out.extend(named.filter_map(|(module, home, name)| {
                Some(Hidden {
                    at: (krate, module.clone()),
                    home: home.clone()?,
                    name: name.clone(),
                })
            }));
        }
    }
    out
}

/// Whether a module has something of this name itself, which comes before all that its glob imports bring.
fn defines(source: &CrateSource, module: &Module, name: &str) -> bool {
    source.files.iter().any(|file| {
        let mut functions = file.parsed.functions.iter();
        let mut items = file.parsed.items.iter();
        functions.any(|function| {
            function.module == module.1 && function.owner == Owner::Free && function.name == name
        }) || items.any(|item| {
            item.module == module.1
                && item.kind != Kind::Impl
                && !item.name.contains(" of ")
                && item.names.iter().any(|known| known == name)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::items::fake::krate;

    #[test]
    fn the_prelude_is_sorted() {
        assert!(PRELUDE.is_sorted());
    }

    #[test]
    fn a_module_names_what_it_means() {
        let text = "#![no_std] mod a { struct Vec; struct Option; fn drop() {} struct u8; } mod b { use super::a::*; }";
        let mut krates = [krate(&[("src/main.rs", text)])];
        note(&mut krates, &BTreeSet::new());
        assert_eq!(
            imports(&krates[0], &["b".to_owned()]),
            " #[allow(unused_imports)] use ::core::prelude::rust_2021::Option; \
             #[allow(unused_imports)] use ::core::mem::drop; #[allow(unused_imports)] use ::core::primitive::u8;"
        );
        assert_eq!(imports(&krates[0], &["a".to_owned()]), "");
    }

    fn shadowed(text: &str) -> Vec<(String, Vec<String>)> {
        let found = shadows(&[krate(&[("src/main.rs", text)])], &BTreeSet::new());
        found
            .into_iter()
            .map(|(module, names)| (module.1.join("::"), names.into_iter().collect()))
            .collect()
    }

    #[test]
    fn a_private_name_reaches_whoever_has_a_glob_import_of_it() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(
            shadowed(
                "mod a { struct Option; pub struct Vec; fn drop() {} use std::io::Result; pub mod below { use super::*; } } \
                 mod b { use super::a::*; } mod c { use super::b::*; struct Option; use std::result::Result; } \
                 mod d { pub(super) struct Box; pub(crate) struct String; pub(in crate::d) struct Default; } mod e { use super::d::*; }"
            ),
            [
                ("b".to_owned(), names(&["Option", "Result", "drop"])),
                ("c".to_owned(), names(&["drop"])),
                ("e".to_owned(), names(&["Default"])),
            ]
        );
    }
}
