//! Crates compiled again in their order, each as soon as what it sees of others is known.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use anyhow::Result;

use super::krate::{Crate, metadata_of};
use crate::build::capture::Unit;
use crate::build::replay::{Replayed, forget_early, publish_early, replay};
use crate::command::CancelToken;

/// What came of the crates that were compiled, in their order.
pub(super) struct Compiled {
    /// By the crate's number.
    pub(super) results: BTreeMap<usize, Result<Replayed>>,
    /// The bytes of the crates' files before they were compiled.
    pub(super) before: BTreeMap<usize, BTreeMap<PathBuf, Option<u128>>>,
}

/// How far a compile is.
enum Progress {
    /// Others can be compiled with it.
    Metadata(usize),
    /// It came to its end.
    Done(usize, Result<Replayed>),
}

/// What is known of the compiles under way.
struct Schedule<'a> {
    crates: &'a [Crate],
    scratch: &'a Path,
    states: Vec<State>,
    results: BTreeMap<usize, Result<Replayed>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// As it was.
    Kept,
    /// Being compiled, and nothing of it is known.
    Compiling,
    /// Others can be compiled with it; whether they see something else than before.
    Known(bool),
}

impl Schedule<'_> {
    fn take(&mut self, progress: Progress) {
        match progress {
            Progress::Metadata(index) => {
                let unit = &self.crates[index].unit;
                // Without it the others wait for the library itself.
                if publish_early(unit, self.scratch).is_ok() {
                    self.know(index);
                }
            }
            Progress::Done(index, result) => {
                self.know(index);
                self.results.insert(index, result);
            }
        }
    }

    fn know(&mut self, index: usize) {
        let krate = &self.crates[index];
        self.states[index] = State::Known(metadata_of(&krate.unit) != krate.metadata);
    }

    /// Listens until all of these crates are known.
    fn wait_for(&mut self, seen: &[usize], hear: &Receiver<Progress>) {
        let is_known = |states: &[State]| seen.iter().all(|of| states[*of] != State::Compiling);
        while !is_known(&self.states) {
            match hear.recv() {
                Ok(progress) => self.take(progress),
                Err(_) => return,
            }
        }
    }
}

/// Compiles the crates that are `dirty`, and those that see something else of one of them. `scratch` is
/// the session's own folder.
pub(super) fn compile(
    crates: &[Crate],
    dirty: &[bool],
    scratch: &Path,
    cancel: &CancelToken,
) -> Compiled {
    forget_early(scratch);
    let mut before = BTreeMap::new();
    let mut schedule = Schedule {
        crates,
        scratch,
        states: vec![State::Kept; crates.len()],
        results: BTreeMap::new(),
    };
    thread::scope(|scope| {
        let (tell, hear) = channel();
        let mut begun = 0;
        for (index, krate) in crates.iter().enumerate() {
            let seen = used_by(&krate.unit, crates);
            schedule.wait_for(&seen, &hear);
            let sees_others = seen
                .iter()
                .any(|of| schedule.states[*of] == State::Known(true));
            if krate.is_absent || !dirty[index] && !sees_others {
                continue;
            }
            before.insert(index, krate.inputs.look());
            schedule.states[index] = State::Compiling;
            begun += 1;
            let tell = tell.clone();
            scope.spawn(move || {
                let on_metadata = || drop(tell.send(Progress::Metadata(index)));
                let result = replay(&krate.unit, scratch, cancel, on_metadata);
                let _ = tell.send(Progress::Done(index, result));
            });
        }
        while schedule.results.len() < begun {
            match hear.recv() {
                Ok(progress) => schedule.take(progress),
                Err(_) => break,
            }
        }
    });
    forget_early(scratch);
    Compiled {
        results: schedule.results,
        before,
    }
}

/// The numbers of the crates that a crate is compiled with.
pub(super) fn used_by(unit: &Unit, crates: &[Crate]) -> Vec<usize> {
    let stems: Vec<String> = unit.externs().collect();
    let numbers = crates.iter().enumerate();
    numbers
        .filter(|(_, krate)| stems.contains(&krate.unit.stem()))
        .map(|(index, _)| index)
        .collect()
}
