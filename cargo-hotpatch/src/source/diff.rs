//! What an edit changed: two versions of a crate, compared item by item.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use super::file::{FnKey, Function, Kind, ParsedFile};
use super::items::{CrateSource, SourceFile};

/// What differs between two versions of a crate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Functions with another body and the same signature.
    pub bodies: Vec<FnKey>,
    /// More than bodies differs: something came or went, or an item or a signature is another one.
    pub more: bool,
    /// Macros are known to other functions than before, which is more as well.
    pub moved: bool,
}

/// Compares two versions of a crate.
#[must_use]
pub fn compare(old: &CrateSource, new: &CrateSource) -> Changes {
    let (before_files, after_files) = (unshared(old, new), unshared(new, old));
    let (before, after) = (functions(&before_files), functions(&after_files));
    let mut bodies = Vec::new();
    let mut more = before.len() != after.len() || items(&before_files) != items(&after_files);
    for (key, is) in after {
        match before.get(key) {
            Some(was) if was.signature == is.signature => {
                if was.code != is.code {
                    bodies.push(key.clone());
                }
            }
            _ => more = true,
        }
    }
    let moved = after_files.iter().any(|new| {
        let mut old = before_files.iter();
        let old = old.find(|old| old.path == new.path && old.module == new.module);
        old.is_some_and(|old| macros_moved(&old.parsed, &new.parsed))
    });
    more |= moved;
    Changes {
        bodies,
        more,
        moved,
    }
}

fn functions<'a>(files: &[&'a SourceFile]) -> BTreeMap<&'a FnKey, &'a Function> {
    let all = files.iter().flat_map(|file| &file.parsed.functions);
    all.map(|function| (&function.key, function)).collect()
}

/// What items say, by what they are called: one that moved from a file to another is the same.
fn items<'a>(files: &[&'a SourceFile]) -> BTreeMap<(&'a [String], Kind, &'a str, usize), u64> {
    let mut out = BTreeMap::new();
    let mut seen = BTreeMap::new();
    for item in files.iter().flat_map(|file| &file.parsed.items) {
        let count: &mut usize = seen
            .entry((&*item.module, item.kind, &*item.name))
            .or_default();
        *count += 1;
        out.insert((&*item.module, item.kind, &*item.name, *count), item.code);
    }
    out
}

/// Whether other functions and modules stand below a macro than before: those know it only now, or no more.
fn macros_moved(old: &ParsedFile, new: &ParsedFile) -> bool {
    let others = |file: &ParsedFile| {
        let functions = file.functions.iter();
        let functions = functions.map(|of| (of.place, format!("{:?}", of.key)));
        let modules = file.module_files.iter();
        let modules = modules.map(|module| (module.place, module.path.join("::")));
        functions.chain(modules).collect::<Vec<_>>()
    };
    let (before, after) = (others(old), others(new));
    let keys = |others: &[(_, String)]| -> BTreeSet<String> {
        others.iter().map(|(_, key)| key.clone()).collect()
    };
    let common = &keys(&before) & &keys(&after);
    let below = |file: &ParsedFile, others: &[_]| -> BTreeSet<(String, BTreeSet<String>)> {
        let macros = file.items.iter();
        let macros = macros.filter(|item| item.kind == Kind::MacroRules);
        macros
            .map(|item| {
                let later = others.iter().filter(|(place, _)| *place > item.place);
                let keys = later.map(|(_, key): &(_, String)| key.clone());
                let keys = keys.filter(|key| common.contains(key));
                (item.name.clone(), keys.collect())
            })
            .collect()
    };
    below(old, &before) != below(new, &after)
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
    let mut hasher = DefaultHasher::new();
    let parts: BTreeSet<(&[String], u64)> = krate
        .files
        .iter()
        .map(|file| (&*file.module, file.parsed.surface))
        .collect();
    parts.hash(&mut hasher);
    krate.shadows.hash(&mut hasher);
    hasher.finish()
}

/// Whether the scopes of two versions of a crate have the same bodies, of functions that both have.
#[must_use]
pub fn same_kept_bodies(old: &CrateSource, new: &CrateSource) -> bool {
    let (old, new) = (unshared(old, new), unshared(new, old));
    let (before, after) = (functions(&old), functions(&new));
    let mut kept = before.iter().filter(|(_, function)| function.kept);
    kept.all(|(key, was)| after.get(*key).is_none_or(|is| is.code == was.code))
}

/// The same files with the same text: nothing to compare.
fn same_text(old: &CrateSource, new: &CrateSource) -> bool {
    old.files.len() == new.files.len()
        && old.files.iter().zip(&new.files).all(|(a, b)| {
            a.path == b.path && a.module == b.module && Arc::ptr_eq(&a.parsed, &b.parsed)
        })
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
        let found = changes("fn f() { 1; }", "// x\n/// y\nfn f()\n{\n  1;\n}\n");
        assert_eq!(found, Changes::default());
    }

    #[test]
    fn bodies_are_told_from_all_else() {
        let found = |old, new| {
            let found = changes(old, new);
            (found.bodies.len(), found.more)
        };
        assert_eq!(
            found("fn f() {} fn g() {}", "fn f() { g() } fn g() {}"),
            (1, false)
        );
        for (old, new) in [
            ("fn g() {}", "fn g(a: u8) {}"),
            ("fn g() {}", "#[cold] fn g() {}"),
            ("fn g() {}", "fn g() {} fn h() {}"),
            ("fn g() {} fn h() {}", "fn g() {}"),
            ("struct S { a: u8 }", "struct S { a: u16 }"),
            ("const A: u8 = 1;", "const A: u8 = 2;"),
            ("impl S {}", "impl S {} impl S {}"),
        ] {
            assert_eq!(found(old, new), (0, true), "{old} -> {new}");
        }
    }

    #[test]
    fn a_macro_that_moves_past_a_function_is_a_change() {
        let mac = "macro_rules! m { () => {} }";
        let (above, below) = (format!("{mac} fn f() {{}}"), format!("fn f() {{}} {mac}"));
        assert!(changes(&above, &below).more);
        let moved = format!("use a::b; fn f() {{}} {mac}");
        assert!(!changes(&format!("use a::b; {below}"), &moved).more);
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
