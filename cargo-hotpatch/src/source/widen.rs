//! The text of a scope: every item visible, bodies of plain functions blank, lines where they were.

use std::collections::BTreeSet;
use std::ops::Range;

use super::file::{FnKey, Function, ParsedFile};
use super::items::{CrateSource, SourceFile};
use super::shadows;

/// What runs should a blanked body ever be reached: it must not go unnoticed.
const BLANK: &str = r#" panic!("cargo-hotpatch: a blanked body was called, please report this") "#;
/// What counts in a crate's scope besides the text of a file.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The crate.
    pub krate: &'a CrateSource,
    /// Names of its macros: imports of them stay as visible as they are.
    pub macros: &'a BTreeSet<&'a str>,
    /// Functions that keep their bodies.
    pub open: &'a BTreeSet<FnKey>,
    /// Types whose parts stay as visible as they are.
    pub closed: &'a BTreeSet<String>,
}

/// The file's text for the scope. Imports that start on one of the lines in `private` stay as visible as they are.
#[must_use]
pub fn scope_text(file: &SourceFile, private: &BTreeSet<usize>, scope: &Scope<'_>) -> String {
    let Scope {
        krate,
        macros,
        open,
        closed,
    } = *scope;
    let module = &file.module;
    let file = &*file.parsed;
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for edit in &file.widening {
        let keeps = edit
            .import
            .and_then(|index| file.items.get(index))
            .is_some_and(|item| {
                item.names.iter().any(|name| macros.contains(name.as_str()))
                    || private.contains(&item.place.line)
            });
        let opens = |of: &String| !closed.contains(of);
        if !keeps && edit.of_type.as_ref().is_none_or(opens) {
            edits.push((edit.range.clone(), edit.text.clone().into_owned()));
        }
    }
    let is_blank = |function: &&Function| !function.kept && !open.contains(&function.key);
    for function in file.functions.iter().filter(is_blank) {
        let lines = file.text[function.body.clone()].matches('\n').count();
        edits.push((
            function.body.clone(),
            format!("{BLANK}{}", "\n".repeat(lines)),
        ));
    }
    for (path, at, line) in ends_of_modules(module, file) {
        let own = shadows::imports(krate, path, !private.contains(&line));
        if !own.is_empty() {
            edits.push((at..at, "\n".repeat(usize::from(at == file.text.len()))));
            edits.push((at..at, own));
        }
    }
    splice(&file.text, edits)
}

/// Where in a file its modules end and what a scope imports for them stands, and on which line. In front of a module's first
/// item there may be docs of its own, and behind the last one a comment.
fn ends_of_modules<'a>(
    module: &'a [String],
    file: &'a ParsedFile,
) -> impl Iterator<Item = (&'a [String], usize, usize)> {
    let line = |at: usize| 1 + file.text[..at].matches('\n').count();
    let inline = file.inline_modules.iter();
    let inline = inline.map(move |module| {
        let at = module.close.start;
        (&*module.path, at, line(at))
    });
    let end = file.text.len();
    inline.chain([(module, end, line(end) + 1)])
}

/// Whether what a scope imports for a module of the file stands on this line.
#[must_use]
pub fn has_imports_on(file: &SourceFile, line: usize) -> bool {
    let mut ends = ends_of_modules(&file.module, &file.parsed);
    ends.any(|(_, _, other)| other == line)
}

/// Replaces pieces of a text. Pieces do not overlap; of two at one place the first comes first.
#[must_use]
pub fn splice(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = String::with_capacity(text.len() + 64);
    let mut at = 0;
    for (range, new) in edits {
        if range.start < at {
            continue;
        }
        out.push_str(&text[at..range.start]);
        out.push_str(&new);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::items::fake::krate;

    fn plain_scope(krate: &CrateSource) -> String {
        let scope = Scope {
            krate,
            macros: &krate.macro_names(),
            open: &BTreeSet::new(),
            closed: &BTreeSet::new(),
        };
        scope_text(&krate.files[0], &BTreeSet::new(), &scope)
    }

    #[test]
    fn every_item_becomes_visible_and_bodies_blank() {
        let krate = krate(&[(
            "src/lib.rs",
            "use std::fmt;\n\
             pub(crate) struct S { a: u32, pub b: u32 }\n\
             struct T(u32, pub(super) u8);\n\
             impl S {\n    const N: u32 = 1;\n    fn m(&self) -> u32 {\n        1\n    }\n}\n\
             impl fmt::Debug for S { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { Ok(()) } }\n\
             thread_local! { static X: u8 = 1; pub(crate) static Y: u8 = 2; }\n\
             fn g<A>(a: A) -> A { a }\n\
             const fn c() -> u8 { 3 }\n\
             mod inner { unsafe fn h() { inner() } }\n\
             macro_rules! mac { () => {} }\n\
             use mac;\n",
        )]);
        let text = plain_scope(&krate);
        let expected = "pub use std::fmt;\n\
             pub struct S { pub a: u32, pub b: u32 }\n\
             pub struct T(pub u32, pub u8);\n\
             impl S {\n    pub const N: u32 = 1;\n    pub fn m(&self) -> u32 {BLANK\n\n}\n}\n\
             impl fmt::Debug for S { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {BLANK} }\n\
             thread_local! { pub static X: u8 = 1; pub static Y: u8 = 2; }\n\
             pub fn g<A>(a: A) -> A { a }\n\
             pub const fn c() -> u8 { 3 }\n\
             pub mod inner { pub unsafe fn h() {BLANK} }\n\
             macro_rules! mac { () => {} }\n\
             use mac;\n";
        assert_eq!(text.replace(BLANK, "BLANK"), expected);
    }
}
