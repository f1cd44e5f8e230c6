//! `--guard`: a thread of the program panics or crashes, and waits until it has been looked at. If code of the newest step is on
//! its stack, the program goes back to the step before, and the sources of the newest are not brought again unasked.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;

use super::engine::{Engine, all_definitions};
use super::history::{Direction, Stepped};
use super::refusals::shown;
use super::stacks::Looked;
use crate::command::CancelToken;
use crate::object::fingerprint::Kind;
use crate::object::names::NameId;
use crate::plan::codes::Code;
use crate::plan::verdict::{Note, Refusal};
use crate::run::client::{Client, Publish};
use crate::source::file::Place;

/// A thread that waits at its panic or crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fall {
    /// Its id.
    pub thread: u32,
    /// The signal that it got; none for a panic.
    pub signal: Option<i32>,
}

/// A fall that the newest code has a part in, and what became of that.
#[derive(Debug)]
pub struct Guarded {
    /// What fell.
    pub fall: Fall,
    /// The thread's name.
    pub thread: String,
    /// The innermost function of the workspace on its stack: its full path.
    pub function: String,
    /// The innermost one that the newest step brought.
    pub newest: String,
    /// The generation that has it.
    pub generation: u32,
    /// What became of the step back.
    pub stepped: Result<Stepped>,
}

/// What a guard knows from one fall to the next.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// It is asked for.
    pub(super) is_on: bool,
    /// Hashes of sources that are not brought unasked.
    held_back: BTreeSet<String>,
    /// The step that a process is to run that is started in the place of one that fell.
    pub(super) restores: Option<u32>,
}

impl Guard {
    /// These sources were asked for.
    pub(super) fn allow(&mut self, revision: &str) {
        self.held_back.remove(revision);
    }

    /// The refusal of sources that were taken back, if they were.
    pub(super) fn refusal(&self, revision: &str, files: &BTreeSet<PathBuf>) -> Option<Refusal> {
        let whole = Place { line: 0, column: 0 };
        let file = files.first().cloned().unwrap_or_default();
        let message = "a thread panicked or crashed in code of these sources, and `--guard` took them back; \
                       `cargo hotpatch redo` brings them all the same";
        let is_held_back = self.held_back.contains(revision);
        is_held_back.then(|| Refusal::new(Code::HP0208, message.to_owned(), file, whole))
    }
}

impl Engine {
    /// Looks at a thread that fell, and takes the newest step back if code of it is on that thread's stack. `ahead_of` is the
    /// hash of the sources that run ahead of the exact lane, if any do. Nothing if the newest step has no part in it.
    pub(super) fn fallen(
        &mut self,
        fall: Fall,
        ahead_of: Option<String>,
        client: &mut Client,
        cancel: &CancelToken,
    ) -> Option<Guarded> {
        let newest = self.newest_bodies();
        if newest.is_empty() {
            return None;
        }
        let looked = self.process.code.look_at(self.process.pid, fall.thread);
        let Looked { thread, functions } = looked?;
        if functions.iter().any(|(_, symbol)| goes_on(symbol)) {
            // It was looked at where it began.
            return None;
        }
        let (_, newest) = functions.iter().find(|(body, _)| newest.contains(body))?;
        let path = |symbol: &String| self.own_function(self.names.get(symbol)?);
        let newest = path(newest).unwrap_or_else(|| shown(newest));
        let own = functions.iter().filter_map(|(_, symbol)| path(symbol));
        let own: Vec<String> = own.collect();
        let function = own.first().unwrap_or(&newest).clone();
        let generation = self.process.generation;
        let is_ahead = !self.process.ahead.is_empty();
        let revision = match is_ahead {
            true => ahead_of,
            false => self.history.revision(),
        };
        self.guard.held_back.extend(revision);
        let mut stepped = match is_ahead {
            true => {
                self.guard.restores = self.history.number();
                self.step_back_from_ahead(client)
            }
            false => {
                self.guard.restores = self.history.number_before();
                // The thread that waits may be the one that would come to a checkpoint.
                self.step(Direction::Back, Publish::AtOnce, client, cancel)
            }
        };
        if let Ok(Stepped::Done { patched, .. }) = &mut stepped {
            // That this thread is in what it fell in goes without saying.
            let is_of_it = |note: &Note| {
                let on_stack = note.on_stack.as_ref();
                on_stack.is_some_and(|of| of.thread == thread && own.contains(&of.function))
            };
            patched.notes.retain(|note| !is_of_it(note));
        }
        Some(Guarded {
            fall,
            thread,
            function,
            newest,
            generation,
            stepped,
        })
    }

    /// The addresses of the bodies that the newest step brought.
    fn newest_bodies(&self) -> BTreeSet<u64> {
        match self.process.ahead.is_empty() {
            false => self.bodies_ahead(),
            true => {
                let bodies = self.bodies_of(self.brought_by_newest().into_iter());
                let were_ahead = self.process.were_ahead.iter().copied();
                bodies.chain(were_ahead).collect()
            }
        }
    }

    /// The same of what runs ahead of the exact lane.
    pub(super) fn bodies_ahead(&self) -> BTreeSet<u64> {
        self.bodies_of(self.process.ahead.keys().copied()).collect()
    }

    fn bodies_of(&self, names: impl Iterator<Item = NameId>) -> impl Iterator<Item = u64> {
        names.filter_map(|name| {
            let body = self.process.addresses.body(name, &self.names)?;
            let bias = self.process.biases.get(&body.generation)?;
            Some(bias + body.offset)
        })
    }

    /// The functions in which the newest step differs from the one before.
    fn brought_by_newest(&self) -> Vec<NameId> {
        let Some((before, now)) = self.history.last_two() else {
            return Vec::new();
        };
        let old = all_definitions(before);
        let new = all_definitions(now);
        let differs = new.iter().filter(|(name, of)| {
            let was = old.get(*name);
            of.kind == Kind::Function && was.is_none_or(|was| was.exact != of.exact)
        });
        differs.map(|(name, _)| *name).collect()
    }
}

/// Functions of the standard library by which a panic goes on that has begun elsewhere.
fn goes_on(symbol: &str) -> bool {
    symbol.contains("rust_panic_without_hook")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Guard, goes_on};

    #[test]
    fn sources_are_held_back_until_they_are_asked_for() {
        let mut guard = Guard::default();
        let files = BTreeSet::from(["/a/main.rs".into()]);
        assert!(guard.refusal("one", &files).is_none());
        guard.held_back.insert("one".to_owned());
        assert!(guard.refusal("two", &files).is_none());
        let refusal = guard.refusal("one", &files).unwrap();
        assert_eq!(refusal.file.to_str(), Some("/a/main.rs"));
        guard.allow("one");
        assert!(guard.refusal("one", &files).is_none());
    }

    #[test]
    fn a_panic_that_goes_on_is_known_in_both_manglings() {
        for symbol in [
            "_RNvNtCs1_3std9panicking23rust_panic_without_hook",
            "_ZN3std9panicking23rust_panic_without_hook17h0123456789abcdefE",
        ] {
            assert!(goes_on(symbol));
        }
        assert!(!goes_on("_RNvNtCs1_3std9panicking15panic_with_hook"));
    }
}
