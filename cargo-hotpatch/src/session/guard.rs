//! The second opinion on layouts: what a patch says about types must be what the running program says.
//!
//! The program's debug information is read once a build, in a thread of its own, and kept beside the unit. What a
//! patch says joins it when the patch goes live. Where there is no debug information this has no opinion.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};

use super::compose::Part;
use super::known;
use super::make::Maker;
use crate::build::base::{Base, stamp};
use crate::image::layouts::{Disagreement, Layouts, disagreements, names_one_of};
use crate::plan::codes::Code;
use crate::plan::index::Index;
use crate::plan::reach::Plan;
use crate::plan::verdict::Refusal;
use crate::plan::{classify, strict};
use crate::source::diff::Changes;
use crate::source::file::{Kind, Place};
use crate::source::items::CrateSource;

/// What the program and the patches in it say about types.
pub struct Guard {
    program: PathBuf,
    /// Keeps what was read, for the next session.
    cache: PathBuf,
    crates: Vec<String>,
    reading: Option<JoinHandle<Result<Layouts>>>,
    known: Option<Arc<Layouts>>,
    /// Of a patch that is not live yet.
    pending: Vec<Layouts>,
    /// Types that this patch may change, since no value of them is alive.
    free: BTreeSet<String>,
    /// Not all of the program's types are described.
    blind: bool,
    told: bool,
}

/// A compiled part of a patch.
pub struct Compiled<'a> {
    /// Its object file.
    pub object: &'a [u8],
    /// Symbols of the process that it is bound to.
    pub bound: Vec<&'a str>,
}

impl Guard {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(base: &Base) -> Self {
        let unit = base.units.last();
        Self {
            program: base.program.clone(),
            cache: unit
                .map(|unit| unit.folder.join("layouts.bin"))
                .unwrap_or_default(),
            crates: base.units.iter().map(|unit| unit.krate.clone()).collect(),
            reading: None,
            known: None,
            pending: Vec::new(),
            free: BTreeSet::new(),
            blind: !base.units.iter().all(|unit| unit.args.describes_types()),
            told: false,
        }
    }

    /// The same opinion once more, to try something out. What is not read yet it reads by itself.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            program: self.program.clone(),
            cache: self.cache.clone(),
            crates: self.crates.clone(),
            reading: None,
            known: self.known.clone(),
            pending: Vec::new(),
            free: BTreeSet::new(),
            blind: self.blind,
            told: self.told,
        }
    }

    /// Whether, as far as is known by now, it has no opinion on some types.
    pub fn is_blind(&self) -> bool {
        self.blind
    }

    /// Whether that is so and was not said yet.
    pub fn is_new_to_blindness(&mut self) -> bool {
        self.blind && !std::mem::replace(&mut self.told, self.blind)
    }

    /// Begins to read the program, which the first patch will need.
    pub fn fetch(&mut self) {
        if self.reading.is_none() && self.known.is_none() {
            let (program, cache) = (self.program.clone(), self.cache.clone());
            let crates = self.crates.clone();
            self.reading = Some(std::thread::spawn(move || read(&program, &cache, &crates)));
        }
    }

    /// A new edit: what was read of one that never went live is no part of the program.
    pub fn begin(&mut self) {
        self.pending.clear();
        self.free.clear();
    }

    /// What is known of the program, once that is read.
    ///
    /// # Errors
    /// The program cannot be read.
    pub fn known(&mut self) -> Result<&Layouts> {
        self.fetch();
        if let Some(reading) = self.reading.take() {
            let read = reading
                .join()
                .map_err(|_| anyhow!("reading the program's types panicked, please report this"))?;
            let known = read.context("failed to read the program's types")?;
            // A linker may have dropped it.
            self.blind |= !known.has_units();
            self.known = Some(Arc::new(known));
        }
        self.known.as_deref().context("no types were read")
    }

    /// What the parts of a patch and the process disagree about, the likeliest cause first. Types with the names
    /// in `free` may be others now.
    ///
    /// # Errors
    /// The program or a part cannot be read.
    pub fn disagreements(
        &mut self,
        parts: &[Compiled<'_>],
        free: &BTreeSet<String>,
    ) -> Result<Vec<Disagreement>> {
        self.pending.clear();
        self.free.clone_from(free);
        self.known()?;
        let crates: Vec<&str> = self.crates.iter().map(String::as_str).collect();
        let known = self.known.as_deref();
        let mut found = Vec::new();
        let mut read: Vec<Layouts> = Vec::new();
        for part in parts {
            let layouts =
                Layouts::read(part.object, &crates).context("failed to read the patch's types")?;
            for other in read.iter().chain(known) {
                found.extend(disagreements(other, &layouts, &part.bound));
            }
            read.push(layouts);
        }
        self.pending = read;
        found.retain(|found| !names_one_of(&found.ty, free));
        Ok(found)
    }

    /// The patch that was looked at last is live: later ones must agree with it, too.
    pub fn published(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if let Some(known) = &mut self.known {
            let known = Arc::make_mut(known);
            known.forget(&std::mem::take(&mut self.free));
            for layouts in pending {
                known.learn(layouts);
            }
        }
    }
}

impl Maker<'_> {
    /// Refuses what may change a type where only the source can tell.
    ///
    /// # Errors
    /// The program cannot be read.
    pub(super) fn unguarded(
        &mut self,
        sources: &[CrateSource],
        changes: &[Changes],
    ) -> Result<Option<Refusal>> {
        let guard = &mut self.world.guard;
        guard.begin();
        guard.known()?;
        if !guard.blind {
            return Ok(None);
        }
        let states = self.world.states.iter();
        let earlier: Vec<&[CrateSource]> = states.map(|state| &*state.sources).collect();
        Ok(strict::refusal(&earlier, sources, changes))
    }

    /// Refuses a compiled patch that says something else about a type than the process does.
    ///
    /// # Errors
    /// The program or the patch cannot be read.
    pub(super) fn disagreement(
        &mut self,
        sources: &[CrateSource],
        index: &Index,
        plan: &Plan,
        round: &[Part],
    ) -> Result<Option<Refusal>> {
        let own: BTreeSet<&str> = round
            .iter()
            .flat_map(|part| &part.compiled.object.pairs)
            .map(|pair| pair.old.as_str())
            .collect();
        let parts: Vec<Compiled<'_>> = round
            .iter()
            .map(|part| {
                let object = &part.compiled.object;
                let symbols = object.undefined.iter().filter(|symbol| symbol.used);
                Compiled {
                    object: &part.compiled.data,
                    bound: symbols
                        .map(|symbol| symbol.name.as_str())
                        .filter(|name| !own.contains(name))
                        .collect(),
                }
            })
            .collect();
        let found = self.world.guard.disagreements(&parts, &plan.free)?;
        let edited = round
            .iter()
            .filter_map(|part| index.known(*part.vertices.first()?))
            .find_map(|known| {
                let (file, place, _) = classify::place(&sources[known.krate], known.keys.first()?)?;
                Some((file, place))
            });
        Ok(found
            .first()
            .map(|found| refusal(found, sources, edited.unwrap_or_default())))
    }
}

/// Reads what an earlier session kept of this very program, or the program.
fn read(program: &Path, cache: &Path, crates: &[String]) -> Result<Layouts> {
    let key = known::key((stamp(program), program, crates));
    if let Some(layouts) = known::read(cache, key) {
        return Ok(layouts);
    }
    let data =
        fs::read(program).with_context(|| format!("failed to read `{}`", program.display()))?;
    let crates: Vec<&str> = crates.iter().map(String::as_str).collect();
    // What cannot be understood says as little as what is not there.
    let Ok(layouts) = Layouts::read(&data, &crates) else {
        return Ok(Layouts::default());
    };
    known::write(cache, key, &layouts);
    Ok(layouts)
}

/// The refusal of a patch for what it and the program disagree about.
#[must_use]
pub fn refusal(found: &Disagreement, sources: &[CrateSource], edited: (PathBuf, Place)) -> Refusal {
    const WHY: &str = "the patch and the running program disagree about it";
    let changed = |name: &str| format!("layout of `{name}` changed");
    match sources.iter().find_map(|source| place(source, found)) {
        Some((name, (file, place))) => Refusal::new(Code::HP0101, changed(&name), file, place)
            .labelled(found.what.clone())
            .because(WHY),
        // What the edit was about is not what is to blame.
        None => Refusal::new(Code::HP0101, changed(&found.ty), edited.0, edited.1)
            .because(found.what.clone())
            .because(WHY),
    }
}

/// Where a type is written, or the part of it that differs; none for what a macro made.
fn place(source: &CrateSource, found: &Disagreement) -> Option<(String, (PathBuf, Place))> {
    let path = found.ty.split('<').next()?.strip_prefix(&source.name)?;
    let (module, name) = path.strip_prefix("::").map_or(("", path), |path| {
        path.rsplit_once("::").unwrap_or(("", path))
    });
    let (file, item) = source
        .files
        .iter()
        .flat_map(|file| file.parsed.items.iter().map(move |item| (file, item)))
        .find(|(_, item)| {
            item.kind == Kind::Type
                && item.names.iter().any(|own| own == name)
                && item.module.join("::") == module
        })?;
    let member = found
        .member
        .as_ref()
        .and_then(|member| item.members.iter().find(|m| m.name == *member));
    let place = member.map_or(item.place, |member| member.place);
    Some((name.to_owned(), (file.path.clone(), place)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::samples::Samples;
    use crate::source::items::fake::krate;

    /// The refusal of a patch with `new` types for a program with `old` ones, as a user reads it.
    fn refused(old: &str, new: &str, source: &str) -> Option<String> {
        let samples = Samples::new();
        let read = |types: &str| {
            let flags = ["-Cdebuginfo=2", "--crate-name=fake"];
            let object = samples.object(&format!("{types} pub fn f(t: Option<m::T>) {{}}"), &flags);
            Layouts::read(&object, &["fake"]).expect("it is whole")
        };
        let found = disagreements(&read(old), &read(new), &[]);
        let mut source = krate(&[("src/main.rs", source)]);
        "fake".clone_into(&mut source.name);
        let edited = (PathBuf::from("src/edited.rs"), Place { line: 7, column: 1 });
        let refusal = refusal(found.first()?, &[source], edited);
        let Place { line, column } = refusal.place;
        Some(format!(
            "{refusal} --> {}:{line}:{column} [{}] = {}",
            refusal.file.display(),
            refusal.label,
            refusal.reasons.join(" = ")
        ))
    }

    #[test]
    fn a_disagreement_names_the_type_the_part_and_the_place() {
        let (old, new) = (
            "pub mod m { pub struct T { pub a: u8, pub b: [u8; 4] } }",
            "pub mod m { pub struct T { pub a: u8, pub b: [u8; 8] } }",
        );
        assert_eq!(
            refused(
                old,
                new,
                "mod m {\n struct T {\n  a: u8,\n  b: [u8; N],\n }\n}"
            )
            .as_deref(),
            Some(
                "HP0101: layout of `T` changed --> /src/main.rs:4:3 \
                 [field `b` was `[u8; 4]` and is `[u8; 8]`] \
                 = the patch and the running program disagree about it"
            )
        );
        // A macro made it.
        assert_eq!(
            refused(old, new, "mod m {\n make!(T);\n}").as_deref(),
            Some(
                "HP0101: layout of `fake::m::T` changed --> src/edited.rs:7:1 [] \
                 = field `b` was `[u8; 4]` and is `[u8; 8]` \
                 = the patch and the running program disagree about it"
            )
        );
        assert_eq!(refused(old, old, ""), None);
    }

    #[test]
    fn only_what_went_live_is_known() {
        let samples = Samples::new();
        let object = |field: &str| {
            let flags = ["-Cdebuginfo=2", "--crate-name=fake"];
            samples.object(
                &format!("pub struct New(pub {field}); pub fn f(n: New) {{}}"),
                &flags,
            )
        };
        let mut guard = Guard {
            program: PathBuf::new(),
            cache: PathBuf::new(),
            crates: vec!["fake".to_owned()],
            reading: None,
            known: Some(Arc::default()),
            pending: Vec::new(),
            free: BTreeSet::new(),
            blind: false,
            told: false,
        };
        let found = |guard: &mut Guard, object: &[u8], free: &[&str]| {
            let bound = Vec::new();
            let free = free.iter().map(|name| (*name).to_owned()).collect();
            let found = guard.disagreements(&[Compiled { object, bound }], &free);
            found.expect("it is whole").len()
        };
        let (small, large) = (object("u8"), object("u64"));
        assert_eq!(found(&mut guard, &small, &[]), 0);
        // The edit is given up; another goes live without a look at types.
        guard.begin();
        guard.published();
        assert_eq!(found(&mut guard, &large, &[]), 0);
        guard.published();
        assert_eq!(found(&mut guard, &large, &[]), 0);
        assert_eq!(found(&mut guard, &small, &[]), 1);
        // A permission, too, is for one edit.
        assert_eq!(found(&mut guard, &small, &["New"]), 0);
        guard.begin();
        guard.published();
        assert_eq!(found(&mut guard, &small, &[]), 1);
        assert_eq!(found(&mut guard, &small, &["New"]), 0);
        guard.published();
        assert_eq!(found(&mut guard, &small, &[]), 0);
        assert_eq!(found(&mut guard, &large, &[]), 1);
    }

    #[test]
    fn parts_of_enums_and_generic_types_have_their_places() {
        let (old, new) = (
            "pub mod m { pub enum T { A, B { x: u8 } } }",
            "pub mod m { pub enum T { A, B { x: i8 } } }",
        );
        let place = |text: Option<String>| {
            let text = text.expect("it is refused");
            text.split(" [").next().unwrap_or_default().to_owned()
        };
        assert_eq!(
            place(refused(
                old,
                new,
                "mod m {\n enum T {\n  A,\n  B {\n   x: t!() } } }"
            )),
            "HP0101: layout of `T` changed --> /src/main.rs:5:4"
        );
        let (old, new) = (
            "pub mod m { pub type T = G<u8>; pub struct G<X>(pub u32, pub X); }",
            "pub mod m { pub type T = G<u8>; pub struct G<X>(pub i32, pub X); }",
        );
        assert_eq!(
            place(refused(old, new, "mod m {\n struct G<X>(t!(), X); }")),
            "HP0101: layout of `G` changed --> /src/main.rs:2:14"
        );
    }
}
