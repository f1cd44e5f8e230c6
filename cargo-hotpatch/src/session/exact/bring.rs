//! From a plan to code that runs, at the moment at which the program lets it.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::Result;

use super::engine::Engine;
use super::plan::{Plan, still_under_way};
use crate::command::CancelToken;
use crate::plan::codes::Code;
use crate::plan::verdict::Refusal;
use crate::plan::worlds::is_eraser;
use crate::run::client::{Client, ClientError, Publish};
use crate::session::outcome::{Lane, Outcome, Patched, Times};
use crate::source::file::Place;

impl Engine {
    /// Brings what a plan says into the process, there or, where that would not be safe, at once.
    pub(super) fn carry_out(
        &mut self,
        plan: Plan,
        at: Publish,
        times: Times,
        client: &mut Client,
        cancel: &CancelToken,
    ) -> Result<Outcome> {
        let carried_out = self.bring(plan, at, times, client, cancel);
        match carried_out {
            Err(error) if is_no_checkpoint(&error) => Ok(Outcome::Refused(self.no_checkpoint())),
            Err(error) => Err(error),
            Ok(patched) => Ok(Outcome::Patched(patched)),
        }
    }

    /// Tells the program, if it wants to hear, that these functions have other code.
    pub(super) fn announce(&self, functions: &[String], client: &mut Client) {
        if !self.process.is_fresh {
            let generation = self.process.generation;
            client.patched(generation, functions, self.process.was_restarted);
        }
    }

    /// The refusal of what had to wait for too long.
    fn no_checkpoint(&self) -> Refusal {
        let program = self.crates.last().map(|krate| krate.unit.root.clone());
        let message = "the program did not come to a checkpoint within five seconds".to_owned();
        let whole = Place { line: 0, column: 0 };
        Refusal::new(Code::HP0207, message, program.unwrap_or_default(), whole)
    }

    fn bring(
        &mut self,
        plan: Plan,
        at: Publish,
        mut times: Times,
        client: &mut Client,
        cancel: &CancelToken,
    ) -> Result<Patched> {
        let at_hand = Instant::now();
        let as_before = self.as_before(&plan);
        // Where types differ, it was looked where values of them are alive: they must not become more while the program is
        // on its way to a checkpoint.
        let at = match plan.twice.is_empty() {
            true => at,
            false => Publish::AtOnce,
        };
        let changes = &plan.changes;
        // Where nothing has begun, statics begin with what the source says.
        let statics = changes.constants.iter().filter(|_| self.process.is_fresh);
        let (functions, included) = self.shown(changes.changed.iter().chain(statics));
        let mut patched = Patched {
            functions,
            included,
            notes: plan.notes,
            lane: Some(Lane::Exact),
            ..Patched::default()
        };
        let made = match as_before {
            Some(_) => None,
            None => self.make(changes, &plan.twice, client, cancel)?,
        };
        times.link = at_hand.elapsed();
        let begun = Instant::now();
        if let Some((then, redirects)) = as_before {
            self.lead_as_before(then, redirects, at, client)?;
        } else {
            let mut brought = BTreeSet::new();
            let redirected = made.as_ref().map(|(selection, _)| &selection.redirected);
            let is_replaced = |name| redirected.is_some_and(|all| all.contains(&name));
            self.lead_back(|name| !is_replaced(name), client)?;
            if let Some((selection, loaded)) = made {
                patched.bytes = loaded.library.bytes;
                if self.process.ahead.is_empty() {
                    self.stop_listening();
                }
                // Of what runs ahead these are the compiler's own bodies, which do the same.
                let ahead = &self.process.ahead;
                let at = match selection.redirected.iter().all(|of| ahead.contains_key(of)) {
                    true => Publish::AtOnce,
                    false => at,
                };
                self.apply(&selection, &loaded, at, client)?;
                brought.extend(selection.slotted);
                brought.extend(selection.brought);
            }
            self.process.addresses.settle_names(&self.names);
            // What exists twice and is not in the patch is older code: whoever needs it next brings it.
            let renewed = plan.twice.iter().chain(&plan.changes.constants);
            let left_out = renewed.filter(|name| !brought.contains(*name));
            let gone = plan.changes.gone.iter();
            let gone = gone.filter(|name| !plan.gone_statics.contains_key(name));
            for name in gone.chain(left_out).chain(&plan.forgotten) {
                self.process.addresses.forget(*name);
                self.process.gone_statics.remove(name);
            }
        }
        self.process.gone_statics.extend(plan.gone_statics);
        let gone = plan.changes.gone.iter();
        let hides_ids = self.hides_ids();
        let erasers = gone.filter(|name| {
            let symbol = self.names.text(**name);
            is_eraser(symbol) || hides_ids && self.askers.know_a_crate_of(symbol)
        });
        self.process.gone_erasers.extend(erasers);
        self.process.passed_by = plan.passed_by;
        self.settle_types(plan.gone, &plan.known);
        times.load = begun.elapsed();
        patched.times = times;
        patched.live = Some(Instant::now());
        if !plan.under_way.is_empty() {
            let now = self.process.on_stack();
            let others = std::mem::take(&mut patched.notes);
            patched.notes = still_under_way(plan.under_way, &now);
            patched.notes.extend(others);
        }
        Ok(patched)
    }
}

/// Whether the program did not let a patch go live.
pub(super) fn is_no_checkpoint(error: &anyhow::Error) -> bool {
    let client = error.downcast_ref::<ClientError>();
    matches!(client, Some(ClientError::NoCheckpoint))
}
