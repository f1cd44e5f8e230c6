//! Names that a glob import takes in a scope, where everything is visible, and not in the crate.
//!
//! What it brings comes before the prelude without a word, and where another glob import brings the same name it is an error.
//! So such names are imported from where they are meant to come from: that comes before all glob imports.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::file::{Import, Kind, Owner};
use super::foreign::{self, ForeignTraits};
use super::globs::{Module, Modules};
use super::items::{CrateSource, raw};
use super::privacy::may_name;

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
    /// From nowhere, if it is not the name of another crate.
    Crate,
    /// From the prelude or by a glob import of which it is not known what it brings.
    Unknown,
}

/// The names that a scope would take, by module.
pub type Shadows = BTreeMap<Module, BTreeMap<String, Origin>>;

/// Notes in a crate which names mean something else in which of its modules in a scope, and which traits are seen there.
pub fn note(krate: &mut CrateSource) {
    let (shadows, traits) = shadows(krate);
    krate.shadows = shadows;
    krate.foreign_traits = traits;
}

/// What gives such names back the meaning that they have in the crate, on one line. A glob import may hand on what it
/// brings: what stands before it does so with `shows`.
#[must_use]
pub fn imports(krate: &CrateSource, module: &[String], shows: bool) -> String {
    let is_alone = is_without_std(krate);
    let names = krate.shadows.get(module).into_iter().flatten();
    let import = |(name, origin): (&String, &Origin)| {
        let (path, vis) = match origin {
            Origin::Path(path) => (path.as_str(), if shows { "pub " } else { "" }),
            Origin::Prelude => match prelude(name, is_alone) {
                Some(path) => (path, ""),
                None => return String::new(),
            },
            Origin::Crate | Origin::Unknown => return String::new(),
        };
        format!(" #[allow(unused_imports)] {vis}use {path}::{};", raw(name))
    };
    names.map(import).collect()
}

/// Whether a crate may be without the standard library: with `cfg_attr` that is not known.
fn is_without_std(krate: &CrateSource) -> bool {
    let mut attrs = krate.files.first().into_iter().flat_map(|file| {
        let attrs = file.parsed.inner_attrs.iter();
        attrs.map(|range| &file.parsed.text[range.clone()])
    });
    attrs.any(|attr| attr.contains("no_std"))
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

/// A name of which nobody knows what it means in code that says this in a module and mentions these names.
#[must_use]
pub fn unknown<'a>(
    krate: &'a CrateSource,
    module: &[String],
    (text, mentions): (&str, &BTreeSet<String>),
) -> Option<&'a str> {
    let names = krate.shadows.get(module).into_iter().flatten();
    let mut names = names.filter(|(name, origin)| match origin {
        Origin::Path(_) => false,
        Origin::Prelude => prelude(name, is_without_std(krate)).is_none(),
        Origin::Crate => begins_path(text, name),
        Origin::Unknown => true,
    });
    names
        .find(|(name, _)| mentions.contains(*name))
        .map(|(name, _)| name.as_str())
}

/// Whether a path begins with this name.
fn begins_path(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].trim_end().chars().next_back();
        let after = text[at + name.len()..].trim_start();
        after.starts_with("::")
            && before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '_' | ':'))
    })
}

fn shadows(krate: &CrateSource) -> (Shadows, ForeignTraits) {
    let modules = Modules::of(krate);
    let (mut shadows, mut foreign) = (Shadows::new(), ForeignTraits::new());
    let globs = modules.globs();
    let mut all = globs
        .iter()
        .flat_map(|(of, at)| at.iter().map(move |at| (of, at)));
    // A module sees all of those that it is in, and mostly that is all there is.
    if all.all(|(of, at)| at.starts_with(of)) {
        return (shadows, foreign);
    }
    let known = Known::of(krate);
    let importers = known.importers(&modules);
    for (of, names) in &known.named {
        let mut reached = BTreeSet::new();
        let mut queue = vec![of];
        while let Some(module) = queue.pop() {
            let importers = importers.get(module).into_iter().flatten();
            queue.extend(
                importers
                    .map(|(at, _)| *at)
                    .filter(|at| reached.insert(*at)),
            );
        }
        reached.remove(of);
        if reached.is_empty() {
            continue;
        }
        let traits = || known.traits_of_others(&modules, of);
        let homes: BTreeSet<Home<'_>> = names
            .values()
            .copied()
            .chain(traits().map(|(_, home)| home))
            .collect();
        for home in homes {
            let visible = visible_from(of, home, &importers);
            let seen = traits().filter(|(_, other)| *other == home);
            let seen: BTreeSet<String> = seen.map(|(name, _)| name.to_owned()).collect();
            for at in reached.iter().filter(|at| !visible.contains(**at)) {
                if !seen.is_empty() {
                    let foreign = foreign.entry((*at).clone()).or_default();
                    foreign.extend(seen.iter().cloned());
                }
                let hidden = names.iter().filter(|(_, other)| **other == home);
                for (name, _) in hidden.filter(|(name, _)| known.home(at, name).is_none()) {
                    let names = shadows.entry((*at).clone()).or_default();
                    names.extend(known.methods(name).map(|name| (name, Origin::Unknown)));
                    if let Some(origin) = known.origin(&modules, at, name) {
                        names.insert((*name).to_owned(), origin);
                    }
                }
            }
        }
    }
    shadows.retain(|_, names| !names.is_empty());
    (shadows, foreign)
}

/// Modules that what stands in `of` and has this home reaches by glob imports that may be followed.
fn visible_from<'a>(
    of: &'a Module,
    home: Home<'a>,
    importers: &Importers<'a>,
) -> BTreeSet<&'a Module> {
    let mut seen = BTreeSet::from([(of, home)]);
    let mut queue = vec![(of, home)];
    while let Some((module, home)) = queue.pop() {
        for (at, of_import) in importers.get(module).into_iter().flatten() {
            // Whoever takes all from `at` has it if the import there is for them.
            if may_name(at, home) && seen.insert((at, *of_import)) {
                queue.push((at, *of_import));
            }
        }
    }
    seen.into_iter().map(|(at, _)| at).collect()
}

/// The module that may name something, if not everybody may.
type Home<'a> = Option<&'a Arc<[String]>>;

/// For each module those with a glob import of it, and who has what that brings.
type Importers<'a> = BTreeMap<Module, BTreeSet<(&'a Module, Home<'a>)>>;

/// Names, with who may name that, by module.
type NamedBy<'a> = BTreeMap<Module, BTreeMap<&'a str, Home<'a>>>;

/// What modules have.
struct Known<'a> {
    /// Names of their own.
    named: NamedBy<'a>,
    globs: BTreeMap<Module, Vec<(&'a Import, Home<'a>)>>,
    /// Imports that are not globs, and may be of traits.
    imports: BTreeMap<Module, Vec<(&'a Import, Home<'a>)>>,
    /// Methods of traits, by their names.
    traits: BTreeMap<&'a str, &'a BTreeSet<String>>,
    /// Modules in which macros make items, under names that are not known.
    made: BTreeSet<Module>,
}

impl<'a> Known<'a> {
    fn of(krate: &'a CrateSource) -> Self {
        let mut out = Self {
            named: BTreeMap::new(),
            globs: BTreeMap::new(),
            imports: BTreeMap::new(),
            traits: BTreeMap::new(),
            made: BTreeSet::new(),
        };
        let functions = krate.functions().map(|(_, function)| function);
        for function in functions.filter(|function| function.owner == Owner::Free) {
            let names = out.named.entry(function.module.clone()).or_default();
            names.insert(&function.name, function.home.as_ref());
        }
        for item in krate.items() {
            let at = &item.module;
            if item.kind == Kind::ItemMacro {
                out.made.insert(at.clone());
                continue;
            }
            let is_elsewhere = matches!(item.kind, Kind::Impl | Kind::MacroRules)
                || (item.kind == Kind::Const && item.name.contains(" of "));
            if is_elsewhere {
                continue;
            }
            for import in &item.imports {
                let all = match import.name.as_str() {
                    "*" => &mut out.globs,
                    _ if foreign::may_be_trait(&import.path) => &mut out.imports,
                    _ => continue,
                };
                let all = all.entry(at.clone()).or_default();
                all.push((import, item.home.as_ref()));
            }
            if let (Kind::Trait, Some(name)) = (item.kind, item.names.first()) {
                out.traits.insert(name, &item.mentions);
            }
            let names = item.names.iter().map(String::as_str);
            let names = names.filter(|name| !matches!(*name, "*" | "_"));
            let own = out.named.entry(at.clone()).or_default();
            own.extend(names.map(|name| (name, item.home.as_ref())));
        }
        out
    }

    fn importers(&self, modules: &Modules<'_>) -> Importers<'_> {
        let mut out = Importers::new();
        for (at, globs) in &self.globs {
            for (import, home) in globs {
                let last = import.path.last().map_or("", String::as_str);
                let first = import.path.first().map_or("", String::as_str);
                let is_near = matches!(first, "crate" | "self" | "super");
                let found = match modules.at_path(at, &import.path) {
                    Some(module) => vec![module],
                    // It goes through an import, or begins in a crate of others.
                    None if is_near || self.home(at, first).is_some() => modules.called(at, last),
                    None => Vec::new(),
                };
                for of in found.into_iter().filter(|of| of != at) {
                    out.entry(of).or_default().insert((at, *home));
                }
            }
        }
        out
    }

    /// Imports of a module that may be of traits of crates of others: the standard library's by their names, `*` for what
    /// nobody knows the methods of.
    fn traits_of_others(
        &self,
        modules: &Modules<'_>,
        at: &Module,
    ) -> impl Iterator<Item = (&'a str, Home<'a>)> {
        let imports = [&self.imports, &self.globs].map(|all| all.get(at).into_iter().flatten());
        let of_others = |import: &Import| {
            let is_near = |first: &String| matches!(first.as_str(), "crate" | "self" | "super");
            let first = import.path.first().filter(|first| !is_near(first));
            first.is_some() && modules.at_path(at, &import.path[..1]).is_none()
        };
        let imports = imports.into_iter().flatten();
        imports
            .filter(move |(import, _)| of_others(import))
            .map(|(import, home)| (foreign::known_name(import), *home))
    }

    /// Who may name what a module has of this name itself, if it has something.
    fn home(&self, at: &Module, name: &str) -> Option<Home<'a>> {
        self.named.get(at)?.get(name).copied()
    }

    /// What comes along with a trait of this name.
    fn methods(&self, name: &str) -> impl Iterator<Item = String> {
        self.traits
            .get(name)
            .into_iter()
            .flat_map(|methods| methods.iter().cloned())
    }

    fn globs(&self, at: &Module) -> impl Iterator<Item = (&'a Import, Home<'a>)> {
        self.globs.get(at).into_iter().flatten().copied()
    }

    /// Where a name comes from in a module that does not have it itself, if from anywhere.
    fn origin(&self, modules: &Modules<'_>, at: &Module, name: &str) -> Option<Origin> {
        let mut is_unknown = self.made.contains(at);
        for (import, _) in self.globs(at) {
            match self.brings(modules, (at, import), (at, name), &mut BTreeSet::new()) {
                Some(true) => {
                    let path: Vec<_> = import.path.iter().map(|part| raw(part)).collect();
                    return Some(Origin::Path(path.join("::")));
                }
                Some(false) => {}
                None => is_unknown = true,
            }
        }
        match (PRELUDE.binary_search(&name).is_ok(), is_unknown) {
            (true, true) => Some(Origin::Unknown),
            (true, false) => Some(Origin::Prelude),
            (false, false) => Some(Origin::Crate),
            // Another one of that name would be an error.
            (false, true) => None,
        }
    }

    /// Whether a glob import brings this name to a place, if that is known.
    fn brings(
        &self,
        modules: &Modules<'_>,
        (at, import): (&Module, &Import),
        (to, name): (&Module, &str),
        seen: &mut BTreeSet<Module>,
    ) -> Option<bool> {
        if is_prelude_of_std(import) {
            return Some(false);
        }
        let from = modules.at_path(at, &import.path)?;
        if !seen.insert(from.clone()) {
            return Some(false);
        }
        if let Some(home) = self.home(&from, name) {
            return Some(may_name(to, home));
        }
        if self.made.contains(&from) {
            return None;
        }
        let mut found = Some(false);
        let globs = self.globs(&from);
        for (import, _) in globs.filter(|(_, home)| may_name(to, *home)) {
            match self.brings(modules, (&from, import), (to, name), seen) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => found = None,
            }
        }
        found
    }
}

/// `std::io::prelude` and its like have nothing that the prelude has.
fn is_prelude_of_std(import: &Import) -> bool {
    matches!(&import.path[..], [first, .., last]
        if matches!(first.as_str(), "std" | "core" | "alloc") && last == "prelude")
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
        let mut krate = krate(&[("src/main.rs", text)]);
        note(&mut krate);
        assert_eq!(
            imports(&krate, &["b".to_owned()], false),
            " #[allow(unused_imports)] use ::core::prelude::rust_2021::Option; \
             #[allow(unused_imports)] use ::core::mem::drop; #[allow(unused_imports)] use ::core::primitive::u8;"
        );
        assert_eq!(imports(&krate, &["a".to_owned()], false), "");
    }

    #[test]
    fn a_name_comes_from_the_glob_import_that_may_bring_it() {
        let text = "mod a { fn f() {} fn g() {} struct Vec; fn h() {} } mod c { pub fn f() {} pub struct Vec; fn g() {} } \
            mod d { pub use super::c::*; } mod b { use super::a::*; use super::c::*; } mod e { use crate::d::*; use crate::a::*; } \
            mod x { use super::a::*; use other::*; } \
            mod y { pub mod util { pub fn g() {} } } mod z { pub mod util { pub fn f() {} pub struct Vec; } } \
            mod u { use super::a::*; use super::y::util::*; } mod m { use super::a::*; make!(); }";
        let mut krate = krate(&[("src/main.rs", text)]);
        note(&mut krate);
        let all = |module: &str| imports(&krate, &[module.to_owned()], false);
        assert_eq!(
            all("b"),
            " #[allow(unused_imports)] use super::c::Vec; #[allow(unused_imports)] use super::c::f;"
        );
        assert_eq!(
            all("e"),
            " #[allow(unused_imports)] use crate::d::Vec; #[allow(unused_imports)] use crate::d::f;"
        );
        assert_eq!(all("x"), "");
        assert_eq!(
            all("u"),
            " #[allow(unused_imports)] use ::std::prelude::rust_2021::Vec; #[allow(unused_imports)] use super::y::util::g;"
        );
        assert_eq!(all("m"), "");
        let mentions = BTreeSet::from(["Vec".to_owned(), "f".to_owned(), "h".to_owned()]);
        assert_eq!(
            unknown(&krate, &["x".to_owned()], ("", &mentions)),
            Some("Vec")
        );
        let in_b = |text| unknown(&krate, &["b".to_owned()], (text, &mentions));
        assert_eq!(in_b("let h = x::h; f(h);"), None);
        assert_eq!(in_b("f(h::new())"), Some("h"));
    }

    fn shadowed(text: &str) -> Vec<(String, Vec<String>)> {
        let (found, _) = shadows(&krate(&[("src/main.rs", text)]));
        found
            .into_iter()
            .map(|(module, names)| {
                let known = names
                    .into_iter()
                    .filter(|(_, origin)| *origin != Origin::Crate);
                (module.join("::"), known.map(|(name, _)| name).collect())
            })
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
                ("c".to_owned(), names(&["Vec", "drop"])),
                ("e".to_owned(), names(&["Default"])),
            ]
        );
    }
}
