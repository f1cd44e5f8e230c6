//! What a value is made of, beyond the words of its declaration: everything that decides its layout or what a
//! constant expression says, followed from name to name.
//!
//! Names are followed wherever they may lead, so two versions that differ here may still mean the same. Two that
//! do not differ mean the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::file::{Function, Import, Kind, OtherItem};
use super::items::CrateSource;

/// Items and constant functions of all crates, by the names that lead to them.
pub struct Meanings<'a> {
    items: HashMap<&'a str, Vec<&'a OtherItem>>,
    functions: HashMap<&'a str, Vec<&'a Function>>,
    imports: HashMap<&'a str, Vec<&'a Import>>,
}

impl<'a> Meanings<'a> {
    /// Looks through these crates.
    #[must_use]
    pub fn new(sources: &'a [CrateSource]) -> Self {
        let mut out = Self {
            items: HashMap::new(),
            functions: HashMap::new(),
            imports: HashMap::new(),
        };
        for source in sources {
            for item in source.files.iter().flat_map(|file| &file.parsed.items) {
                for name in names(item) {
                    out.items.entry(name).or_default().push(item);
                }
                for import in &item.imports {
                    out.imports.entry(&import.name).or_default().push(import);
                }
            }
            for (_, function) in source.functions().filter(|(_, f)| f.constant) {
                let name = function.name.as_str();
                out.functions.entry(name).or_default().push(function);
            }
        }
        out
    }

    /// A fingerprint of all that these names lead to from a module.
    pub fn of<'b>(
        &self,
        words: impl IntoIterator<Item = &'b str>,
        (source, module): (&CrateSource, &[String]),
    ) -> u64
    where
        'a: 'b,
    {
        let mut queue: Vec<&'b str> = words.into_iter().collect();
        let mut seen: BTreeSet<&'b str> = queue.iter().copied().collect();
        let mut found: BTreeMap<(&str, &str), BTreeSet<u64>> = BTreeMap::new();
        while let Some(name) = queue.pop() {
            let mut push = |word: &'b str| {
                if seen.insert(word) {
                    queue.push(word);
                }
            };
            for item in self.items.get(name).into_iter().flatten() {
                let codes = found.entry((name, &item.name)).or_default();
                codes.insert(match item.kind {
                    Kind::Type => item.surface,
                    Kind::Trait => item.helpers,
                    _ => item.code,
                });
                let all = item.paths.iter().flat_map(|path| parts(path));
                all.for_each(&mut push);
                if item.kind.is_macro() {
                    item.mentions.iter().for_each(|word| push(word));
                }
            }
            for import in self.imports.get(name).into_iter().flatten() {
                found
                    .entry((name, "use"))
                    .or_default()
                    .insert(hash(&import.path));
                import.path.iter().for_each(|word| push(word));
            }
            for function in self.functions.get(name).into_iter().flatten() {
                let code = found.entry((name, "fn")).or_default();
                code.insert(function.code);
                function.mentions.iter().for_each(|word| push(word));
            }
        }
        let items = source.files.iter().flat_map(|file| &file.parsed.items);
        let here = items.filter(|item| *item.module == *module);
        let globs = here
            .flat_map(|item| &item.imports)
            .filter(|import| import.name == "*");
        let globs: BTreeSet<&Import> = globs.collect();
        hash((found, globs))
    }
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The names of a path as `OtherItem::paths` has it.
pub fn parts(path: &str) -> impl Iterator<Item = &str> {
    let names = path.split("::").map(|part| part.trim_start_matches('.'));
    names.filter(|part| !part.is_empty())
}

/// What leads to an item: its names, and for what an `impl` says beside its methods the type's.
fn names(item: &OtherItem) -> Vec<&str> {
    match item.kind {
        Kind::Type | Kind::Trait | Kind::Const | Kind::MacroRules => {
            item.names.iter().map(String::as_str).collect()
        }
        // Constants and types of its own are all of it that counts, and it has some if it names them.
        Kind::Impl if !item.mentions.is_empty() => {
            item.paths.iter().flat_map(|path| parts(path)).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::items::fake::krate;

    fn meaning(text: &str) -> u64 {
        let sources = [krate(&[("src/main.rs", text)])];
        Meanings::new(&sources).of(["A", "FIRST"], (&sources[0], &[]))
    }

    #[test]
    fn imports_count_if_they_may_bring_a_name() {
        assert_eq!(
            meaning("use std::B; use std::A;"),
            meaning("use std::{A, C};")
        );
        assert_ne!(meaning("use std::A;"), meaning("use core::A;"));
        assert_ne!(meaning("use std::*;"), meaning("use core::*;"));
    }

    #[test]
    fn names_are_followed_to_what_decides_a_value() {
        let base = "struct A { b: B } struct B([u8; N]); const N: usize = two(); const fn two() -> usize { 2 }
            const FIRST: u8 = 1; fn other() {}";
        let with = |from: &str, to: &str| meaning(&base.replace(from, to));
        assert_eq!(
            meaning(base),
            with("fn other() {}", "fn other() { f() } struct C;")
        );
        assert_ne!(meaning(base), with("{ 2 }", "{ 3 }"));
        assert_ne!(meaning(base), with("B([u8; N])", "B([u16; N])"));
        assert_ne!(meaning(base), with("u8 = 1", "u8 = 2"));
        assert_eq!(
            meaning(base),
            with("struct A", "/// Doc.\n#[derive(Clone)] struct A")
        );
    }
}
