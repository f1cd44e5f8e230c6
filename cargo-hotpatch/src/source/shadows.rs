//! Names that a glob import takes in a scope, where everything is visible, and not in the crate.
//!
//! What it brings comes before the prelude without a word, and where another glob import brings the same name it is an error.
//! So such names are imported from where they are meant to come from: that comes before all glob imports.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::file::{Import, Kind, Owner};
use super::globs::{Module, Modules};
use super::items::{CrateSource, raw};
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

/// Where a name comes from that a glob import would take.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// From here, by the path of another glob import.
    Path(String),
    /// From the prelude.
    Prelude,
    /// From the prelude or by a glob import of which it is not known what it brings.
    Unknown,
}

/// The names that a scope would take, by module.
pub type Shadows = BTreeMap<Arc<[String]>, BTreeMap<String, Origin>>;

/// Notes in each crate which names mean something else in which of its modules in a scope.
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

/// What gives such names back the meaning that they have in the crate, on one line.
#[must_use]
pub fn imports(krate: &CrateSource, module: &[String]) -> String {
    let mut root = krate.files.first().into_iter().flat_map(|file| {
        let attrs = file.parsed.inner_attrs.iter();
        attrs.map(|range| &file.parsed.text[range.clone()])
    });
    let is_alone = root.any(|attr| attr.contains("no_std"));
    let names = krate.shadows.get(module).into_iter().flatten();
    let import = |(name, origin): (&String, &Origin)| {
        let path = match origin {
            Origin::Path(path) => path,
            Origin::Prelude => match prelude(name, is_alone) {
                Some(path) => path,
                None => return String::new(),
            },
            Origin::Unknown => return String::new(),
        };
        format!(" #[allow(unused_imports)] use {path}::{};", raw(name))
    };
    names.map(import).collect()
}

/// Where what the prelude has of this name is, for a crate without the standard library or with it.
fn prelude(name: &str, is_alone: bool) -> Option<&'static str> {
    Some(match name {
        "Box" | "String" | "ToOwned" | "ToString" | "Vec" if is_alone => return None,
        "Future" | "IntoFuture" => "::core::future",
        "drop" | "align_of" | "align_of_val" | "size_of" | "size_of_val" => "::core::mem",
        name if name.starts_with(char::is_uppercase) && is_alone => "::core::prelude::rust_2021",
        name if name.starts_with(char::is_uppercase) => "::std::prelude::rust_2021",
        _ => "::core::primitive",
    })
}

/// A name of which nobody knows what it means where code that mentions these names stands.
#[must_use]
pub fn unknown<'a>(
    krate: &'a CrateSource,
    module: &[String],
    mentions: &BTreeSet<String>,
) -> Option<&'a str> {
    let names = krate.shadows.get(module).into_iter().flatten();
    let mut names = names.filter(|(_, origin)| **origin == Origin::Unknown);
    names
        .find(|(name, _)| mentions.contains(*name))
        .map(|(name, _)| name.as_str())
}

fn shadows(
    krates: &[CrateSource],
    externs: &BTreeSet<(usize, String)>,
) -> BTreeMap<Module, BTreeMap<String, Origin>> {
    let modules = Modules::of(krates, krates, externs);
    let globs = modules.globs();
    let mut out: BTreeMap<Module, BTreeMap<String, Origin>> = BTreeMap::new();
    for Hidden { at: of, home, name } in hidden(krates, &globs) {
        let mut seen = BTreeSet::from([&of]);
        let mut queue = vec![&of];
        while let Some(module) = queue.pop() {
            for at in globs.get(module).into_iter().flatten() {
                if !seen.insert(at) || defined(&krates[at.0], &at.1, &name).is_some() {
                    continue;
                }
                queue.push(at);
                if Spot::of(at).may_name(of.0, Some(&home)) {
                    continue;
                }
                if let Some(origin) = origin(krates, &modules, at, &name) {
                    out.entry(at.clone())
                        .or_default()
                        .insert(name.clone(), origin);
                }
            }
        }
    }
    out
}

/// Something that not everybody may name, in a module that others take all from.
struct Hidden {
    at: Module,
    home: Arc<[String]>,
    name: String,
}

fn hidden(krates: &[CrateSource], globs: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<Hidden> {
    let taken: HashSet<(usize, &[String])> = globs
        .keys()
        .map(|(krate, module)| (*krate, &**module))
        .collect();
    let mut out = Vec::new();
    for (krate, source) in krates.iter().enumerate() {
        for (module, home, name) in named(source) {
            if let Some(home) = home
                && taken.contains(&(krate, &**module))
            {
                out.push(Hidden {
                    at: (krate, module.clone()),
                    home: home.clone(),
                    name: name.to_owned(),
                });
            }
        }
    }
    out
}

/// Something a module has itself: the module, who may name it, and its name.
type Named<'a> = (&'a Arc<[String]>, &'a Option<Arc<[String]>>, &'a str);

fn named(source: &CrateSource) -> impl Iterator<Item = Named<'_>> {
    source.files.iter().flat_map(|file| {
        let functions = file.parsed.functions.iter();
        let functions = functions
            .filter(|function| function.owner == Owner::Free)
            .map(|function| (&function.module, &function.home, function.name.as_str()));
        let items = file.parsed.items.iter();
        let items = items
            .filter(|item| !item.kind.is_macro() && item.kind != Kind::Impl)
            .filter(|item| !item.name.contains(" of "))
            .flat_map(|item| {
                let names = item.names.iter().filter(|name| *name != "*");
                names.map(|name| (&item.module, &item.home, name.as_str()))
            });
        functions.chain(items)
    })
}

/// Who may name what a module has of this name itself, if it has something.
fn defined<'a>(
    source: &'a CrateSource,
    module: &[String],
    name: &str,
) -> Option<&'a Option<Arc<[String]>>> {
    let mut found = named(source).filter(|(at, _, known)| ***at == *module && *known == name);
    found.next().map(|(_, home, _)| home)
}

/// Where a name comes from in a module that does not have it itself, if from anywhere.
fn origin(
    krates: &[CrateSource],
    modules: &Modules<'_>,
    at: &Module,
    name: &str,
) -> Option<Origin> {
    let mut is_unknown = false;
    for import in glob_imports(&krates[at.0], &at.1) {
        let last = import.path.last().map_or("", String::as_str);
        let first = import.path.first().map_or("", String::as_str);
        let is_std_prelude = matches!(first, "std" | "core" | "alloc") && last == "prelude";
        if is_std_prelude {
            continue;
        }
        let below: Vec<String> = [&*at.1, &[first.to_owned()]].concat();
        let is_ours = matches!(first, "crate" | "self" | "super")
            || krates.iter().any(|krate| krate.name == first)
            || modules.paths[at.0].contains(&*below);
        let targets = modules.called(at, last);
        if !is_ours || targets.is_empty() {
            is_unknown = true;
            continue;
        }
        let mut seen = BTreeSet::new();
        if targets
            .iter()
            .any(|target| brings(krates, modules, target, (at, name), &mut seen))
        {
            return Some(Origin::Path(import.path.join("::")));
        }
    }
    let is_in_prelude = PRELUDE.binary_search(&name).is_ok();
    is_in_prelude.then_some(if is_unknown {
        Origin::Unknown
    } else {
        Origin::Prelude
    })
}

/// Whether a glob import of `from` brings this name to a module.
fn brings(
    krates: &[CrateSource],
    modules: &Modules<'_>,
    from: &Module,
    (at, name): (&Module, &str),
    seen: &mut BTreeSet<Module>,
) -> bool {
    if !seen.insert(from.clone()) {
        return false;
    }
    if let Some(home) = defined(&krates[from.0], &from.1, name) {
        return Spot::of(at).may_name(from.0, home.as_ref());
    }
    glob_imports(&krates[from.0], &from.1).any(|import| {
        let last = import.path.last().map_or("", String::as_str);
        let targets = modules.called(from, last);
        targets
            .iter()
            .any(|target| brings(krates, modules, target, (at, name), seen))
    })
}

fn glob_imports<'a>(
    source: &'a CrateSource,
    module: &'a [String],
) -> impl Iterator<Item = &'a Import> {
    let items = source.files.iter().flat_map(|file| &file.parsed.items);
    items
        .filter(move |item| *item.module == *module)
        .flat_map(|item| &item.imports)
        .filter(|import| import.name == "*")
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

    #[test]
    fn a_name_comes_from_the_glob_import_that_may_bring_it() {
        let text = "mod a { fn f() {} fn g() {} struct Vec; fn h() {} } mod c { pub fn f() {} pub struct Vec; fn g() {} } \
            mod d { pub use super::c::*; } mod b { use super::a::*; use super::c::*; } mod e { use crate::d::*; use crate::a::*; } \
            mod x { use super::a::*; use other::*; }";
        let mut krates = [krate(&[("src/main.rs", text)])];
        note(&mut krates, &BTreeSet::new());
        let all = |module: &str| imports(&krates[0], &[module.to_owned()]);
        assert_eq!(
            all("b"),
            " #[allow(unused_imports)] use super::c::Vec; #[allow(unused_imports)] use super::c::f;"
        );
        assert_eq!(
            all("e"),
            " #[allow(unused_imports)] use crate::d::Vec; #[allow(unused_imports)] use crate::d::f;"
        );
        assert_eq!(all("x"), "");
        let mentions = BTreeSet::from(["Vec".to_owned(), "f".to_owned()]);
        assert_eq!(
            unknown(&krates[0], &["x".to_owned()], &mentions),
            Some("Vec")
        );
        assert_eq!(unknown(&krates[0], &["b".to_owned()], &mentions), None);
    }

    fn shadowed(text: &str) -> Vec<(String, Vec<String>)> {
        let found = shadows(&[krate(&[("src/main.rs", text)])], &BTreeSet::new());
        found
            .into_iter()
            .map(|(module, names)| (module.1.join("::"), names.into_keys().collect()))
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
