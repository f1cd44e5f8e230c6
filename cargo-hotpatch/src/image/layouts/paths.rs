//! Names of crates, types and namespaces while debug information is read: as numbers.

use std::collections::HashMap;
use std::sync::Arc;

use super::sections::Reader;

/// rustc calls a unit `src/main.rs/@/app.1a2b-cgu.0`; of an incremental build the crate is not told. Other
/// compilers' units are no crate's.
pub(crate) fn is_of(unit: &str, crates: &[&str]) -> bool {
    let Some((_, name)) = unit.rsplit_once("/@/") else {
        return false;
    };
    match name.split_once('.') {
        Some((krate, _)) => crates.contains(&krate),
        None => true,
    }
}

/// Full paths of types and namespaces, and other names, by number: a program describes a type once for each unit
/// that uses it, and numbers are quickly compared.
pub(crate) struct Paths<'a> {
    texts: Vec<Arc<str>>,
    pub(crate) wanted: Vec<bool>,
    by_text: HashMap<Arc<str>, u32>,
    /// By the path around it and the place of its name, which is written once in a linked file.
    known: HashMap<(u32, usize), u32>,
    crates: &'a [&'a str],
    /// All types are wanted.
    wants_all: bool,
}

pub(crate) const ROOT: u32 = 0;

impl<'a> Paths<'a> {
    pub(crate) fn new(crates: &'a [&'a str]) -> Self {
        Self {
            texts: vec![Arc::from("")],
            wanted: vec![false],
            by_text: HashMap::from([(Arc::from(""), ROOT)]),
            known: HashMap::new(),
            crates,
            wants_all: false,
        }
    }

    /// For whoever wants all types.
    pub(crate) fn of_all() -> Self {
        Self {
            wants_all: true,
            ..Self::new(&[])
        }
    }

    pub(crate) fn text(&self, path: u32) -> &str {
        &self.texts[path as usize]
    }

    pub(crate) fn enter(&mut self, around: u32, name: Reader<'_>) -> u32 {
        // Where a name is tells it from others as long as the file is in memory.
        let key = (around, name.slice().as_ptr().addr());
        if let Some(path) = self.known.get(&key) {
            return *path;
        }
        let name = name.to_string_lossy();
        let path = match self.text(around) {
            "" => self.number(&name),
            around => self.number(&format!("{around}::{name}")),
        };
        self.known.insert(key, path);
        path
    }

    pub(crate) fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.by_text.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(ROOT);
        let text: Arc<str> = Arc::from(text);
        self.wanted
            .push(self.wants_all || is_wanted(&text, self.crates));
        self.texts.push(text.clone());
        self.by_text.insert(text, number);
        number
    }
}

/// Whether a type's path mentions one of the crates, and nothing that has no name of its own.
pub(crate) fn is_wanted(path: &str, crates: &[&str]) -> bool {
    let is_mentioned = |krate: &&str| {
        path.match_indices(krate).any(|(at, _)| {
            path[at + krate.len()..].starts_with("::")
                && !path[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
        })
    };
    crates.iter().any(is_mentioned) && !path.contains("::_::")
}

#[cfg(test)]
mod tests {
    use super::{is_of, is_wanted};

    #[test]
    fn units_and_types_are_told_by_their_crate() {
        let of = |unit| is_of(unit, &["app"]);
        assert!(of("src/main.rs/@/app.1a2b-cgu.0"));
        assert!(of("src/main.rs/@/4g4bcfzjehmsa1yc"));
        assert!(!of("/rustc/5980/library/std/src/lib.rs/@/std.c97d-cgu.0"));
        assert!(!of("src/main.c"));
        let wanted = |path| is_wanted(path, &["app"]);
        assert!(wanted("app::A") && wanted("&app::A") && wanted("Option<app::A>"));
        assert!(!wanted("my_app::A") && !wanted("other::app::A") && !wanted("apple::A"));
        assert!(!wanted("app::_::A") && !wanted("Option<app::m::_::f::A>"));
    }
}
