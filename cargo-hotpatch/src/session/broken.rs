//! What rustc has to say of an edit, about the crates as the user wrote them and about patches of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Result, anyhow};

use super::make::{Maker, Outcome, Times};
use super::storage::Unbindable;
use super::world::Krate;
use crate::build::diagnostics::{self, Diagnostic};
use crate::build::scope::Scope;
use crate::command::{CancelToken, CommandError};
use crate::patch::compile::{self, Rejected};
use crate::plan::classify;
use crate::plan::codes::Code;
use crate::plan::index::Index;
use crate::plan::reach::Plan;
use crate::plan::verdict::Refusal;
use crate::source::diff::{self, Changes};
use crate::source::fields::can_be_in_place;
use crate::source::file::{FnKey, Place};
use crate::source::items::CrateSource;

impl Maker<'_> {
    /// The sources with functions left in their place that rustc refused outside of it, if there are more of them
    /// than before. A scope has all that a function may name, but cannot show what macros keep private.
    pub(super) fn in_its_place(
        &mut self,
        error: &anyhow::Error,
        sources: &[CrateSource],
        index: &Index,
        plan: &Plan,
    ) -> Option<Vec<CrateSource>> {
        let Rejected(found) = error.chain().find_map(|e| e.downcast_ref::<Rejected>())?;
        let mut more = Vec::new();
        for (file, line) in found.iter().filter(|d| d.error).flat_map(|d| &d.places) {
            let (path, line) = self.user_file(sources, file, *line)?;
            for (krate, source) in sources.iter().enumerate() {
                let key = function_at(source, &path, line).filter(|key| {
                    let vertex = index.find(krate, key);
                    vertex.is_some_and(|vertex| plan.include.contains(&vertex))
                });
                let can_be = |key: &FnKey| {
                    let found = source.function(key);
                    found.is_some_and(|(_, function)| can_be_in_place(source, function))
                };
                let new = key.filter(|key| can_be(key) && !source.in_place.contains(key));
                more.extend(new.map(|key| (krate, key)));
            }
        }
        let keys = more.iter().map(|(krate, key)| (*krate, key));
        (!more.is_empty()).then(|| self.with_in_place(sources.to_vec(), keys))
    }

    /// The sources with these functions left in their place from now on.
    pub(super) fn with_in_place<'k>(
        &mut self,
        mut sources: Vec<CrateSource>,
        keys: impl Iterator<Item = (usize, &'k FnKey)>,
    ) -> Vec<CrateSource> {
        for (krate, key) in keys {
            sources[krate].in_place.insert(key.clone());
            self.world.in_place[krate].insert(key.clone());
        }
        // Such functions are planned in another way.
        self.world.graph_replaced();
        sources
    }

    /// Tells code that does not compile from code that this tool cannot take out of its place.
    pub(super) fn explain(
        &mut self,
        error: anyhow::Error,
        sources: &[CrateSource],
        changes: &[Changes],
    ) -> Result<Outcome> {
        if self.cancel.is_cancelled() {
            return Err(error);
        }
        if let Some(Unbindable(path, name)) = error.downcast_ref::<Unbindable>() {
            let place = any_place(sources, changes);
            let message = format!("the storage of `static {name}` in `{path}` cannot be bound yet");
            return Ok(Outcome::Refused(Refusal::new(
                Code::HP0001,
                message,
                place.0,
                place.1,
            )));
        }
        let rejected = error.chain().find_map(|e| e.downcast_ref::<Rejected>());
        let of_scope = error
            .chain()
            .any(|e| e.to_string() == "failed to compile the scope");
        let of_a_tool = error
            .chain()
            .any(|e| e.downcast_ref::<CommandError>().is_some());
        if rejected.is_none() && (of_scope || of_a_tool) {
            return Err(error);
        }
        // What rustc refused was checked before it was tried in its place.
        if rejected.is_none() {
            let broken = self.check_crates(|krate| !changes[krate].is_empty())?;
            if !broken.is_empty() {
                return Ok(Outcome::Broken(broken));
            }
        }
        let place = any_place(sources, changes);
        let mut refusal = Refusal::new(
            Code::HP0001,
            "this edit compiles, but not as a patch, which is not supported yet",
            place.0,
            place.1,
        );
        match rejected {
            Some(Rejected(found)) => {
                let errors = found.iter().filter(|d| d.error).flat_map(|d| &d.places);
                self.blamed = errors
                    .filter_map(|(file, line)| self.user_file(sources, file, *line))
                    .collect();
                if let Some(summary) = diagnostics::summary(found) {
                    refusal = refusal.because(format!("rustc says of the patch: {summary}"));
                }
                let at = found
                    .iter()
                    .find(|d| d.error)
                    .and_then(|d| d.places.first());
                if let Some((file, line)) = at
                    && let Some((path, line)) = self.user_file(sources, file, *line)
                {
                    refusal.file = path;
                    refusal.place = Place { line, column: 1 };
                }
            }
            None => refusal = refusal.because(format!("{error:#}")),
        }
        Ok(Outcome::Refused(refusal))
    }

    /// A scope shows more than there is to see: what names lead to in a patch that is refused may be out of reach.
    pub(super) fn unless_broken(&self, refusal: Refusal, changes: &[Changes]) -> Result<Outcome> {
        let broken = if self.compiles {
            Vec::new()
        } else {
            self.check_crates(|krate| !changes[krate].is_empty())?
        };
        Ok(if broken.is_empty() {
            Outcome::Refused(refusal)
        } else {
            Outcome::Broken(broken)
        })
    }

    pub(super) fn user_file(
        &self,
        sources: &[CrateSource],
        file: &str,
        line: usize,
    ) -> Option<(PathBuf, usize)> {
        self.world
            .crates
            .iter()
            .zip(sources)
            .find_map(|(krate, source)| {
                let path = krate.unit.cwd.join(file);
                source.file(&path).map(|_| (path, line))
            })
    }

    /// rustc's own errors about the crates with changes, as the user wrote them.
    ///
    /// # Errors
    /// rustc cannot be run or was cancelled.
    pub fn check_crates(&self, is_changed: impl Fn(usize) -> bool) -> Result<Vec<Diagnostic>> {
        self.unchecked(is_changed).check(self.cancel)
    }

    /// Has rustc check all crates while the patch is made.
    pub(super) fn start_check(&self) -> BackgroundCheck {
        let crates = self.unchecked(|_| true);
        let cancel = self.cancel.clone();
        BackgroundCheck(Some(thread::spawn(move || crates.check(&cancel))))
    }

    /// What a check in the background found wrong, once it is done; nothing where there is none.
    ///
    /// # Errors
    /// rustc cannot be run or was cancelled.
    pub(super) fn finish_check(
        &mut self,
        check: &mut BackgroundCheck,
        times: &mut Times,
    ) -> Result<Vec<Diagnostic>> {
        let Some(thread) = check.0.take() else {
            return Ok(Vec::new());
        };
        let started = Instant::now();
        let found = thread.join().map_err(|_| anyhow!("the check panicked"))??;
        times.check += started.elapsed();
        self.compiles |= found.is_empty();
        Ok(found)
    }

    /// The crates with changes, and those that need them.
    fn unchecked(&self, is_changed: impl Fn(usize) -> bool) -> Unchecked {
        let mut tags: BTreeSet<String> = BTreeSet::new();
        let mut numbers = Vec::new();
        for (number, krate) in self.world.crates.iter().enumerate() {
            let mut externs = krate.unit.externs();
            let uses = externs.any(|stem| tags.contains(&stem));
            // Others use it as it is now, not as it was built.
            let differs = self.world.states.last().is_some_and(|state| {
                !diff::same_code(&self.world.built[number], &state.sources[number])
            });
            if !self.compiles && (is_changed(number) || uses || differs) {
                tags.insert(krate.tag.clone());
                numbers.push(number);
            }
        }
        Unchecked {
            crates: self.world.crates.clone(),
            numbers,
        }
    }
}

/// A check of the crates that goes on while a patch is made, or none; see [`Maker::start_check`].
#[derive(Default)]
pub(super) struct BackgroundCheck(Option<JoinHandle<Result<Vec<Diagnostic>>>>);

/// Crates for rustc to check, each after those that it uses.
struct Unchecked {
    crates: Arc<Vec<Krate>>,
    numbers: Vec<usize>,
}

impl Unchecked {
    /// rustc's errors about the first that has any.
    fn check(&self, cancel: &CancelToken) -> Result<Vec<Diagnostic>> {
        let mut checked: BTreeMap<String, Scope> = BTreeMap::new();
        for krate in self.numbers.iter().map(|number| &self.crates[*number]) {
            let (found, metadata) = compile::check(&krate.unit, &checked, cancel)?;
            if found.iter().any(|d| d.error && !d.places.is_empty()) {
                // The last one only counts the others.
                return Ok(found
                    .into_iter()
                    .filter(|d| d.error && !d.places.is_empty())
                    .collect());
            }
            checked.insert(format!("lib{}", krate.tag), metadata);
        }
        Ok(Vec::new())
    }
}

/// The function that stands around a line.
pub(super) fn function_at(source: &CrateSource, path: &Path, line: usize) -> Option<FnKey> {
    let found = source.functions().filter(|(file, function)| {
        let text = &file.parsed.text;
        let lines = |range: &str| range.matches('\n').count();
        file.path == path && {
            let first = lines(&text[..function.item.start]) + 1;
            (first..=first + lines(&text[function.item.clone()])).contains(&line)
        }
    });
    found
        .max_by_key(|(_, function)| function.item.start)
        .map(|(_, function)| function.key.clone())
}

/// Somewhere in the edit.
pub(super) fn any_place(sources: &[CrateSource], changes: &[Changes]) -> (PathBuf, Place) {
    for (source, changes) in sources.iter().zip(changes) {
        let keys = changes
            .bodies
            .iter()
            .chain(&changes.signatures)
            .chain(&changes.added);
        if let Some((file, place, _)) = keys.filter_map(|key| classify::place(source, key)).next() {
            return (file, place);
        }
        if let Some(item) = changes.items.first() {
            return (item.file.clone(), item.place);
        }
    }
    (PathBuf::new(), Place::default())
}
