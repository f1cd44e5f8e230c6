//! What an edit changed: two versions of a crate, compared item by item.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fields;
use super::file::{FnKey, Function, Kind, OtherItem, ParsedFile, Place, Shape};
use super::items::{CrateSource, SourceFile};

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Became {
    Added,
    Removed,
    Changed,
    /// It is as it was written, but a name in it may mean something else; the name is that of `old`.
    Unclear,
}

/// A change of an item that is no function.
#[derive(Debug, Clone)]
pub struct ItemChange {
    /// What became of it.
    pub became: Became,
    /// The item, as it is now or was last.
    pub item: OtherItem,
    /// The item before.
    pub old: Option<OtherItem>,
    /// Its file.
    pub file: PathBuf,
    /// Its line and column.
    pub place: Place,
}

impl ItemChange {
    /// A type, static or trait that is for others what it was: only derives, an initialiser or bodies changed.
    #[must_use]
    pub fn keeps_values(&self) -> bool {
        self.became == Became::Changed
            && matches!(self.item.kind, Kind::Type | Kind::Static | Kind::Trait)
            && self
                .old
                .as_ref()
                .is_some_and(|old| old.surface == self.item.surface)
            && !self.revalues()
    }

    /// A `#[hot]` static has a new value, which code takes up.
    #[must_use]
    pub fn revalues(&self) -> bool {
        let other =
            |old: &OtherItem| old.surface == self.item.surface && old.helpers != self.item.helpers;
        self.became == Became::Changed
            && self.item.kind == Kind::Static
            && self.item.hot
            && self.old.as_ref().is_some_and(other)
    }

    /// Traits whose derived impls came or went.
    #[must_use]
    pub fn derives(&self) -> BTreeSet<String> {
        let of = |item: &OtherItem| item.derives.iter().cloned().collect::<BTreeSet<_>>();
        let before = self.old.as_ref().map(of).unwrap_or_default();
        &before ^ &of(&self.item)
    }

    /// What derive macros make of the type is something else now.
    #[must_use]
    pub fn rederives(&self) -> bool {
        self.item.kind == Kind::Type
            && !self.item.derives.is_empty()
            && self
                .old
                .as_ref()
                .is_some_and(|old| old.helpers != self.item.helpers)
    }
}

/// All changes between two versions of a crate.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Functions with another body and the same signature.
    pub bodies: Vec<FnKey>,
    /// Functions with another signature.
    pub signatures: Vec<FnKey>,
    /// New functions.
    pub added: Vec<FnKey>,
    /// Functions that are gone.
    pub removed: Vec<FnKey>,
    /// Functions that were not marked `#[hot]` and are now.
    pub heated: Vec<FnKey>,
    /// Functions with a static or type of their own that is another one now, and what it is.
    pub nested: Vec<(FnKey, String)>,
    /// Other items.
    pub items: Vec<ItemChange>,
    /// Names that may mean something else now, because an item of that name came or went.
    pub names: BTreeSet<String>,
    /// Constants and macros that say something else now.
    pub values: BTreeSet<String>,
    /// Modules in which any method may mean something else now, because an import of unknown names came or went.
    pub modules: BTreeSet<Arc<[String]>>,
}

impl Changes {
    /// Nothing a compiler would notice.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bodies.is_empty() && self.is_bodies_only()
    }
}

impl Changes {
    /// Code that stays as it is written may not compile any more.
    #[must_use]
    pub fn may_break_others(&self) -> bool {
        let is_old = |change: &ItemChange| change.became != Became::Added;
        !self.signatures.is_empty() || !self.removed.is_empty() || self.items.iter().any(is_old)
    }

    /// No item came or went, and none changed but for bodies.
    #[must_use]
    pub fn is_bodies_only(&self) -> bool {
        self.signatures.is_empty()
            && self.added.is_empty()
            && self.removed.is_empty()
            && self.heated.is_empty()
            && self.nested.is_empty()
            && self.items.is_empty()
            && self.names.is_empty()
            && self.modules.is_empty()
    }
}

/// Compares two versions of a crate.
#[must_use]
pub fn compare(old: &CrateSource, new: &CrateSource) -> Changes {
    let mut out = Changes::default();
    let (before_files, after_files) = (unshared(old, new), unshared(new, old));
    let functions = |files: &[&SourceFile]| -> BTreeMap<FnKey, Function> {
        let all = files.iter().flat_map(|file| &file.parsed.functions);
        all.map(|function| (function.key.clone(), function.clone()))
            .collect()
    };
    let before = functions(&before_files);
    let after = functions(&after_files);
    for (key, function) in &after {
        match before.get(key) {
            None => {
                out.added.push(key.clone());
                out.names.insert(function.name.clone());
            }
            Some(was) => compare_function(key, was, function, &mut out),
        }
    }
    for (key, function) in &before {
        if !after.contains_key(key) {
            out.removed.push(key.clone());
            out.names.insert(function.name.clone());
        }
    }
    compare_items(&before_files, &after_files, &mut out);
    for new in &after_files {
        let old = before_files
            .iter()
            .find(|old| old.path == new.path && old.module == new.module);
        out.names.extend(
            old.map(|old| moved_macros(&old.parsed, &new.parsed))
                .unwrap_or_default(),
        );
    }
    out
}

/// Macros that other functions and modules stand below than before: those know them only now, or no more.
fn moved_macros(old: &ParsedFile, new: &ParsedFile) -> BTreeSet<String> {
    let below = |file: &ParsedFile| -> Vec<(String, BTreeSet<String>)> {
        let functions = file
            .functions
            .iter()
            .map(|f| (f.place, format!("{:?}", f.key)));
        let modules = file
            .module_files
            .iter()
            .map(|module| (module.place, module.path.join("::")));
        let others: Vec<_> = functions.chain(modules).collect();
        let macros = file
            .items
            .iter()
            .filter(|item| item.kind == Kind::MacroRules);
        macros
            .map(|item| {
                let at = (item.place.line, item.place.column);
                let later = others
                    .iter()
                    .filter(|(place, _)| (place.line, place.column) > at);
                let name = item.names.first().cloned().unwrap_or_default();
                (name, later.map(|(_, key)| key.clone()).collect())
            })
            .collect()
    };
    let keys = |file: &ParsedFile| -> BTreeSet<String> {
        let functions = file.functions.iter().map(|f| format!("{:?}", f.key));
        functions
            .chain(
                file.module_files
                    .iter()
                    .map(|module| module.path.join("::")),
            )
            .collect()
    };
    let (before, after) = (below(old), below(new));
    if before.is_empty() || after.is_empty() {
        return BTreeSet::new();
    }
    let common = &keys(old) & &keys(new);
    let only_common =
        |found: Vec<(String, BTreeSet<String>)>| -> BTreeSet<(String, BTreeSet<String>)> {
            found
                .into_iter()
                .map(|(name, keys)| (name, &keys & &common))
                .collect()
        };
    let (before, after) = (only_common(before), only_common(after));
    before
        .symmetric_difference(&after)
        .map(|(name, _)| name.clone())
        .collect()
}

/// The files of a crate that another version of it does not share.
fn unshared<'a>(krate: &'a CrateSource, other: &CrateSource) -> Vec<&'a SourceFile> {
    let shared: BTreeSet<(&Path, *const ParsedFile)> = other
        .files
        .iter()
        .map(|file| (file.path.as_path(), Arc::as_ptr(&file.parsed)))
        .collect();
    let is_shared =
        |file: &&SourceFile| shared.contains(&(file.path.as_path(), Arc::as_ptr(&file.parsed)));
    krate.files.iter().filter(|file| !is_shared(file)).collect()
}

fn compare_function(key: &FnKey, was: &Function, is: &Function, out: &mut Changes) {
    let other = was.nested.iter().find(|(name, code)| {
        let now = is.nested.iter().find(|(other, _)| other == name);
        // Types of a function that is taken out of its place are new ones.
        let counts = is.shape != Shape::Plain || name.starts_with("static");
        counts && now.is_some_and(|(_, now)| now != code)
    });
    if let Some((name, _)) = other {
        out.nested.push((key.clone(), name.clone()));
    }
    if was.signature != is.signature || was.shape != is.shape {
        out.signatures.push(key.clone());
        out.names.insert(is.name.clone());
    } else if was.code != is.code || (was.hot && !is.hot) {
        out.bodies.push(key.clone());
    }
    if is.hot && !was.hot {
        out.heated.push(key.clone());
    }
}

type Entry<'a> = (&'a SourceFile, &'a OtherItem);

/// Items by what they are called; what moved between files is equal by key.
fn items<'a>(files: &[&'a SourceFile]) -> BTreeMap<String, Entry<'a>> {
    let mut out = BTreeMap::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for file in files {
        for item in &file.parsed.items {
            let text = format!("{}|{:?}|{}", item.module.join("::"), item.kind, item.name);
            let count = seen.entry(text.clone()).or_default();
            *count += 1;
            out.insert(format!("{text}#{count}"), (*file, item));
        }
    }
    out
}

fn compare_items(old: &[&SourceFile], new: &[&SourceFile], out: &mut Changes) {
    let before = items(old);
    let after = items(new);
    let mut change = |became, (file, item): Entry<'_>, old: Option<&OtherItem>| {
        let change = ItemChange {
            became,
            item: item.clone(),
            old: old.cloned(),
            file: file.path.clone(),
            place: item.place,
        };
        // What imports mean, `names::follow` finds out.
        if item.kind != Kind::Use && !change.keeps_values() {
            out.names.extend(item.names.iter().cloned());
        }
        out.items.push(change);
    };
    for (key, entry) in &after {
        match before.get(key) {
            None => change(Became::Added, *entry, None),
            Some((_, was)) if was.code != entry.1.code => {
                change(Became::Changed, *entry, Some(was));
            }
            Some(_) => {}
        }
    }
    for (key, entry) in &before {
        if !after.contains_key(key) {
            change(Became::Removed, *entry, Some(entry.1));
        }
    }
}

/// Whether two versions of a crate say the same.
#[must_use]
pub fn same_code(old: &CrateSource, new: &CrateSource) -> bool {
    let sum = |krate: &CrateSource| -> BTreeSet<(Arc<[String]>, u64)> {
        krate
            .files
            .iter()
            .map(|file| (file.module.clone(), file.parsed.fingerprint))
            .collect()
    };
    same_text(old, new) || sum(old) == sum(new)
}

/// A key that is equal for equal scopes, up to where their lines are.
#[must_use]
pub fn scope_key(krate: &CrateSource) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    let parts: BTreeSet<(&[String], u64)> = krate
        .files
        .iter()
        .map(|file| (&*file.module, file.parsed.surface))
        .collect();
    parts.hash(&mut hasher);
    let in_place = fields::in_place(krate);
    if !in_place.is_empty() {
        let functions = krate.functions().map(|(_, function)| function);
        let kept = functions.filter(|function| in_place.contains(&function.key));
        let codes: BTreeMap<&FnKey, u64> = kept
            .map(|function| (&function.key, function.code))
            .collect();
        codes.hash(&mut hasher);
    }
    krate.shadows.hash(&mut hasher);
    hasher.finish()
}

/// The same files with the same text: nothing to compare.
#[must_use]
pub fn same_text(old: &CrateSource, new: &CrateSource) -> bool {
    old.files.len() == new.files.len()
        && old.files.iter().zip(&new.files).all(|(a, b)| {
            a.path == b.path && a.module == b.module && Arc::ptr_eq(&a.parsed, &b.parsed)
        })
}

/// What an added or removed item of this kind means for code that stays as it is written.
#[must_use]
pub fn is_harmless(change: &ItemChange) -> bool {
    matches!(
        (change.became, change.item.kind),
        (Became::Added, Kind::Type | Kind::Trait)
            | (_, Kind::Const | Kind::MacroRules)
            | (
                Became::Added | Became::Removed,
                Kind::Use | Kind::Module | Kind::Static | Kind::ThreadLocal
            )
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::items::fake::krate;

    fn changes(old: &str, new: &str) -> Changes {
        compare(
            &krate(&[("src/main.rs", old)]),
            &krate(&[("src/main.rs", new)]),
        )
    }

    #[test]
    fn layout_and_comments_are_no_change() {
        assert!(changes("fn f() { 1; }", "// x\n/// y\nfn f()\n{\n  1;\n}\n").is_empty());
    }

    #[test]
    fn a_body_a_signature_and_a_new_function_are_told_apart() {
        let c = changes(
            "fn f() {} fn g() {}",
            "fn f() { g() } fn g(a: u8) {} fn h() {}",
        );
        assert_eq!(
            (c.bodies.len(), c.signatures.len(), c.added.len()),
            (1, 1, 1)
        );
        assert!(c.names.contains("g") && c.names.contains("h") && !c.names.contains("f"));
    }

    #[test]
    fn a_type_is_named_with_its_place() {
        let c = changes("struct S { a: u8 }", "\nstruct S { a: u16 }");
        assert_eq!(c.items[0].became, Became::Changed);
        assert_eq!(c.items[0].item.title, "struct `S`");
        assert_eq!(c.items[0].place, Place { line: 2, column: 8 });
    }

    #[test]
    fn a_body_edit_keeps_the_scope_and_a_generic_one_does_not() {
        let key = |text| scope_key(&krate(&[("src/main.rs", text)]));
        assert_eq!(key("fn f() { 1; }"), key("\nfn f() { 2; }"));
        assert_ne!(key("fn f<T>() { 1; }"), key("fn f<T>() { 2; }"));
        assert_ne!(
            key("#[inline] fn f() { 1; }"),
            key("#[inline] fn f() { 2; }")
        );
    }
}
