//! What code takes for something else, and where ids of types are asked for without a symbol that says so, as optimised code
//! has `TypeId::of` inlined: by both an older value may be met that no type leads to.
//!
//! Of the workspace's own code rustc's MIR tells, see `plan::disguises`, and the linkage names in its debug information. What
//! libraries of others do is only known from their text: one that speaks of type ids may ask for that of any type that it is
//! instantiated for.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use object::{Object, ObjectSection};

use super::engine::Engine;
use super::krate::{Crate, casts_and_text};
use super::objects;
use super::processors::on_all_processors;
use crate::build::base::dep_info_files;
use crate::build::rustc::library_stem;
use crate::command::CancelToken;
use crate::object::changed_types::ChangedTypes;
use crate::object::names::NameId;
use crate::object::v0;
use crate::plan::disguises::{Casts, Disguise, disguises};
use crate::plan::worlds::{is_environment_symbol, is_eraser};

/// Names of which a crate that asks for ids of types, or finds values by them, says one.
const WORDS: &[&str] = &["TypeId", "type_id", "Any"];

/// The libraries of others in the program, with what is known of them.
#[derive(Debug)]
pub(super) struct Askers {
    /// Names of crates, each with the dep-info of its libraries.
    libraries: HashMap<String, Vec<PathBuf>>,
    folder: PathBuf,
    known: HashMap<String, bool>,
}

impl Askers {
    /// Those among these libraries that the workspace has not. Paths in dep-info are taken from `folder`.
    pub(super) fn among(libraries: &[PathBuf], own: &BTreeSet<String>, folder: &Path) -> Self {
        let mut askers = Self {
            libraries: HashMap::new(),
            folder: folder.to_owned(),
            known: HashMap::new(),
        };
        askers.learn(libraries, own);
        askers
    }

    /// There may be others now.
    pub(super) fn learn(&mut self, libraries: &[PathBuf], own: &BTreeSet<String>) {
        self.libraries.clear();
        self.known.clear();
        // What the standard library has for this is known by its symbols, see `plan::worlds::is_eraser`.
        let is_standard = |path: &&PathBuf| path.iter().any(|part| part == "rustlib");
        for library in libraries.iter().filter(|path| !is_standard(path)) {
            let Some(stem) = library_stem(library).filter(|stem| !own.contains(*stem)) else {
                continue;
            };
            let name = stem.rsplit_once('-').map_or(stem, |(name, _)| name);
            let of_crate = self.libraries.entry(name.to_owned()).or_default();
            of_crate.push(library.with_file_name(format!("{stem}.d")));
        }
    }

    /// Whether a symbol mentions a crate of others.
    pub(super) fn know_a_crate_of(&self, symbol: &str) -> bool {
        self.crates_of(symbol).next().is_some()
    }

    /// Whether a symbol mentions a crate of others that may ask for ids of types.
    fn has_one_in(&mut self, symbol: &str) -> bool {
        let crates: Vec<String> = self.crates_of(symbol).cloned().collect();
        crates.iter().any(|krate| self.asks(krate))
    }

    fn crates_of(&self, symbol: &str) -> impl Iterator<Item = &String> {
        let crates = self.libraries.keys();
        crates.filter(move |krate| v0::mentions(symbol, &[krate.as_str()]))
    }

    /// Whether a crate, or one that it uses, may ask for ids of types. One without its text may.
    fn asks(&mut self, krate: &str) -> bool {
        if let Some(known) = self.known.get(krate) {
            return *known;
        }
        // Names of crates are words as well, so that texts may name each other in circles.
        let mut seen = BTreeSet::from([krate.to_owned()]);
        let mut todo = vec![krate.to_owned()];
        let mut asks = false;
        while let Some(next) = todo.pop() {
            let (asks_itself, named) = self.read(&next);
            if asks_itself || self.known.get(&next) == Some(&true) {
                asks = true;
                break;
            }
            todo.extend(named.into_iter().filter(|name| seen.insert(name.clone())));
        }
        if !asks {
            // None of what it uses does.
            self.known
                .extend(seen.into_iter().map(|name| (name, false)));
        }
        self.known.insert(krate.to_owned(), asks);
        asks
    }

    /// Whether a crate's own text speaks of ids of types, and the crates that it names.
    fn read(&self, krate: &str) -> (bool, BTreeSet<String>) {
        let dep_infos = self.libraries.get(krate).into_iter().flatten();
        let files: BTreeSet<PathBuf> = dep_infos
            .flat_map(|path| dep_info_files(path, &self.folder))
            .collect();
        let mut named = BTreeSet::new();
        let mut asks = files.is_empty();
        for file in files {
            match fs::read_to_string(&file) {
                Ok(text) => {
                    let crates = words(&text).filter(|word| self.libraries.contains_key(*word));
                    named.extend(crates.map(str::to_owned));
                    let is_asking =
                        |word: &str| WORDS.contains(&word) || word.starts_with("downcast");
                    asks |= words(&text).any(is_asking);
                }
                // What is no text, such as a picture that is included, says nothing.
                Err(_) => asks |= !file.is_file(),
            }
        }
        (asks, named)
    }
}

/// The words of a source text outside of lines that are comments. What stands behind code on its line counts: two slashes may
/// be a part of a string.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let words = code.flat_map(|line| line.split(|c: char| !(c.is_alphanumeric() || c == '_')));
    words.filter(|word| !word.is_empty())
}

/// The functions that are inlined in an object, by the linkage names in its debug information.
fn inlined(object: &[u8]) -> Vec<String> {
    let file = object::File::parse(object).ok();
    let section = file
        .as_ref()
        .and_then(|file| file.section_by_name(".debug_str"));
    let data = section.and_then(|section| section.uncompressed_data().ok());
    let strings = data.as_deref().unwrap_or_default().split(|byte| *byte == 0);
    let symbols = strings.filter(|text| text.starts_with(b"_R"));
    symbols
        .filter_map(|text| Some(str::from_utf8(text).ok()?.to_owned()))
        .collect()
}

impl Engine {
    /// Whether a crate of the workspace is optimised.
    pub(super) fn is_optimised(&self) -> bool {
        let mut units = self.crates.iter().map(|krate| &krate.unit);
        units.any(|unit| unit.compiled.optimised())
    }

    /// Whether code that asks for ids of types may be a part of other code.
    pub(super) fn hides_ids(&self) -> bool {
        self.has_optimised_dependencies || self.is_optimised()
    }

    /// A function by which a value of one of these types may be found by the id of its type, where no symbol of `TypeId::of`
    /// has to tell; among these, and those that are inlined.
    pub(super) fn hidden_eraser(
        &mut self,
        types: &ChangedTypes,
        symbols: &[NameId],
    ) -> Option<String> {
        let running = self.crates.iter().flat_map(|krate| &krate.running);
        let inlined = running.flat_map(|object| inlined(&object.bytes().unwrap_or_default()));
        let inlined: BTreeSet<String> = inlined.collect();
        let is_of_one =
            |symbol: &&str| types.mentioned_in_symbol(symbol) && !is_environment_symbol(symbol);
        let symbols = symbols.iter().map(|name| self.names.text(*name));
        let symbols: BTreeSet<&str> = symbols.filter(is_of_one).collect();
        let inlined: BTreeSet<&str> = inlined
            .iter()
            .map(String::as_str)
            .filter(is_of_one)
            .collect();
        let is_asking = |symbol: &&&str| is_asked_inline(symbol, &symbols);
        let asking = inlined.iter().find(is_asking);
        let of_others = || {
            let mut all = symbols.union(&inlined);
            all.find(|symbol| self.askers.has_one_in(symbol))
        };
        let found = asking.or_else(of_others)?;
        Some((*found).to_owned())
    }

    /// Reads the casts of all crates once in the background, where there is `unsafe` code, so that they are known when an edit
    /// of types needs them, see [`Engine::disguises`]; and rustc has the MIR in its cache.
    pub(super) fn warm_up(&mut self) {
        if !self.says_unsafe() {
            return;
        }
        let crates = self.crates.iter().enumerate().map(|(number, krate)| {
            let objects = objects::hashes(krate.running.iter());
            (number, krate.unit.clone(), krate.inputs.hashes(), objects)
        });
        let crates: Vec<_> = crates.collect();
        let ending = self.ending.clone();
        let (say, casts) = channel();
        self.first_casts = Some(casts);
        thread::spawn(move || {
            for (number, unit, compiled, objects) in crates {
                let files: Vec<PathBuf> = compiled.keys().cloned().collect();
                // Whatever is wrong shows when it is needed.
                if let Ok((text, casts)) = casts_and_text(&unit, &files, &ending)
                    && text == compiled
                {
                    let _ = say.send((number, (objects, casts)));
                }
            }
        });
    }

    /// Takes in what [`Engine::warm_up`] has found.
    pub(super) fn collect_casts(&mut self) {
        for (number, casts) in self.first_casts.iter().flat_map(Receiver::try_iter) {
            if let Some(krate) = self.crates.get_mut(number) {
                krate.casts.get_or_insert(casts);
            }
        }
    }

    /// Begins to read the casts of a crate that was saved, where there is `unsafe` code.
    pub(super) fn read_casts_early(&mut self, number: usize) {
        if self.has_casts() {
            self.crates[number].read_casts_early();
        }
    }

    /// Whether `unsafe` is written anywhere.
    fn says_unsafe(&self) -> bool {
        self.files().iter().any(|file| says_unsafe(file))
    }

    /// Whether rustc has to be asked what code takes for something else: where `unsafe` is written, and in optimised code, which
    /// may ask for ids of types without a symbol that says so.
    pub(super) fn has_casts(&self) -> bool {
        self.is_optimised() || self.says_unsafe()
    }

    /// Where code takes values for those of another type, if one of these types is among them. rustc is only asked
    /// where `unsafe` is written at all.
    pub(super) fn disguises(
        &mut self,
        types: &ChangedTypes,
        words: &BTreeSet<String>,
        symbols: &[NameId],
        cancel: &CancelToken,
    ) -> Result<Vec<Disguise>> {
        if words.is_empty() || !self.has_casts() {
            return Ok(Vec::new());
        }
        self.collect_casts();
        let present = self.crates.iter_mut().filter(|krate| !krate.is_absent);
        let present: Vec<&mut Crate> = present.collect();
        let failed = Mutex::new(None);
        on_all_processors(present.into_iter(), |krate| {
            if let Err(error) = krate.read_casts(cancel) {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        });
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = failed {
            return Err(error).context("failed to see what `unsafe` code does with types");
        }
        let casts = self.crates.iter().filter_map(|krate| krate.casts.as_ref());
        let casts: Vec<&Casts> = casts.map(|(_, casts)| casts).collect();
        Ok(disguises(&casts, words, |function| {
            // As v0 symbols have a name.
            let name = format!("{}{function}", function.len());
            let mut symbols = symbols.iter().map(|symbol| self.names.text(*symbol));
            symbols.find(|symbol| symbol.contains(&name) && types.mentioned_in_symbol(symbol))
        }))
    }
}

/// Whether an inlined function asks for the id of a type. All errors have a method that gives theirs away, see
/// `plan::worlds::is_asked`, and has it inlined.
fn is_asked_inline(symbol: &str, others: &BTreeSet<&str>) -> bool {
    is_eraser(symbol) && {
        let text = format!("{:#}", rustc_demangle::demangle(symbol));
        let of = text.rsplit_once("TypeId>::of::<");
        let of = of.and_then(|(_, of)| of.strip_suffix('>'));
        !of.is_some_and(|ty| {
            let gives = format!("<{ty} as core::error::Error>::type_id");
            others
                .iter()
                .any(|symbol| format!("{:#}", rustc_demangle::demangle(symbol)) == gives)
        })
    }
}

/// Whether a file has the keyword in it, perhaps in a comment; the lint `unsafe_code` is another word.
fn says_unsafe(file: &Path) -> bool {
    const WORD: &[u8] = b"unsafe";
    let is_word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    fs::read(file).is_ok_and(|text| {
        let mut places = text.windows(WORD.len()).enumerate();
        places.any(|(at, word)| word == WORD && !is_word(text.get(at + WORD.len())))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::Askers;

    /// Names of crates are common words, so that texts name each other in circles.
    #[test]
    fn who_names_one_that_asks_counts_whoever_is_looked_at_first() {
        let folder = tempfile::tempdir().unwrap();
        let texts = [
            ("a", "use c; fn f() { b }"),
            ("b", "use a;"),
            ("c", "fn f() { g(\"http://x\", TypeId::of::<u8>()) }"),
            ("d", "fn f() { e }\n    // TypeId"),
            ("e", "use d;"),
        ];
        let libraries = texts.map(|(name, text)| {
            let source = folder.path().join(format!("{name}.rs"));
            fs::write(&source, text).unwrap();
            let dep_info = format!("{name}: {}\n", source.display());
            fs::write(folder.path().join(format!("{name}-1.d")), dep_info).unwrap();
            folder.path().join(format!("lib{name}-1.rlib"))
        });
        for first in ["a", "b", "c", "d", "e"] {
            let mut askers = Askers::among(&libraries, &BTreeSet::new(), folder.path());
            askers.asks(first);
            let asking = ["a", "b", "c", "d", "e"].map(|name| askers.asks(name));
            assert_eq!(asking, [true, true, true, false, false], "{first} first");
        }
        // One without its text may ask for anything.
        fs::remove_file(folder.path().join("d-1.d")).unwrap();
        let mut askers = Askers::among(&libraries, &BTreeSet::new(), folder.path());
        assert!(askers.asks("e"));
    }
}
