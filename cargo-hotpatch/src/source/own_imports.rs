//! What a patch's module sees of its crate: all that the scope shows, and the glob imports that the scope
//! must keep private.
//!
//! A glob import that everybody sees can bring a second item of a name to whoever imports that name from its
//! module (`use constants::constants`, where `constants` has a `use super::*`); so the scope leaves such a one
//! as it is written, and a patch has its own.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::file::{Kind, OtherItem, Owner};
use super::items::{CrateSource, SourceFile, raw};
use super::shadows;

/// Imports by file and first line.
pub type Imports = BTreeSet<(PathBuf, usize)>;

/// The imports of a module of a patch crate: [`imports`], and of what its glob imports would take.
#[must_use]
pub fn all_imports(
    krate: &CrateSource,
    module: &[String],
    modules: &BTreeSet<Vec<String>>,
    private: &Imports,
) -> String {
    imports(krate, module, modules, private) + &shadows::imports(krate, module, false)
}

/// The imports of a module of a patch crate that has these `modules`, on one line; `private` are those the scope left as
/// they are.
#[must_use]
fn imports(
    krate: &CrateSource,
    module: &[String],
    modules: &BTreeSet<Vec<String>>,
    private: &Imports,
) -> String {
    let all = scope_path(module, "*");
    let mut text = format!("#[allow(unused_imports)] pub use {all}; ");
    let items: Vec<(&SourceFile, &OtherItem)> = items_of(krate, module).collect();
    let own: Vec<String> = items
        .iter()
        .filter(|(file, item)| {
            is_glob(item) && private.contains(&(file.path.clone(), item.place.line))
        })
        .map(|(file, item)| file.parsed.text[item.range.clone()].replace('\n', " "))
        .collect();
    if own.is_empty() {
        return text;
    }
    // What the module has itself comes before what a glob import brings, of which there are two now; and the modules
    // that the patch has come before both.
    let is_in_the_patch = |item: &OtherItem| {
        let path = |name: &String| [module, std::slice::from_ref(name)].concat();
        item.kind == Kind::Module && item.names.iter().any(|name| modules.contains(&path(name)))
    };
    let named = items.iter().filter(|(file, item)| {
        !item.kind.is_macro()
            && item.kind != Kind::Impl
            && !is_in_the_patch(item)
            && !private.contains(&(file.path.clone(), item.place.line))
    });
    let mut names: BTreeSet<&str> = named
        .flat_map(|(_, item)| &item.names)
        .map(String::as_str)
        .filter(|name| !matches!(*name, "*" | "_"))
        .collect();
    names.extend(
        krate
            .functions()
            .filter(|(_, function)| *function.module == *module && function.owner == Owner::Free)
            .map(|(_, function)| function.name.as_str()),
    );
    for name in names {
        let path = scope_path(module, &raw(name));
        text += &format!("#[allow(unused_imports)] use {path}; ");
    }
    for import in own {
        text += &format!("#[allow(unused_imports)] {import} ");
    }
    text
}

/// What a module imports from its own crate by imports that the scope left as they are, of what is `said` in the patch: one
/// that brings a macro along, of which nobody outside of the crate may know, is private as a whole. One with a macro that is
/// `needed` stands in the patch itself.
#[must_use]
pub fn left_private(
    krate: &CrateSource,
    module: &[String],
    private: &Imports,
    (said, needed): (&BTreeSet<&str>, &BTreeSet<&str>),
) -> String {
    let macros = krate.macro_names();
    let items = items_of(krate, module);
    let is_private = |file: &SourceFile, item: &OtherItem| {
        let has_one =
            |of: &BTreeSet<&str>| item.names.iter().any(|name| of.contains(name.as_str()));
        let is_listed = private.contains(&(file.path.clone(), item.place.line));
        (is_listed || has_one(&macros)) && !has_one(needed)
    };
    let items = items.filter(|(file, item)| item.kind == Kind::Use && is_private(file, item));
    let imports = items.flat_map(|(_, item)| &item.imports);
    let wanted = imports.filter(|import| {
        said.contains(import.name.as_str()) && !macros.contains(import.name.as_str())
    });
    let mut text = String::new();
    for import in wanted {
        let first = import.path.first().map(String::as_str);
        let is_own = matches!(first, Some("crate" | "self" | "super"));
        if let (true, Some(of), Some(last)) =
            (is_own, absolute(module, &import.path), import.path.last())
        {
            let path = scope_path(&of, &raw(last));
            text += &format!(
                "#[allow(unused_imports)] use {path} as {}; ",
                raw(&import.name)
            );
        }
    }
    text
}

/// The glob imports of the module that the import of `name` at this place takes it from.
///
/// They are what brings `name` there a second time.
#[must_use]
pub fn globs_behind(krate: &CrateSource, file: &SourceFile, line: usize, name: &str) -> Imports {
    let uses = file
        .parsed
        .items
        .iter()
        .filter(|item| item.kind == Kind::Use);
    let Some(import) = uses
        .filter(|item| item.place.line <= line && item.names.iter().any(|known| known == name))
        .max_by_key(|item| item.place.line)
    else {
        return Imports::new();
    };
    let paths = import.imports.iter().filter(|import| import.name == name);
    let modules = paths.filter_map(|found| absolute(&import.module, &found.path));
    modules
        .flat_map(|module| {
            items_of(krate, &module)
                .filter(|(_, item)| is_glob(item))
                .map(|(file, item)| (file.path.clone(), item.place.line))
                .collect::<Imports>()
        })
        .collect()
}

/// The module that a path without its last name leads to, as seen from `module`.
fn absolute(module: &[String], path: &[String]) -> Option<Vec<String>> {
    let (_, path) = path.split_last()?;
    let mut out = module.to_vec();
    for (number, part) in path.iter().enumerate() {
        match part.as_str() {
            "crate" if number == 0 => out.clear(),
            "self" => {}
            "super" => drop(out.pop()?),
            name => out.push(name.to_owned()),
        }
    }
    Some(out)
}

fn items_of<'a>(
    krate: &'a CrateSource,
    module: &'a [String],
) -> impl Iterator<Item = (&'a SourceFile, &'a OtherItem)> {
    krate.files.iter().flat_map(move |file| {
        let items = file.parsed.items.iter();
        items
            .filter(move |item| *item.module == *module)
            .map(move |item| (file, item))
    })
}

fn is_glob(item: &OtherItem) -> bool {
    item.kind == Kind::Use && item.names.iter().any(|name| name == "*")
}

/// The path of something in a module, by way of the scope.
pub(super) fn scope_path(module: &[String], name: &str) -> String {
    let mut path = "::hp_scope::".to_owned();
    for part in module {
        path.push_str(&raw(part));
        path.push_str("::");
    }
    path.push_str(name);
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::items::fake::krate;

    const FILES: &[(&str, &str)] = &[
        (
            "src/main.rs",
            "use {\n    table::{self as t, table},\n    other::x,\n};\nmod table;\nmod other;\nfn main() {}\n",
        ),
        (
            "src/table.rs",
            "use super::*;\nuse std::fmt::Debug;\npub struct Row;\npub fn table() {}\nimpl Row { fn of() {} }\n",
        ),
        ("src/other.rs", "pub fn x() {}\n"),
    ];

    fn only(path: &str, line: usize) -> Imports {
        Imports::from([(PathBuf::from(path), line)])
    }

    #[test]
    fn the_glob_behind_an_import_is_found() {
        let krate = krate(FILES);
        let root = &krate.files[0];
        assert_eq!(
            globs_behind(&krate, root, 2, "table"),
            only("/src/table.rs", 1)
        );
        assert_eq!(globs_behind(&krate, root, 2, "x"), Imports::new());
        assert_eq!(globs_behind(&krate, root, 2, "nothing"), Imports::new());
    }

    #[test]
    fn a_private_glob_is_the_patchs_own() {
        let krate = krate(FILES);
        let module = ["table".to_owned()];
        let shown = imports(&krate, &module, &BTreeSet::new(), &only("/src/other.rs", 1));
        assert_eq!(
            shown,
            "#[allow(unused_imports)] pub use ::hp_scope::table::*; "
        );
        let own = imports(&krate, &module, &BTreeSet::new(), &only("/src/table.rs", 1));
        let expected = [
            "pub use ::hp_scope::table::*;",
            "use ::hp_scope::table::Debug;",
            "use ::hp_scope::table::Row;",
            "use ::hp_scope::table::table;",
            "use super::*;",
        ]
        .map(|import| format!("#[allow(unused_imports)] {import} "));
        assert_eq!(own, expected.concat());
    }
}
