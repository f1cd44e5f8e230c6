//! What ran before, so that it can run again: of each step the objects, and what names meant in the process.
//!
//! A step is what one save led to. To go to one is planned as a patch is, from its objects: the same rules hold. Where the
//! process has had that step, all its code is there still, and slots are led to the bodies that they led to then; else it is
//! linked into a library as an edit is. An edit that comes to the objects of a step goes the same way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::{Context, Result};
use hotpatch_rt::wire::Redirect;

use super::addresses::{Addresses, Bindings};
use super::engine::{Engine, all_definitions};
use super::manifest::is_same;
use super::objects::{Objects, hashes};
use super::plan::{Plan, Planned};
use crate::build::capture::Unit;
use crate::command::CancelToken;
use crate::object::fingerprint::{Definition, Kind};
use crate::object::names::NameId;
use crate::plan::verdict::Refusal;
use crate::run::client::{Client, Publish};
use crate::session::outcome::{Outcome, Patched, Times};

/// So many steps can be gone back: each holds the objects in which it differs on disk.
const KEPT: usize = 20;

/// What ran after a save.
struct Step {
    /// Tells steps apart.
    number: u32,
    /// By crate, as manifests may bring others. Of a crate that is not among them nothing ran.
    objects: Vec<(Unit, Objects)>,
    /// Of the sources that it was compiled from; none if that is not known.
    revision: Option<String>,
}

/// The steps of a session, the oldest first.
#[derive(Default)]
pub(super) struct History {
    steps: Vec<Step>,
    /// The one that runs.
    at: usize,
    last: u32,
}

/// What names meant in a process at each step that it has had, by the step's number.
pub(super) type Meanings = BTreeMap<u32, Bindings>;

/// Where to go in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To what ran before.
    Back,
    /// To what ran before the last step back.
    Forth,
}

impl Direction {
    /// The command's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Back => "undo",
            Self::Forth => "redo",
        }
    }
}

/// What became of a step back or forth.
#[derive(Debug)]
pub enum Stepped {
    /// Other code runs.
    Done {
        /// The patch; nothing if no code that runs differs.
        patched: Box<Patched>,
        /// A hash of the sources of which it is, if that is known.
        revision: Option<String>,
        /// It is what is on disk.
        is_on_disk: bool,
    },
    /// It was undone before it was compiled: that is done now, and its verdict follows.
    Compiles,
    /// It cannot be, and why: the process was not touched.
    Refused(Box<Refusal>),
    /// There is no such step, in words.
    Nothing(String),
}

impl History {
    fn next(&self, direction: Direction) -> Option<usize> {
        let next = match direction {
            Direction::Back => self.at.checked_sub(1)?,
            Direction::Forth => self.at + 1,
        };
        (next < self.steps.len()).then_some(next)
    }

    /// The hash of the sources that run, if that is known.
    pub(super) fn revision(&self) -> Option<String> {
        self.steps.get(self.at)?.revision.clone()
    }

    /// The step that runs, by its number.
    pub(super) fn number(&self) -> Option<u32> {
        self.steps.get(self.at).map(|step| step.number)
    }

    /// The one before, if there is one.
    pub(super) fn number_before(&self) -> Option<u32> {
        let before = self.next(Direction::Back)?;
        Some(self.steps[before].number)
    }

    /// The objects of the step before the one that runs, and of that one.
    pub(super) fn last_two(
        &self,
    ) -> Option<(
        impl Iterator<Item = &Objects> + Clone,
        impl Iterator<Item = &Objects> + Clone,
    )> {
        let objects = |at: usize| self.steps[at].objects.iter().map(|(_, objects)| objects);
        let before = self.next(Direction::Back)?;
        Some((objects(before), objects(self.at)))
    }
}

impl Step {
    fn of(&self, unit: &Unit) -> Option<&Objects> {
        let mut objects = self.objects.iter();
        let found = objects.find(|(of, _)| is_same(of, unit));
        found.map(|(_, objects)| objects)
    }

    /// Whether it has the objects that these crates have.
    fn has<'a>(&self, mut crates: impl Iterator<Item = (&'a Unit, &'a Objects)>) -> bool {
        let none = Objects::new();
        crates.all(|(unit, objects)| {
            let own = self.of(unit).unwrap_or(&none);
            hashes(objects.iter()) == hashes(own.iter())
        })
    }
}

impl Engine {
    /// What runs now is a step, and what was undone before cannot be had again.
    pub(super) fn remember(&mut self, revision: Option<String>) {
        let crates = self.crates.iter();
        let objects = crates.map(|of| (of.unit.clone(), of.running.clone()));
        let history = &mut self.history;
        history.last += 1;
        let step = Step {
            number: history.last,
            objects: objects.collect(),
            revision,
        };
        let kept = (history.at + 1).min(history.steps.len());
        let undone = history.steps.drain(kept..).map(|step| step.number);
        let mut forgotten: Vec<u32> = undone.collect();
        history.steps.push(step);
        let excess = history.steps.len().saturating_sub(KEPT + 1);
        forgotten.extend(history.steps.drain(..excess).map(|step| step.number));
        history.at = history.steps.len() - 1;
        for number in forgotten {
            self.process.meanings.remove(&number);
        }
        self.remember_meanings();
    }

    fn remember_meanings(&mut self) {
        if let Some(step) = self.history.steps.get(self.history.at) {
            let bindings = self.process.addresses.bindings();
            self.process.meanings.insert(step.number, bindings);
        }
    }

    /// The step that runs is also what these sources say.
    pub(super) fn remember_unchanged(&mut self, revision: String) {
        let at = self.history.at;
        if let Some(step) = self.history.steps.get_mut(at) {
            step.revision = Some(revision);
        }
    }

    /// What is to run in the place of what fell.
    pub(super) fn objects_before_fall(&self) -> Option<Vec<Objects>> {
        let number = self.guard.restores?;
        let mut steps = self.history.steps.iter();
        let step = steps.find(|step| step.number == number)?;
        let crates = self.crates.iter();
        Some(
            crates
                .map(|of| step.of(&of.unit).cloned().unwrap_or_default())
                .collect(),
        )
    }

    /// A process was turned to that runs what was compiled last, or another step: that is the one that runs. Gives back the hash
    /// of its sources, if that is known.
    pub(super) fn remember_anew(&mut self, on_disk: String) -> Option<String> {
        let is_running = |step: &Step| {
            let crates = self.crates.iter();
            step.has(crates.map(|of| (&of.unit, &of.running)))
        };
        let mut crates = self.crates.iter();
        let runs_latest = crates.all(|of| hashes(of.running.iter()) == hashes(of.latest.iter()));
        self.process.is_behind |= !runs_latest;
        let found = self.history.steps.iter().rposition(is_running);
        let Some(at) = found else {
            self.remember(Some(on_disk.clone()));
            return Some(on_disk);
        };
        self.history.at = at;
        self.remember_meanings();
        match runs_latest {
            true => Some(on_disk),
            false => self.history.revision(),
        }
    }

    /// Whether there is such a step.
    pub(super) fn has_step(&self, direction: Direction) -> bool {
        self.history.next(direction).is_some()
    }

    /// Goes back to what ran before the fast lane brought what the exact one has not confirmed.
    ///
    /// # Errors
    /// The agent is gone.
    pub(super) fn step_back_from_ahead(&mut self, client: &mut Client) -> Result<Stepped> {
        let names: Vec<NameId> = self.process.ahead.keys().copied().collect();
        let (functions, included) = self.shown(names.iter());
        self.take_back(client)?;
        self.process.generation += 1;
        self.announce(&functions, client);
        let step = self.history.steps.get(self.history.at);
        Ok(Stepped::Done {
            patched: Box::new(Patched {
                generation: self.process.generation,
                functions,
                included,
                ..Patched::default()
            }),
            revision: step.and_then(|step| step.revision.clone()),
            is_on_disk: false,
        })
    }

    /// Goes to what ran before, or to what ran before that. Nothing may run ahead of the exact lane.
    ///
    /// # Errors
    /// A tool failed, or the agent is gone.
    pub(super) fn step(
        &mut self,
        direction: Direction,
        at: Publish,
        client: &mut Client,
        cancel: &CancelToken,
    ) -> Result<Stepped> {
        let Some(next) = self.history.next(direction) else {
            return Ok(Stepped::Nothing(match direction {
                Direction::Back => "nothing was patched that could be undone".to_owned(),
                Direction::Forth => "nothing was undone that could be had again".to_owned(),
            }));
        };
        let step = &self.history.steps[next];
        let revision = step.revision.clone();
        let crates = self.crates.iter();
        let is_on_disk = step.has(crates.map(|of| (&of.unit, &of.latest)));
        let crates = self.crates.iter();
        let objects = crates.map(|of| step.of(&of.unit).cloned().unwrap_or_default());
        let on_disk = self.swap_latest(objects.collect());
        let outcome = self.go_to_latest(at, client, cancel);
        self.swap_latest(on_disk);
        let patched = match outcome? {
            Outcome::Refused(refusal) => return Ok(Stepped::Refused(Box::new(refusal))),
            Outcome::Patched(patched) => {
                self.process.is_behind = false;
                patched
            }
            Outcome::Unchanged | Outcome::Broken(_) => Patched::default(),
        };
        self.history.at = next;
        self.process.were_ahead.clear();
        self.remember_meanings();
        if let (Direction::Forth, Some(revision)) = (direction, &revision) {
            self.guard.allow(revision);
        }
        // The fast lane begins with what is on disk.
        self.process.is_behind |= !is_on_disk;
        self.process.generation += 1;
        self.announce(&patched.functions, client);
        Ok(Stepped::Done {
            patched: Box::new(Patched {
                generation: self.process.generation,
                ..patched
            }),
            revision,
            is_on_disk,
        })
    }

    /// Has other objects count as those that were compiled last, and gives back those that did.
    pub(super) fn swap_latest(&mut self, objects: Vec<Objects>) -> Vec<Objects> {
        let crates = self.crates.iter_mut().zip(objects);
        crates
            .map(|(krate, objects)| std::mem::replace(&mut krate.latest, objects))
            .collect()
    }

    fn go_to_latest(
        &mut self,
        at: Publish,
        client: &mut Client,
        cancel: &CancelToken,
    ) -> Result<Outcome> {
        let begun = Instant::now();
        match self.plan(cancel)? {
            Planned::Nothing => {
                self.settle_unchanged()?;
                Ok(Outcome::Unchanged)
            }
            Planned::Refused(refusal) => Ok(Outcome::Refused(refusal)),
            Planned::Patch(plan) => {
                let times = Times {
                    check: begun.elapsed(),
                    ..Times::default()
                };
                self.carry_out(*plan, at, times, client, cancel)
            }
        }
    }

    /// What was compiled last as the process has had it, if it has: where all lies, and what slots have to be led to for it.
    pub(super) fn as_before(&self, plan: &Plan) -> Option<(Addresses, Vec<Redirect>)> {
        let crates = || self.crates.iter().map(|of| (&of.unit, &of.latest));
        let mut steps = self.history.steps.iter();
        let step = steps.rfind(|step| step.has(crates()))?;
        let once = self.process.meanings.get(&step.number)?;
        let (changes, names) = (&plan.changes, &self.names);
        let now = &self.process.addresses;
        let is_kept = |name: &NameId| plan.gone_statics.contains_key(name);
        let goes = |name| {
            changes.gone.contains(&name) && !is_kept(&name)
                || now.is_renamed(name)
                || self.process.ahead.get(&name).is_some_and(Option::is_none)
        };
        let then = now.as_once(once, goes, names);
        let defined = all_definitions(self.crates.iter().map(|krate| &krate.latest));
        // State is where it was, or it begins anew, which is for a library to bring.
        let is_state = |of: &&Definition| {
            let is_made_anew = changes.constants.contains(&of.name);
            matches!(of.kind, Kind::Mutable | Kind::ThreadLocal) && !is_made_anew
        };
        let is_in_place = |of: &Definition| {
            let address = |of: &Addresses, name| of.find(name, names).map(|found| found.address);
            address(&then, of.name) == address(now, of.name)
                && then.thread_local(of.name, names) == now.thread_local(of.name, names)
        };
        let mut state = defined.values().copied().filter(is_state);
        if !plan.forgotten.is_empty() || !state.all(is_in_place) {
            return None;
        }
        let names_of_both: BTreeSet<NameId> = then.differing(now).collect();
        let redirects = names_of_both.into_iter().filter_map(|name| {
            let cell = then.find(name, names)?.slot?;
            let function = then.body(name, names)?;
            let was = now.find(name, names).and_then(|found| found.slot);
            let is_there = was == Some(cell) && now.body(name, names) == Some(function);
            (!is_there).then_some(Redirect { cell, function })
        });
        let redirects = redirects.collect();
        Some((then, redirects))
    }

    /// Leads slots to bodies that they led to before; from now on all lies where it lay then.
    pub(super) fn lead_as_before(
        &mut self,
        then: Addresses,
        redirects: Vec<Redirect>,
        at: Publish,
        client: &mut Client,
    ) -> Result<()> {
        client
            .redirect(redirects, at)
            .context("failed to lead slots to what they led to before")?;
        // Nothing notes calls of these.
        self.listen_for(Vec::new());
        self.process.ahead.clear();
        self.process.addresses = then;
        Ok(())
    }
}
