//! Crates with their scopes, as the fast lane sees them: the text of the code that runs, and what new bodies are compiled
//! against.
//!
//! Scopes are made in the background. Until a crate has its scope, and after an edit of more than bodies, its edits are
//! the exact lane's alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};
use xxhash_rust::xxh3::xxh3_128;

use super::compile::used_by;
use super::krate::Crate;
use crate::build::capture::Unit;
use crate::build::identity::{self, Roots};
use crate::build::rustc;
use crate::build::scope::{Wanted, tool};
use crate::command::CancelToken;
use crate::source::cfg::Cfg;
use crate::source::diff::scope_key;
use crate::source::file::FnKey;
use crate::source::items::{CrateSource, Files, fingerprint, plain};
use crate::source::{shadows, text};

/// In a workspace of so many crates the scopes of all are made at once, in a larger one those of crates that are edited.
const FEW: usize = 8;

/// One crate as the fast lane sees it.
#[derive(Debug, Clone)]
pub(super) struct ScopedCrate {
    /// The crate as its scope and its patches are compiled.
    pub(super) unit: Unit,
    pub(super) cfg: Cfg,
    pub(super) roots: Roots,
    /// The metadata of its scope.
    pub(super) scope: PathBuf,
    /// The text of the code that runs, with what the fast lane brought.
    pub(super) source: CrateSource,
    /// The text that the exact lane has compiled.
    pub(super) settled: CrateSource,
    /// Of all files that rustc read, those that macros take in among them.
    compiled: BTreeMap<PathBuf, u128>,
    /// Of what it sees of the workspace's crates: the scope is no good once this differs.
    seen: Vec<Option<u128>>,
}

impl ScopedCrate {
    /// With the text that was compiled, if that is still there; and whether the scope is still good for it.
    fn settled(mut self, compiled: BTreeMap<PathBuf, u128>) -> Option<(Self, bool)> {
        let mut is_good = true;
        if self.compiled != compiled {
            let read = read(&self.unit, &self.cfg, &compiled, Some(&self.settled));
            let (source, hashes) = read.ok().flatten()?;
            let is_module = |path: &PathBuf| hashes.contains_key(&plain(path));
            let others = |of: &BTreeMap<PathBuf, u128>| -> Vec<(PathBuf, u128)> {
                let others = of.iter().filter(|(path, _)| !is_module(path));
                others.map(|(path, hash)| (path.clone(), *hash)).collect()
            };
            is_good = scope_key(&source) == scope_key(&self.settled)
                && others(&self.compiled) == others(&compiled);
            self.settled = source;
            self.compiled = compiled;
        }
        self.source.clone_from(&self.settled);
        Some((self, is_good))
    }
}

/// A scope to be made.
struct Order {
    ticket: Ticket,
    unit: Unit,
    /// What was found out already.
    known: Option<Box<ScopedCrate>>,
    /// The bytes that rustc compiled.
    compiled: BTreeMap<PathBuf, u128>,
    seen: Vec<Option<u128>>,
}

/// Which crate an order is for, and of which list of crates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticket {
    krate: usize,
    list: u32,
}

/// What every crate stands on, as far as it is known.
pub(super) struct ScopedCrates {
    known: BTreeMap<usize, ScopedCrate>,
    /// Crates whose orders are under way.
    ordered: BTreeSet<usize>,
    /// Crates of which a file was saved.
    saved: BTreeSet<usize>,
    /// Crates of which no scope can be made, and why; with what they were compiled from.
    failed: BTreeMap<usize, (String, BTreeMap<PathBuf, u128>)>,
    /// It has not been said yet that nothing is under way any more.
    owed: bool,
    /// The number of the list of crates.
    list: u32,
    orders: Sender<Order>,
    made: Receiver<(Ticket, Result<Option<ScopedCrate>>)>,
}

impl ScopedCrates {
    /// Nothing is known; work ends with `ending`.
    pub(super) fn new(ending: CancelToken) -> Self {
        let (orders, inbox) = channel::<Order>();
        let (tell, made) = channel();
        // It ends when the session drops its end.
        thread::spawn(move || {
            while let Ok(order) = inbox.recv() {
                let ticket = order.ticket;
                if ending.is_cancelled() || tell.send((ticket, make(order, &ending))).is_err() {
                    return;
                }
            }
        });
        Self {
            known: BTreeMap::new(),
            ordered: BTreeSet::new(),
            saved: BTreeSet::new(),
            failed: BTreeMap::new(),
            owed: true,
            list: 0,
            orders,
            made,
        }
    }

    /// Has the scope of a crate made, if the fast lane can patch anything in it.
    fn order(&mut self, number: usize, crates: &[Crate], known: Option<ScopedCrate>) {
        let krate = &crates[number];
        // An optimised body may be a part of its callers.
        if krate.is_absent || krate.unit.args.optimised() {
            return;
        }
        let order = Order {
            ticket: Ticket {
                krate: number,
                list: self.list,
            },
            unit: krate.unit.clone(),
            known: known.map(Box::new),
            compiled: krate.inputs.hashes(),
            seen: seen_by(number, crates),
        };
        if self.orders.send(order).is_ok() {
            self.ordered.insert(number);
            self.owed = true;
        }
    }

    /// Takes in what was made meanwhile.
    fn collect(&mut self, crates: &[Crate]) {
        loop {
            let (ticket, made) = match self.made.try_recv() {
                Ok(made) => made,
                Err(TryRecvError::Empty) => return,
                // Whatever ended the thread, nothing comes from it any more.
                Err(TryRecvError::Disconnected) => return self.ordered.clear(),
            };
            let number = ticket.krate;
            if ticket.list != self.list {
                continue;
            }
            self.ordered.remove(&number);
            let compiled = crates[number].inputs.hashes();
            match made {
                // The exact lane may have compiled another text since.
                Ok(Some(scoped)) => self.keep(number, scoped, compiled, crates),
                // Saved meanwhile; it is ordered again once that is compiled.
                Ok(None) => {}
                Err(error) => {
                    self.failed.insert(number, (format!("{error:#}"), compiled));
                }
            }
        }
    }

    /// Keeps a crate whose scope is for the text that was compiled last, or has another scope made for it.
    fn keep(
        &mut self,
        number: usize,
        scoped: ScopedCrate,
        compiled: BTreeMap<PathBuf, u128>,
        crates: &[Crate],
    ) {
        let is_current = scoped.seen == seen_by(number, crates);
        match scoped.settled(compiled) {
            Some((scoped, true)) if is_current => drop(self.known.insert(number, scoped)),
            scoped => self.order(number, crates, scoped.map(|(scoped, _)| scoped)),
        }
    }

    /// Whether it is to be said now that nothing more is being made.
    pub(super) fn are_prepared(&mut self, crates: &[Crate]) -> bool {
        self.collect(crates);
        self.ordered.is_empty() && std::mem::take(&mut self.owed)
    }

    /// It is to be said again, as the work is on another process.
    pub(super) fn say_again(&mut self) {
        self.owed = true;
    }

    /// Whether scopes are being made.
    pub(super) fn is_waiting(&self) -> bool {
        !self.ordered.is_empty()
    }

    /// The crate that all of these files are of, if it has its scope.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn of(&mut self, files: &BTreeSet<PathBuf>, crates: &[Crate]) -> Result<usize> {
        self.collect(crates);
        let mut owners = BTreeSet::new();
        let mut own_files = BTreeSet::new();
        for (number, krate) in crates.iter().enumerate() {
            let read: BTreeSet<PathBuf> = krate.inputs.files().map(|path| plain(path)).collect();
            let saved: Vec<&PathBuf> = files.iter().filter(|path| read.contains(*path)).collect();
            if !saved.is_empty() {
                owners.insert(number);
                own_files.extend(saved);
            }
        }
        // A file may be a module of two crates; one that no crate is compiled from, such as a test, is in nobody's way.
        let (Some(number), 1) = (owners.first().copied(), owners.len()) else {
            bail!("it is no edit of one crate");
        };
        let krate = &crates[number];
        self.saved.insert(number);
        let Some(scoped) = self.known.get(&number) else {
            if let Some((why, _)) = self.failed.get(&number) {
                bail!("crate `{}` has no scope: {why}", krate.unit.krate);
            }
            if krate.unit.args.optimised() {
                bail!("the crate is optimised");
            }
            bail!("the crate's scope is not made yet");
        };
        let source = &scoped.settled;
        let is_source = |path: &PathBuf| source.files.iter().any(|of| plain(&of.path) == *path);
        if !own_files.into_iter().all(is_source) {
            bail!("it is no edit of source files alone");
        }
        if scoped.seen != seen_by(number, crates) {
            bail!("the crate's scope is not made yet");
        }
        Ok(number)
    }

    pub(super) fn get(&self, number: usize) -> Option<&ScopedCrate> {
        self.known.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut ScopedCrate> {
        self.known.get_mut(&number)
    }

    /// What the fast lane brought runs no more.
    pub(super) fn take_back(&mut self) {
        for scoped in self.known.values_mut() {
            scoped.source.clone_from(&scoped.settled);
        }
    }

    /// All that was compiled runs: reads what changed of it, and has scopes made where there are none that are good.
    pub(super) fn settle(&mut self, crates: &[Crate]) {
        self.collect(crates);
        for (number, krate) in crates.iter().enumerate() {
            let is_wanted = crates.len() <= FEW || self.saved.contains(&number);
            if self.ordered.contains(&number) || !is_wanted {
                continue;
            }
            let compiled = krate.inputs.hashes();
            let failed = self.failed.get(&number);
            if failed.is_some_and(|(_, of)| *of == compiled) {
                continue;
            }
            self.failed.remove(&number);
            let Some(scoped) = self.known.remove(&number) else {
                self.order(number, crates, None);
                continue;
            };
            self.keep(number, scoped, compiled, crates);
        }
    }

    /// The workspace has other crates now.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.ordered.clear();
        self.saved.clear();
        self.failed.clear();
        self.list += 1;
    }
}

/// Of what a crate sees of the others: those that it is compiled with, and what these are compiled with.
fn seen_by(number: usize, crates: &[Crate]) -> Vec<Option<u128>> {
    let mut seen = BTreeSet::new();
    let mut todo = vec![number];
    while let Some(at) = todo.pop() {
        let used = used_by(&crates[at].unit, crates.iter().map(|of| &of.unit));
        todo.extend(used.into_iter().filter(|other| seen.insert(*other)));
    }
    let metadata = seen.into_iter().map(|other| crates[other].metadata);
    metadata.collect()
}

/// Makes what was ordered; nothing if the crate was saved after it was compiled.
fn make(order: Order, cancel: &CancelToken) -> Result<Option<ScopedCrate>> {
    let Order {
        unit,
        known,
        compiled,
        seen,
        ..
    } = order;
    if let Some(known) = known {
        let scope = scope_of(&known.unit, &known.settled, cancel)?;
        return Ok(Some(ScopedCrate {
            scope,
            seen,
            ..*known
        }));
    }
    let (unit, roots) = identity::of_scope(&unit, cancel)?;
    let output = tool(&unit, &rustc::print_cfg(&unit.args))
        .run_checked(cancel)
        .context("failed to ask rustc what `cfg` sees")?;
    let cfg = Cfg::parse(&output.stdout_text()).in_edition(unit.edition());
    let Some((source, _)) = read(&unit, &cfg, &compiled, None)? else {
        return Ok(None);
    };
    let scope = scope_of(&unit, &source, cancel)?;
    Ok(Some(ScopedCrate {
        unit,
        cfg,
        roots,
        scope,
        settled: source.clone(),
        source,
        compiled,
        seen,
    }))
}

fn scope_of(unit: &Unit, source: &CrateSource, cancel: &CancelToken) -> Result<PathBuf> {
    let made = |open: &BTreeSet<FnKey>| Wanted { unit, source, open }.make(cancel);
    // With its bodies a scope knows which instances of generic code the program has, so that a patch need not compile
    // them. Where everything is visible, a body may be refused.
    let all = source.functions().map(|(_, of)| of.key.clone()).collect();
    let none = BTreeSet::new();
    match unit.args.shares_instances() {
        true => made(&all).or_else(|_| made(&none)),
        false => made(&none),
    }
}

/// Reads the crate as it was compiled, and what its files hold; nothing if it was saved since.
fn read(
    unit: &Unit,
    cfg: &Cfg,
    compiled: &BTreeMap<PathBuf, u128>,
    old: Option<&CrateSource>,
) -> Result<Option<(CrateSource, BTreeMap<PathBuf, u128>)>> {
    let disk = Hashed::default();
    let source = source_of(unit, cfg, &disk, old)?;
    let hashes = disk
        .hashes
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let mut compiled = compiled.iter();
    let is_same = |(path, hash): (&PathBuf, &u128)| {
        let read = hashes.get(&plain(path));
        read.is_none_or(|read| read == hash)
    };
    Ok(compiled.all(is_same).then_some((source, hashes)))
}

/// Reads a crate as the fast lane has it.
pub(super) fn source_of(
    unit: &Unit,
    cfg: &Cfg,
    files: &dyn Files,
    old: Option<&CrateSource>,
) -> Result<CrateSource> {
    let mut source = CrateSource::read(&unit.krate, &unit.root, cfg, files, old)?;
    // The crate's own glob imports alone: it sees all others as they are.
    shadows::note(&mut source);
    Ok(source)
}

/// The file system, with the hashes of what was read.
#[derive(Default)]
struct Hashed {
    hashes: Mutex<BTreeMap<PathBuf, u128>>,
}

impl Files for Hashed {
    fn read(&self, path: &Path) -> io::Result<Arc<str>> {
        let bytes = std::fs::read(path)?;
        let mut hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        hashes.insert(plain(path), xxh3_128(&bytes));
        text::from_bytes(bytes)
    }

    fn fingerprint(&self, path: &Path) -> Option<u64> {
        std::fs::read(path).ok().map(|bytes| fingerprint(&bytes))
    }
}
