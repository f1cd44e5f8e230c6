//! Crates compiled again in their order, each as soon as what it sees of others is known; beside whatever else is done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};

use anyhow::Result;

use super::krate::{Crate, metadata_of};
use super::sources;
use crate::build::capture::Unit;
use crate::build::program_libraries;
use crate::build::replay::{Replayed, replay};
use crate::command::CancelToken;

/// What came of the crates that were compiled, in their order.
pub(super) struct Compiled {
    /// By the crate's number.
    pub(super) results: BTreeMap<usize, Result<Replayed>>,
    /// The bytes of the crates' files before they were compiled.
    pub(super) before: BTreeMap<usize, BTreeMap<PathBuf, Option<u128>>>,
}

/// A compile that is under way on threads of its own.
pub(super) struct Compiling {
    thread: JoinHandle<Compiled>,
    ended: CancelToken,
}

impl Compiling {
    /// Begins to compile the crates that are `dirty`, and those that see something else of one of them. `scratch` is the
    /// session's own folder.
    pub(super) fn begin(
        crates: &[Crate],
        dirty: &[bool],
        scratch: &Path,
        cancel: &CancelToken,
    ) -> Self {
        let orders = crates.iter().zip(dirty).map(|(krate, is_dirty)| Order {
            unit: krate.unit.clone(),
            files: krate.inputs.files().cloned().collect(),
            metadata: krate.metadata,
            is_dirty: *is_dirty,
            is_absent: krate.is_absent,
        });
        let orders: Vec<Order> = orders.collect();
        let ended = CancelToken::new();
        let (scratch, cancel, end) = (scratch.to_owned(), cancel.clone(), ended.clone());
        let thread = thread::spawn(move || {
            let compiled = compile(&orders, &scratch, &cancel);
            end.cancel();
            compiled
        });
        Self { thread, ended }
    }

    /// Ends the tools that run under it as soon as the compile has come to its end, for those that want to be sooner.
    pub(super) fn ended(&self) -> CancelToken {
        self.ended.clone()
    }

    /// What came of it.
    pub(super) fn wait(self) -> Compiled {
        match self.thread.join() {
            Ok(compiled) => compiled,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// A crate as it is to be compiled.
struct Order {
    unit: Unit,
    /// The files that it was compiled from last.
    files: Vec<PathBuf>,
    /// Of what others saw of it then.
    metadata: Option<u128>,
    is_dirty: bool,
    is_absent: bool,
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
    orders: &'a [Order],
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
                let unit = &self.orders[index].unit;
                // Without it the others wait for the library itself.
                if program_libraries::publish(unit, self.scratch).is_ok() {
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
        let order = &self.orders[index];
        self.states[index] = State::Known(metadata_of(&order.unit) != order.metadata);
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

fn compile(orders: &[Order], scratch: &Path, cancel: &CancelToken) -> Compiled {
    program_libraries::forget(scratch);
    let mut before = BTreeMap::new();
    let mut schedule = Schedule {
        orders,
        scratch,
        states: vec![State::Kept; orders.len()],
        results: BTreeMap::new(),
    };
    thread::scope(|scope| {
        let (tell, hear) = channel();
        let mut begun = 0;
        for (index, order) in orders.iter().enumerate() {
            let seen = used_by(&order.unit, orders.iter().map(|order| &order.unit));
            schedule.wait_for(&seen, &hear);
            let sees_others = seen
                .iter()
                .any(|of| schedule.states[*of] == State::Known(true));
            if order.is_absent || !order.is_dirty && !sees_others {
                continue;
            }
            before.insert(index, sources::look(&order.files));
            schedule.states[index] = State::Compiling;
            begun += 1;
            let tell = tell.clone();
            scope.spawn(move || {
                let on_metadata = || drop(tell.send(Progress::Metadata(index)));
                let result = replay(&order.unit, scratch, cancel, on_metadata);
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
    program_libraries::forget(scratch);
    Compiled {
        results: schedule.results,
        before,
    }
}

/// The numbers of the crates that a crate is compiled with.
pub(super) fn used_by<'a>(unit: &Unit, all: impl Iterator<Item = &'a Unit>) -> Vec<usize> {
    let stems: Vec<String> = unit.externs().collect();
    all.enumerate()
        .filter(|(_, other)| stems.contains(&other.stem()))
        .map(|(index, _)| index)
        .collect()
}
