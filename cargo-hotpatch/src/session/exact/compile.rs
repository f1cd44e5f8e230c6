//! Crates compiled again in their order, each as soon as what it sees of others is known; beside whatever else is done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::Result;

use super::krate::{Crate, metadata_of};
use super::sources;
use crate::build::capture::Unit;
use crate::build::program_libraries;
use crate::build::replay::{Replayed, replay};
use crate::command::CancelToken;

/// Crates that several programs of a session consist of, each compiled once for all of them.
#[derive(Debug, Default)]
pub struct SharedCompiles(Mutex<BTreeMap<PathBuf, Arc<Mutex<Option<Made>>>>>);

/// What came of a crate the last time.
#[derive(Debug)]
struct Made {
    /// The bytes of its files before.
    before: BTreeMap<PathBuf, Option<u128>>,
    /// What it saw of others.
    seen: Vec<Option<u128>>,
    replayed: Replayed,
}

impl SharedCompiles {
    /// Compiles a crate, unless that was done with the same files and what it sees of others is the same.
    fn once(
        &self,
        unit: &Unit,
        before: &BTreeMap<PathBuf, Option<u128>>,
        seen: Vec<Option<u128>>,
        on_metadata: impl FnOnce(),
        compile: impl FnOnce(&mut dyn FnMut()) -> Result<Replayed>,
    ) -> Result<Replayed> {
        let made = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.entry(unit.folder.clone()).or_default().clone()
        };
        // Who comes second waits here.
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made
            .as_ref()
            .filter(|made| made.before == *before && made.seen == seen)
        {
            on_metadata();
            return Ok(made.replayed.clone());
        }
        *made = None;
        let mut on_metadata = Some(on_metadata);
        let replayed = compile(&mut || {
            if let Some(on_metadata) = on_metadata.take() {
                on_metadata();
            }
        })?;
        *made = Some(Made {
            before: before.clone(),
            seen,
            replayed: replayed.clone(),
        });
        Ok(replayed)
    }
}

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
        shared: Option<&Arc<SharedCompiles>>,
        cancel: &CancelToken,
    ) -> Self {
        let shared = shared.cloned();
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
            let compiled = compile(&orders, &scratch, shared.as_deref(), &cancel);
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

fn compile(
    orders: &[Order],
    scratch: &Path,
    shared: Option<&SharedCompiles>,
    cancel: &CancelToken,
) -> Compiled {
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
            let looked = sources::look(&order.files);
            before.insert(index, looked.clone());
            let metadata = seen.iter().map(|of| metadata_of(&orders[*of].unit));
            let metadata: Vec<Option<u128>> = metadata.collect();
            schedule.states[index] = State::Compiling;
            begun += 1;
            let tell = tell.clone();
            scope.spawn(move || {
                let on_metadata = || drop(tell.send(Progress::Metadata(index)));
                let result = match shared.filter(|_| !order.unit.bin) {
                    Some(shared) => {
                        shared.once(&order.unit, &looked, metadata, on_metadata, |tell| {
                            replay(&order.unit, scratch, cancel, tell)
                        })
                    }
                    None => replay(&order.unit, scratch, cancel, on_metadata),
                };
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
