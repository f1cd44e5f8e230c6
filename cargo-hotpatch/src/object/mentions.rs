//! Whether the name of a type or a symbol mentions one of many types.
//!
//! Paths are compared as they are written, from the crate on. Symbols leave out default arguments and name what
//! closures captured like the closure itself, with the impl instead of its number: there a type is found by its
//! first path, and a closure by the function around it and the numbers of the closures in that.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::image::layouts::{closure, last};

/// What the types of what closures captured have in their names.
const MARK: &str = "_env#";

/// Types that are searched for.
#[derive(Debug, Clone, Default)]
pub(super) struct Needles {
    /// By the word that must be in a text.
    in_types: HashMap<String, Vec<String>>,
    /// The same for symbols.
    in_symbols: HashMap<String, Vec<String>>,
    /// Closures as [`owner`] tells them.
    closures: HashSet<String>,
}

impl Needles {
    pub(super) fn add(&mut self, path: &str) {
        let types = self.in_types.entry(key(path).to_owned()).or_default();
        types.push(path.to_owned());
        let own = path.split('<').next().unwrap_or(path);
        let found = match own.contains(MARK) {
            true => own,
            false => in_symbols(path),
        };
        if let Some(at) = found.rfind(MARK) {
            let end = found[at..]
                .find('}')
                .map_or(found.len(), |end| at + end + 1);
            self.closures.extend(owner(&found[..end]));
            return;
        }
        // Parts without a name are called otherwise in symbols: what follows them has to do.
        let symbols = found.rfind('}').map_or(found, |at| &found[at + 1..]);
        let known = self.in_symbols.entry(key(symbols).to_owned()).or_default();
        if !known.iter().any(|known| known == symbols) {
            known.push(symbols.to_owned());
        }
    }

    /// The words by which types are looked up: the last part of each one's path.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.in_types.keys().map(String::as_str)
    }

    pub(super) fn are_in_type(&self, name: &str) -> bool {
        are_in(&self.in_types, &without_boxed(name))
    }

    /// The same, but what closures captured and the states of futures are not looked for in types of functions.
    pub(super) fn are_in_type_beside_functions(&self, name: &str) -> bool {
        let name = without_boxed(name);
        let beside = without_functions(&name);
        words(&name).any(|word| {
            let mut needles = self.in_types.get(word).into_iter().flatten();
            needles.any(|needle| {
                let text = if needle.contains(MARK) {
                    &beside
                } else {
                    &name
                };
                mentions(text, needle)
            })
        })
    }

    /// The same of a demangled symbol.
    pub(super) fn are_in_symbol(&self, text: &str) -> bool {
        let text = &*without_boxed(text);
        are_in(&self.in_symbols, text)
            || !self.closures.is_empty()
                && text.match_indices("{closure").any(|(at, _)| {
                    let end = text[at..].find('}').map_or(text.len(), |end| at + end + 1);
                    owner(&text[..end]).is_some_and(|owner| self.closures.contains(&owner))
                })
    }
}

/// What a call of a hot `async fn` awaits, before its arguments: the future in its box, and what that comes to.
const BOX: &str = "hotpatch_live::future::Hot<";

/// Whether a symbol is of code of such a box. Of the future's type it only takes what makes a future; which code that is,
/// the rest of its symbol and of its signature say.
pub fn is_of_a_box(symbol: &str) -> bool {
    symbol.contains("hotpatch_live") && {
        let text = format!("{:#}", rustc_demangle::demangle(symbol));
        text.strip_prefix('<').is_some_and(is_box_of_a_future)
    }
}

/// Whether a type is such a box. What it says of the future it does not have in it: older and newer code may share it
/// whatever that is (`hotpatch-rt/src/future.rs`).
pub(super) fn is_box_of_a_future(name: &str) -> bool {
    name.starts_with(BOX)
}

/// The name of a type without the futures in such boxes.
pub(super) fn without_boxed(name: &str) -> Cow<'_, str> {
    let Some(at) = name.find(BOX) else {
        return Cow::Borrowed(name);
    };
    let (head, arguments) = name.split_at(at + BOX.len());
    let rest = &arguments[end_of_type(arguments)..];
    Cow::Owned(format!("{head}_{}", without_boxed(rest)))
}

/// The name of a type without those of functions and function pointers in it.
fn without_functions(name: &str) -> Cow<'_, str> {
    const START: &str = "fn(";
    let mut starts = name.match_indices(START).map(|(at, _)| at);
    let Some(at) = starts.find(|at| !name[..*at].ends_with(is_word)) else {
        return Cow::Borrowed(name);
    };
    let rest = &name[at..];
    let rest = &rest[end_of_type(rest)..];
    Cow::Owned(format!("{}_{}", &name[..at], without_functions(rest)))
}

/// Where the name of a type that a text begins with ends.
fn end_of_type(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut before = ' ';
    let end = text.find(|c: char| {
        match c {
            '<' | '(' | '[' => depth += 1,
            // Of `->`.
            '>' if before == '-' => {}
            '>' | ')' | ']' if depth > 0 => depth -= 1,
            ',' | '>' | ')' | ']' if depth == 0 => return true,
            _ => {}
        }
        before = c;
        false
    });
    end.unwrap_or(text.len())
}

fn are_in(needles: &HashMap<String, Vec<String>>, text: &str) -> bool {
    if needles.is_empty() {
        return false;
    }
    words(text).any(|word| {
        let needles = needles.get(word);
        needles.is_some_and(|needles| needles.iter().any(|needle| mentions(text, needle)))
    })
}

/// The words of a text: names without punctuation.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_word(c))
        .filter(|word| !word.is_empty())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The word that a text is looked up by before it is searched for a needle: the last of the needle's own path.
pub(super) fn key(needle: &str) -> &str {
    let path = first_path(needle).unwrap_or(needle);
    // `{closure_env#0}` has words that others have as well.
    let mut names = path.rsplit("::").filter(|name| !name.starts_with('{'));
    let name = names.next().unwrap_or(path);
    words(name).next().unwrap_or(needle)
}

/// Whether a needle is in a text, as a whole: neither the end nor the start of another path.
pub(super) fn mentions(text: &str, needle: &str) -> bool {
    let is_inner = |c: char| is_word(c) || c == ':';
    text.match_indices(needle).any(|(at, _)| {
        let rest = &text[at + needle.len()..];
        let starts = !needle.starts_with(is_inner) || !text[..at].ends_with(is_inner);
        let ends = !needle.ends_with(is_word) || !rest.starts_with(is_word);
        starts && ends
    })
}

/// The first path in a type's name, without arguments; not one of the standard library's, if there is another.
fn first_path(name: &str) -> Option<&str> {
    let paths = || paths_of(name);
    paths()
        .find(|path| !is_std(path))
        .or_else(|| paths().next())
}

/// Whether a path is one of the standard library.
pub(super) fn is_std(path: &str) -> bool {
    let krate = path.split("::").next().unwrap_or_default();
    matches!(krate, "core" | "alloc" | "std")
}

/// The paths in a type's name.
pub(super) fn paths_of(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !(is_word(c) || "{}#:".contains(c)))
        .map(|path| path.trim_matches(':'))
        .filter(|path| path.contains("::"))
}

/// What of a type's name is in each symbol that mentions it.
fn in_symbols(path: &str) -> &str {
    if path.starts_with("dyn ") {
        return path;
    }
    first_path(path).unwrap_or(path)
}

/// A path that ends with a closure: the named function around it, and the closures in that. What kind of closure it
/// is, symbols do not tell; nor do they tell the impl as types do.
fn owner(path: &str) -> Option<String> {
    let mut around = path;
    let mut closures: Vec<String> = Vec::new();
    loop {
        let name = last(around);
        if name.is_empty() {
            return None;
        }
        let outer = around.trim_end();
        let start = outer.rfind(name)?;
        if !name.starts_with('{') {
            closures.push(name.to_owned());
            break;
        }
        closures.push(closure(name));
        around = outer[..start].strip_suffix("::")?;
    }
    closures.reverse();
    Some(closures.join("::"))
}

#[cfg(test)]
mod tests {
    use super::{Needles, without_boxed, without_functions};

    #[test]
    fn futures_are_not_looked_for_in_functions_that_make_them() {
        let name =
            "app::Service<fn(&[u8], (u8, u8)) -> app::a::{async_fn_env#0}, (fn(), app::Item)>";
        assert_eq!(without_functions(name), "app::Service<_, (_, app::Item)>");
        let mut needles = Needles::default();
        needles.add("app::a::{async_fn_env#0}");
        assert!(needles.are_in_type(name));
        assert!(!needles.are_in_type_beside_functions(name));
        assert!(needles.are_in_type_beside_functions("app::Task<app::a::{async_fn_env#0}>"));
        // A type with a name is looked for everywhere.
        needles.add("app::Item");
        assert!(needles.are_in_type_beside_functions("app::Service<fn(app::Item)>"));
    }

    #[test]
    fn what_is_in_the_box_of_a_future_is_not_in_the_type() {
        assert_eq!(
            without_boxed("alloc::vec::Vec<app::A>"),
            "alloc::vec::Vec<app::A>"
        );
        assert_eq!(
            without_boxed(
                "(hotpatch_live::future::Hot<app::f<u8, (a, b)>::{async_block_env#0}, app::R<u8>>, \
                 hotpatch_live::future::Hot<fn(u8) -> app::B, u8>)"
            ),
            "(hotpatch_live::future::Hot<_, app::R<u8>>, hotpatch_live::future::Hot<_, u8>)"
        );
    }
}
