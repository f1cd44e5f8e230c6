//! What is known of one process of the program, as far as it is not the same for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::addresses::Addresses;
use super::deliver::PLACE_ALIGN;
use super::engine::{Begun, Engine, all_definitions};
use super::fast::Ahead;
use super::history::Meanings;
use super::live::Listening;
use super::objects::Objects;
use super::plan::{GoneStatics, PassedBy};
use super::stacks::CodeMap;
use crate::command::CancelToken;
use crate::image::layouts::Layouts;
use crate::image::symbols::{BaseImage, Kind as SymbolKind};
use crate::object::names::NameId;
use crate::plan::changes::Changes;
use crate::plan::worlds::OnStack;
use crate::run::client::Client;
use crate::session::outcome::Outcome;
use crate::session::worker::{Connect, Renewed};

/// A process, from its start on. The objects whose code runs in it are with the crates, see `Crate::running`.
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) bias: u64,
    /// Where patches lie.
    pub(super) folder: PathBuf,
    /// It waits before its `main`: nothing of the program has begun in it, and it will be told to go on.
    pub(super) is_fresh: bool,
    pub(super) addresses: Addresses,
    pub(super) code: CodeMap,
    /// Types that the source had once.
    pub(super) gone_types: Layouts,
    /// Statics and thread-locals that it had.
    pub(super) gone_statics: GoneStatics,
    /// It was started in the place of another one.
    pub(super) was_restarted: bool,
    /// Functions about type ids that it had.
    pub(super) gone_erasers: BTreeSet<NameId>,
    /// What bodies under way do not come to any more.
    pub(super) passed_by: PassedBy,
    /// Where the next library is linked for if it has to be near the program, whose addresses are fixed then.
    pub(super) next_place: Option<u64>,
    /// Whether the last one had to be.
    pub(super) was_near: bool,
    /// The source has definitions that the process has not, or the other way round, though no code that runs differs.
    pub(super) is_behind: bool,
    /// Calls of new bodies.
    pub(super) listening: Listening,
    /// What runs ahead of the exact lane.
    pub(super) ahead: Ahead,
    /// The addresses of the bodies that ran ahead of it until it had its word on the newest step: threads may be in them.
    pub(super) were_ahead: BTreeSet<u64>,
    /// What names meant in it before.
    pub(super) meanings: Meanings,
    /// Libraries loaded so far, also those that did not go live.
    pub(super) loaded: u32,
    /// How far the program and each of these lie from where they were linked for.
    pub(super) biases: BTreeMap<u32, u64>,
    pub(super) generation: u32,
}

impl Process {
    /// One that runs what the program was built of. Patches are to lie in `folder`.
    pub(super) fn new(addresses: Addresses, code: CodeMap, client: &Client, folder: &Path) -> Self {
        Self {
            pid: client.pid(),
            bias: client.bias(),
            folder: folder.to_owned(),
            is_fresh: false,
            next_place: first_place(addresses.image()),
            addresses,
            code,
            gone_types: Layouts::default(),
            gone_statics: GoneStatics::new(),
            was_restarted: false,
            gone_erasers: BTreeSet::new(),
            passed_by: PassedBy::new(),
            was_near: false,
            is_behind: false,
            listening: Listening::default(),
            ahead: Ahead::new(),
            were_ahead: BTreeSet::new(),
            meanings: Meanings::new(),
            loaded: 0,
            biases: BTreeMap::from([(0, client.bias())]),
            generation: 0,
        }
    }

    /// The functions that its threads are in.
    pub(super) fn on_stack(&mut self) -> OnStack {
        match self.is_fresh {
            true => OnStack::default(),
            false => self.code.look(self.pid),
        }
    }
}

/// The lowest address of a patch.
const FIRST_PLACE: u64 = 1 << 30;
/// Patches begin so far behind the program, which leaves room for its heap.
const GAP: u64 = 256 << 20;

fn first_place(image: &BaseImage) -> Option<u64> {
    (!image.relocatable).then(|| {
        let symbols = image.symbols.iter().map(|(_, symbol)| symbol);
        let addresses = symbols
            .filter(|of| of.kind != SymbolKind::Tls)
            .map(|of| of.address);
        let end = addresses.max().unwrap_or_default();
        (end + GAP).next_multiple_of(PLACE_ALIGN).max(FIRST_PLACE)
    })
}

/// What a process is to run that is started in the place of another one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Code<'a> {
    /// What is on disk, where these files were saved.
    OnDisk(&'a BTreeSet<PathBuf>),
    /// What ran before the newest step, in code of which a thread fell.
    BeforeFall,
}

/// A process that is not worked on, with the objects whose code runs in it.
pub(super) struct SetAside {
    process: Process,
    running: Vec<Objects>,
}

impl Engine {
    /// Compiles what is on disk, or takes what ran before a fall, and brings it into a process that waits before its `main`. The
    /// work goes on with the one that it was on before.
    ///
    /// # Errors
    /// The process cannot be reached, or a tool failed.
    pub(super) fn renew(
        &mut self,
        connect: &Connect,
        folder: &Path,
        code: Code<'_>,
        cancel: &CancelToken,
    ) -> Result<(Renewed, Option<(Client, SetAside)>)> {
        let image = self.process.addresses.image();
        let mut client = connect(Some(&image.build_id))?;
        if self.guard.is_on {
            // Where that cannot be had, it was told of the first process.
            let _ = client.guard(image.raise);
        }
        let files = match code {
            Code::OnDisk(files) => files,
            Code::BeforeFall => {
                let Some(objects) = self.objects_before_fall() else {
                    let why = "what ran before is not known any more".to_owned();
                    return Ok((Renewed::NeedsBuild(why), None));
                };
                let on_disk = self.swap_latest(objects);
                let renewed = self.bring_into(client, folder, false, cancel);
                self.swap_latest(on_disk);
                return renewed;
            }
        };
        let build = match self.begin(files, cancel) {
            Begun::Compiling(build) => build,
            Begun::Refused(refusal) => return Ok((Renewed::NeedsBuild(refusal.message), None)),
        };
        if let Some(Outcome::Broken(found)) = self.take_compiled(build)? {
            return Ok((Renewed::Broken(found), None));
        }
        let differs = self.differs_from_ahead();
        self.bring_into(client, folder, differs, cancel)
    }

    /// Brings what was compiled last into a process that waits before its `main`.
    fn bring_into(
        &mut self,
        mut client: Client,
        folder: &Path,
        differs: bool,
        cancel: &CancelToken,
    ) -> Result<(Renewed, Option<(Client, SetAside)>)> {
        let before = self.begin_anew(&client, folder);
        let brought = self.bring_all(&mut client, cancel);
        let process = self.turn_to(before);
        Ok(match brought? {
            Outcome::Refused(refusal) => (Renewed::NeedsBuild(refusal.message), None),
            Outcome::Broken(found) => (Renewed::Broken(found), None),
            Outcome::Patched(_) | Outcome::Unchanged => {
                (Renewed::Ready { differs }, Some((client, process)))
            }
        })
    }

    /// Whether rustc's own code differs from what runs in other functions than those that the fast lane brought.
    pub(super) fn differs_from_ahead(&self) -> bool {
        let ahead: BTreeSet<NameId> = self.process.ahead.keys().copied().collect();
        if ahead.is_empty() {
            return false;
        }
        let old = all_definitions(self.crates.iter().map(|krate| &krate.running));
        let new = all_definitions(self.crates.iter().map(|krate| &krate.latest));
        let mut changes = Changes::between(&old, &new, |_| true);
        changes.changed.retain(|name| !ahead.contains(name));
        // What it brought and the source has no more is called by nobody.
        let taken_back = ahead.iter().filter(|name| old.contains_key(*name));
        let taken_back = taken_back.filter(|name| match (old.get(*name), new.get(*name)) {
            (Some(old), Some(new)) => old.exact == new.exact,
            _ => false,
        });
        !changes.is_nothing() || taken_back.count() > 0
    }

    /// From now on the work is on another process of the same program, which waits before its `main`. Gives back the one that
    /// it was on.
    pub(super) fn begin_anew(&mut self, client: &Client, folder: &Path) -> SetAside {
        let addresses = self.process.addresses.afresh(client.bias());
        let krate = self
            .crates
            .last()
            .map(|program| program.unit.krate.as_str());
        let code = CodeMap::new(addresses.image(), client.bias(), krate.unwrap_or_default());
        let process = Process {
            is_fresh: true,
            was_restarted: true,
            ..Process::new(addresses, code, client, folder)
        };
        let crates = self.crates.iter_mut();
        let running = crates.map(|krate| std::mem::replace(&mut krate.running, krate.base.clone()));
        SetAside {
            running: running.collect(),
            process: std::mem::replace(&mut self.process, process),
        }
    }

    /// From now on the work is on a process that was set aside, and no crate has come or gone since. Gives back the one that it
    /// was on.
    pub(super) fn turn_to(&mut self, other: SetAside) -> SetAside {
        let crates = self.crates.iter_mut().zip(other.running);
        let running = crates.map(|(krate, running)| std::mem::replace(&mut krate.running, running));
        SetAside {
            running: running.collect(),
            process: std::mem::replace(&mut self.process, other.process),
        }
    }
}
