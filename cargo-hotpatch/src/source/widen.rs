//! The text of a scope: every item visible, bodies of plain functions blank, lines where they were.

use std::collections::BTreeSet;
use std::ops::Range;

use anyhow::{Result, bail};
use syn::{Item, Visibility};

use super::fields::can_be_in_place;
use super::file::{Edit, FnKey, Function, Impl, Owner, ParsedFile, Shape};
use super::function::is_hot;
use super::items::{CrateSource, SourceFile};
use super::rewrite::associated;
use super::shadows;
use super::syntax::{self, Edition};

/// What runs should a blanked body ever be reached: it must not go unnoticed.
const BLANK: &str = r#" panic!("cargo-hotpatch: a blanked body was called, please report this") "#;
/// Code that has this in it has such a body.
pub const BLANK_MARK: &str = "cargo-hotpatch: a blanked body was called";

/// Has a function have one body, and that in its own crate.
const NEVER: &str = "#[inline(never)] ";

/// What counts in a crate's scope besides the text of a file.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The crate.
    pub krate: &'a CrateSource,
    /// Names of its macros: imports of them stay as visible as they are.
    pub macros: &'a BTreeSet<&'a str>,
    /// Functions that keep their bodies.
    pub open: &'a BTreeSet<FnKey>,
    /// The base's fields and enums are widened (see [`base_text`]),
    pub types: bool,
    /// but for those of these types.
    pub closed: &'a BTreeSet<String>,
    /// Functions that are compiled by those who use them.
    pub in_place: &'a BTreeSet<FnKey>,
    /// rustc is to keep what macros make for other crates, as if it were `#[inline]`: what is written here is not.
    pub keeps_made: bool,
}

/// The file's text for the scope. Imports that start on one of the lines in `private` stay as visible as they are.
#[must_use]
pub fn scope_text(file: &SourceFile, private: &BTreeSet<usize>, scope: &Scope<'_>) -> String {
    let Scope {
        krate,
        macros,
        open,
        types,
        closed,
        in_place,
        keeps_made,
    } = *scope;
    let module = &file.module;
    let file = &*file.parsed;
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    // They stand before a visibility that is added at the same place.
    for function in &file.functions {
        let is_in_place = in_place.contains(&function.key);
        let is_used_elsewhere = function.shape == Shape::Reinstantiated || is_in_place;
        if is_used_elsewhere || keeps_made {
            let mark = if is_used_elsewhere {
                "#[inline] "
            } else {
                NEVER
            };
            edits.extend(function.inner.iter().map(|at| (*at..*at, mark.to_owned())));
        }
        if keeps_made && !is_used_elsewhere {
            edits.extend(never_inlined(file, function));
        }
        let moved = match &function.owner {
            Owner::Impl(head) if is_in_place && function.hot && head.trait_path.is_some() => {
                can_be_in_place(krate, function).then_some(head)
            }
            _ => None,
        };
        if let Some(head) = moved {
            edits.extend(move_in(file, function, head));
            continue;
        }
        if !function.opened {
            continue;
        }
        if function.shape == Shape::Reinstantiated || is_in_place {
            edits.extend(open_up(file, function));
        }
        if is_in_place && function.hot && !function.owner.implements_a_trait() {
            edits.extend(stand_in(file, function));
        }
    }
    for edit in &file.widening {
        let keeps = edit
            .import
            .and_then(|index| file.items.get(index))
            .is_some_and(|item| {
                item.names.iter().any(|name| macros.contains(name.as_str()))
                    || private.contains(&item.place.line)
            });
        let opens = |of: &String| types && !closed.contains(of);
        if !keeps && edit.of_type.as_ref().is_none_or(opens) {
            edits.push((edit.range.clone(), edit.text.clone().into_owned()));
        }
    }
    let is_blank = |function: &&Function| {
        let key = &function.key;
        let is_open = function.kept || open.contains(key) || in_place.contains(key);
        // Whether its future may be sent, rustc tells from the body.
        !is_open && function.future.is_none()
    };
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

/// Has a function have one body, unless an attribute of its own says how it is inlined or does not go with another.
fn never_inlined(file: &ParsedFile, function: &Function) -> Option<(Range<usize>, String)> {
    let decides = |(range, name): &(Range<usize>, String)| {
        let text = &file.text[range.clone()];
        match name.as_str() {
            "inline" | "naked" => true,
            "cfg_attr" | "unsafe" => text.contains("inline") || text.contains("naked"),
            _ => false,
        }
    };
    let at = function.vis.start;
    let is_free = !function.attrs.iter().any(decides);
    is_free.then(|| (at..at, NEVER.to_owned()))
}

/// Has rustc keep a function's code for other crates, which it does not for what it can call.
fn open_up(file: &ParsedFile, function: &Function) -> Vec<(Range<usize>, String)> {
    let at = function.vis.start;
    let never = function.attrs.iter().filter(|(_, name)| name == "inline");
    let mut edits: Vec<_> = never
        .map(|(range, _)| {
            let lines = file.text[range.clone()].matches('\n').count();
            (range.clone(), "\n".repeat(lines))
        })
        .collect();
    edits.push((at..at, "#[inline] ".to_owned()));
    edits
}

/// The name a hot function's body has in a scope, if it stays in its place.
#[must_use]
pub fn name_in_place(name: &str) -> String {
    format!("__hp_in_place_{name}")
}

/// Gives a hot function's body another name, and its own to a function behind it: calls of that go to the slot.
fn stand_in(file: &ParsedFile, function: &Function) -> Vec<(Range<usize>, String)> {
    let text = |range: &Range<usize>| &file.text[range.clone()];
    let hot = function.attrs.iter().filter(|(range, name)| {
        is_hot(name) || (name == "cfg_attr" && text(range).contains("hot"))
    });
    // What awaits it must find the future that the base has.
    let marks: String = match function.future {
        Some(_) => hot
            .clone()
            .map(|(range, _)| text(range).replace('\n', " "))
            .collect(),
        None => String::new(),
    };
    let mut edits: Vec<_> = hot
        .map(|(range, _)| {
            (
                range.clone(),
                "\n".repeat(text(range).matches('\n').count()),
            )
        })
        .collect();
    edits.push((function.ident.clone(), name_in_place(&function.name)));
    let sig = text(&function.sig).replace('\n', " ");
    let end = function.item.end;
    edits.push((
        end..end,
        format!(" #[allow(unused)] {NEVER}{marks} pub {sig} {{{BLANK}}}"),
    ));
    edits
}

/// Gives the body of a hot method of a trait to a method of the type's, which stands where the body stood: calls of the
/// trait's go to the slot.
fn move_in(file: &ParsedFile, function: &Function, head: &Impl) -> Vec<(Range<usize>, String)> {
    // A file that was read can be taken apart again.
    let of_trait =
        |range: &Range<usize>| associated(&file.text[range.clone()], head).unwrap_or_default();
    let sig = &function.sig;
    let mut renamed = of_trait(sig);
    let name = function.ident.start - sig.start..function.ident.end - sig.start;
    renamed.push((name, name_in_place(&function.name)));
    let sig = splice(&file.text[sig.clone()], renamed).replace('\n', " ");
    let Impl {
        generics,
        bounds,
        self_ty,
        ..
    } = head;
    let (start, end) = (function.body.start, function.body.end);
    let of_body = of_trait(&function.body).into_iter();
    let mut edits: Vec<_> = of_body
        .map(|(at, text)| (at.start + start..at.end + start, text))
        .collect();
    edits.push((
        start..start,
        format!(" impl {generics} {self_ty} {bounds} {{ #[inline] pub {sig} {{ "),
    ));
    edits.push((end..end, format!(" }} }} {BLANK}")));
    edits.extend(never_inlined(file, function));
    edits
}

/// The file's text for the base: fields and enums are visible, for that is part of a type's identity, and a
/// patch, which sees them so by the scope, must mean the same types. `quiet` keeps lints that the crate
/// itself turns on from noticing; see [`LINTS`] for those it does not.
#[must_use]
///
/// An enum that everybody sees must not have types at its sides that the crate alone sees: with `crate_wide`, what
/// the whole crate sees is for everybody.
pub fn base_text(
    file: &ParsedFile,
    quiet: bool,
    closed: &BTreeSet<String>,
    crate_wide: bool,
) -> String {
    let mark = if quiet {
        format!("#[doc(hidden)] #[allow({})] ", LINTS.join(", "))
    } else {
        String::new()
    };
    let edit = |edit: &Edit| (edit.range.clone(), format!("{mark}{}", edit.text));
    splice(
        &file.text,
        file.widening
            .iter()
            .filter(|edit| match &edit.of_type {
                Some(of) => !closed.contains(of),
                None => crate_wide && edit.import.is_none() && is_crate_wide(file, edit),
            })
            .map(edit)
            .collect(),
    )
}

/// It makes `pub(crate)` of an item `pub`, which within the crate changes nothing.
fn is_crate_wide(file: &ParsedFile, edit: &Edit) -> bool {
    let words = file.text[edit.range.clone()].split_whitespace();
    words.collect::<String>() == "pub(crate)"
}

/// Lints that tell what is visible from what is not.
pub const LINTS: &[&str] = &[
    "unreachable_pub",
    "private_interfaces",
    "missing_docs",
    "missing_debug_implementations",
    "missing_copy_implementations",
];

/// A crate whose root turns one of [`LINTS`] on, which no command line overrides.
#[must_use]
pub fn asks_for_lints(root: &ParsedFile) -> bool {
    root.inner_attrs.iter().any(|range| {
        let attr = &root.text[range.clone()];
        LINTS.iter().any(|lint| attr.contains(lint))
    })
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

/// A lint may ask for docs of what is public.
const PUBLISHED: &str = "#[doc(hidden)] pub";

/// The root file of a binary crate with its `main` public, for the launcher to call.
///
/// A text that does not parse comes back as it is: rustc will say what is wrong with it.
///
/// # Errors
/// There is no `main` to be seen, for instance because a macro makes it.
pub fn publish_main(text: &str, edition: Edition) -> Result<String> {
    // Fewer than all of a file's functions matter, but only a whole file parses.
    let Ok(parsed) = syntax::parse_file(text, edition) else {
        return Ok(text.to_owned());
    };
    let (file, skipped) = (parsed.file, parsed.skipped);
    let mut edits = Vec::new();
    for item in &file.items {
        let (vis, span) = match item {
            Item::Fn(func) if func.sig.ident == "main" => {
                let sig = &func.sig;
                let first = [
                    sig.asyncness.map(|token| token.span),
                    match &sig.safety {
                        syn::Safety::Unsafe(token) => Some(token.span),
                        _ => None,
                    },
                    sig.abi.as_ref().map(|abi| abi.extern_token.span),
                    Some(sig.fn_token.span),
                ];
                let first = first
                    .into_iter()
                    .flatten()
                    .min_by_key(|span| span.byte_range().start);
                (&func.vis, first)
            }
            Item::Use(import) if brings_main(&import.tree) => {
                (&import.vis, Some(import.use_token.span))
            }
            _ => continue,
        };
        let Some(span) = span else { continue };
        let shift = |range: Range<usize>| range.start + skipped..range.end + skipped;
        match vis {
            Visibility::Public(_) => edits.push((0..0, String::new())),
            Visibility::Restricted(vis) => {
                let range = shift(syn::spanned::Spanned::span(vis).byte_range());
                edits.push((range, PUBLISHED.to_owned()));
            }
            Visibility::Inherited => {
                let start = shift(span.byte_range()).start;
                edits.push((start..start, format!("{PUBLISHED} ")));
            }
        }
    }
    proc_macro2::extra::invalidate_current_thread_spans();
    if edits.is_empty() {
        bail!("the program has no `fn main` in its root file that could be called from outside");
    }
    Ok(splice(text, edits))
}

fn brings_main(tree: &syn::UseTree) -> bool {
    match tree {
        syn::UseTree::Path(path) => brings_main(&path.tree),
        syn::UseTree::Name(name) => name.ident == "main",
        syn::UseTree::Rename(rename) => rename.rename == "main",
        syn::UseTree::Glob(_) => false,
        syn::UseTree::Group(group) => group.items.iter().any(brings_main),
    }
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
            types: true,
            closed: &BTreeSet::new(),
            in_place: &BTreeSet::new(),
            keeps_made: false,
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
             #[inline] pub const fn c() -> u8 { 3 }\n\
             pub mod inner { pub unsafe fn h() {BLANK} }\n\
             macro_rules! mac { () => {} }\n\
             use mac;\n";
        assert_eq!(text.replace(BLANK, "BLANK"), expected);
    }

    #[test]
    fn functions_inside_of_functions_that_others_compile_are_compiled_with_them() {
        let krate = krate(&[(
            "src/lib.rs",
            "fn f() { fn a() {} }\n\
             fn g<A>() { fn a() {} #[inline(never)] fn b() {} #[cold] pub unsafe fn c() { fn d() {} } }\n",
        )]);
        let text = plain_scope(&krate);
        assert_eq!(
            text.replace(BLANK, "BLANK"),
            "pub fn f() {BLANK}\n\
             pub fn g<A>() { #[inline] fn a() {} #[inline(never)] fn b() {} \
             #[cold] #[inline] pub unsafe fn c() { #[inline] fn d() {} } }\n"
        );
    }

    #[test]
    fn the_base_shows_what_type_ids_see() {
        let text = "struct S { a: u32, pub b: u32 }\nstruct T(pub(crate) u8);\nenum E { A(u8) }\nfn f() {}\n";
        let krate = krate(&[("src/lib.rs", text)]);
        let text = base_text(&krate.files[0].parsed, false, &BTreeSet::new(), false);
        assert_eq!(
            text,
            "struct S { pub a: u32, pub b: u32 }\nstruct T(pub u8);\npub enum E { A(u8) }\nfn f() {}\n"
        );
        let krate = crate::source::items::fake::krate(&[(
            "src/lib.rs",
            "pub(crate) struct S; struct T; pub(crate) use a::b; pub(super) fn f() {}",
        )]);
        assert_eq!(
            base_text(&krate.files[0].parsed, false, &BTreeSet::new(), true),
            "pub struct S; struct T; pub(crate) use a::b; pub(super) fn f() {}"
        );
    }

    #[test]
    fn main_is_published_however_it_is_written() {
        let publish = |text: &str| publish_main(text, Edition::Newer).unwrap();
        assert_eq!(
            publish("#![a]\n#[tokio::main]\nasync fn main() {}"),
            "#![a]\n#[tokio::main]\n#[doc(hidden)] pub async fn main() {}"
        );
        assert_eq!(publish("pub fn main() {}"), "pub fn main() {}");
        assert_eq!(
            publish("pub(crate) fn main() {}"),
            "#[doc(hidden)] pub fn main() {}"
        );
        assert_eq!(
            publish("use app::main;"),
            "#[doc(hidden)] pub use app::main;"
        );
        assert_eq!(publish("fn main( {"), "fn main( {");
        assert!(publish_main("make_main!();", Edition::Newer).is_err());
    }
}
