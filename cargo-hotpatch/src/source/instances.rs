//! Instances of generic functions: from their paths, as symbols have them, to what a patch crate says to have them made.
//!
//! Whether a text means the instance that it was made from is for the compiler to say: the symbol that comes of it is the
//! program's or it is not.

use std::collections::BTreeMap;

use super::file::{FnKey, Function, Owner};

/// For functions that have them, the instances that are to be made.
pub type Instances = BTreeMap<FnKey, Vec<Instance>>;

/// One instance of a generic function, with paths as they are written in a patch crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// What the function belongs to, if that is a type: `::hp_scope::Real`; and of which trait it is there.
    owner: Option<(String, Option<String>)>,
    /// Of a free function, without its name: `::hp_scope::lexer`.
    module: String,
    name: String,
    /// `::<u8>`, or nothing.
    arguments: String,
    /// There is a text for it: none of its types is a closure's, say.
    pub has_text: bool,
}

impl Instance {
    /// Reads a demangled symbol without hashes, such as `<app::Real>::sin::<app::Never>` of the crate `app`; `None` if it
    /// is of something inside of a function.
    #[must_use]
    pub fn read(path: &str, krate: &str) -> Option<Self> {
        let has_text = !path.contains(['{', '#']);
        let written = |text: &str| written(text, krate);
        let Some(rest) = path.strip_prefix('<') else {
            let (path, arguments) = split_arguments(path)?;
            let path = written(path);
            let (module, name) = path.rsplit_once("::")?;
            return (!path.contains('<')).then(|| Self {
                owner: None,
                module: module.to_owned(),
                name: name.to_owned(),
                arguments: written(arguments),
                has_text,
            });
        };
        let end = closing(rest)?;
        let (owner, rest) = (&rest[..end], rest[end..].strip_prefix(">::")?);
        let (name, arguments) = split_arguments(rest)?;
        let (ty, of_trait) = match outer(owner, " as ") {
            Some(at) => (&owner[..at], Some(written(&owner[at + 4..]))),
            None => (owner, None),
        };
        (!name.contains(':')).then(|| Self {
            owner: Some((written(ty), of_trait)),
            module: String::new(),
            name: name.to_owned(),
            arguments: written(arguments),
            has_text,
        })
    }

    /// Whether it is one of this function, as far as names tell.
    #[must_use]
    pub fn is_of(&self, function: &Function) -> bool {
        let is_owner = match (&self.owner, &function.owner) {
            (None, Owner::Free) => true,
            (Some((ty, of_trait)), Owner::Impl(head)) => {
                last(ty) == head.self_name
                    && of_trait.as_deref().map(last) == head.trait_name.as_deref()
            }
            _ => false,
        };
        is_owner && self.name == function.name
    }

    /// The instance in the scope.
    pub(super) fn in_scope(&self) -> String {
        let Self {
            module,
            name,
            arguments,
            ..
        } = self;
        match &self.owner {
            None => format!("{module}::{name}{arguments}"),
            Some((ty, None)) => format!("<{ty}>::{name}{arguments}"),
            Some((ty, Some(of_trait))) => format!("<{ty} as {of_trait}>::{name}{arguments}"),
        }
    }

    /// The instance of what a patch crate calls `own`, in the trait that stands for the impl with these parameters.
    pub(super) fn in_patch(&self, own: &str, params: &str) -> String {
        let arguments = &self.arguments;
        match &self.owner {
            None => format!("{own}{arguments}"),
            Some((ty, _)) => format!("<{ty} as __Hp {}>::{own}{arguments}", inferred(params)),
        }
    }
}

/// `<'_, _>` for `<'a, T>`.
fn inferred(params: &str) -> String {
    let inner = params.trim().trim_start_matches('<').trim_end_matches('>');
    let params = inner.split(',').map(str::trim);
    let params = params.filter(|param| !param.is_empty());
    let holes = params.map(|param| if param.starts_with('\'') { "'_" } else { "_" });
    let holes: Vec<&str> = holes.collect();
    match holes.is_empty() {
        true => String::new(),
        false => format!("<{}>", holes.join(", ")),
    }
}

/// `f` and `::<u8>` of `f::<u8>`.
fn split_arguments(path: &str) -> Option<(&str, &str)> {
    match path.find("::<") {
        None => Some((path, "")),
        Some(at) => {
            let end = at + 3 + closing(&path[at + 3..])?;
            (end + 1 == path.len()).then(|| path.split_at(at))
        }
    }
}

/// Where the bracket is that closes the one before this text.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, char) in text.char_indices() {
        match char {
            '<' => depth += 1,
            // Of a function's type.
            '>' if text[..at].ends_with('-') => {}
            '>' if depth == 0 => return Some(at),
            '>' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Where these words stand outside of all brackets.
fn outer(text: &str, words: &str) -> Option<usize> {
    let mut places = text.match_indices(words).map(|(at, _)| at);
    places.find(|at| {
        text[..*at].matches('<').count() == text[..*at].replace("->", "").matches('>').count()
    })
}

/// The last name of a path: `Real` of `::hp_scope::num::Real<u8>`.
fn last(path: &str) -> &str {
    let plain = path.split('<').next().unwrap_or(path);
    plain.rsplit("::").next().unwrap_or(plain)
}

/// Paths that begin with a crate's name, as a patch crate has them: the crate's own are the scope's.
fn written(text: &str, krate: &str) -> String {
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        let (before, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|char| !is_word(char)).unwrap_or(from.len()));
        out.push_str(before);
        let begins = after.starts_with("::") && !out.ends_with("::") && !out.ends_with('\'');
        match word {
            word if !begins => out.push_str(word),
            word if word == krate => out.push_str("::hp_scope"),
            // Not among the names that every crate has.
            "alloc" => out.push_str("::hp_alloc"),
            word => {
                out.push_str("::");
                out.push_str(word);
            }
        }
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::Instance;

    fn texts(path: &str, params: &str) -> Option<(String, String)> {
        let found = Instance::read(path, "app")?;
        Some((found.in_scope(), found.in_patch("own", params)))
    }

    #[test]
    fn instances_are_written_for_a_patch_crate() {
        for (path, params, old, new) in [
            (
                "app::lexer::number::<app::Never>",
                "",
                "::hp_scope::lexer::number::<::hp_scope::Never>",
                "own::<::hp_scope::Never>",
            ),
            (
                "<app::num::Real>::sin::<alloc::vec::Vec<&mut dyn core::fmt::Write>, [u8; 4]>",
                "",
                "<::hp_scope::num::Real>::sin::<::hp_alloc::vec::Vec<&mut dyn ::core::fmt::Write>, [u8; 4]>",
                "<::hp_scope::num::Real as __Hp >::own::<::hp_alloc::vec::Vec<&mut dyn ::core::fmt::Write>, [u8; 4]>",
            ),
            (
                "<app::Diff<str> as core::iter::Iterator>::next",
                "<'a, T>",
                "<::hp_scope::Diff<str> as ::core::iter::Iterator>::next",
                "<::hp_scope::Diff<str> as __Hp <'_, _>>::own",
            ),
            (
                "app::call::<fn(u8) -> app::B>",
                "",
                "::hp_scope::call::<fn(u8) -> ::hp_scope::B>",
                "own::<fn(u8) -> ::hp_scope::B>",
            ),
        ] {
            assert_eq!(texts(path, params), Some((old.to_owned(), new.to_owned())));
        }
        let closure = Instance::read("app::each::<app::main::{closure#0}>", "app");
        assert!(closure.is_some_and(|of| !of.has_text));
        for none in [
            "app::each::<u8>::{closure#0}",
            "<app::Diff<str>>::each::<u8>::inner",
            "app::f::<u8>::inner::<u8>",
        ] {
            assert_eq!(texts(none, ""), None, "{none}");
        }
    }
}
