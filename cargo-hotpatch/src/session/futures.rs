//! Futures of hot `async` functions: how many are on their way when a patch comes, and what newer bodies may be.

use std::collections::BTreeSet;

use anyhow::Result;
use hotpatch_rt::wire::{Store, Target};

use super::broken::function_at;
use super::compose::Part;
use super::make::{Maker, Outcome, refuse};
use super::world::State;
use crate::build::diagnostics::Diagnostic;
use crate::image::graph::CallGraph;
use crate::patch::compile::Rejected;
use crate::plan::codes::Code;
use crate::plan::index::{Index, SLOT, Vertex};
use crate::plan::verdict::Note;
use crate::source::items::CrateSource;

/// What rustc names when a bound of `hotpatch_rt`'s function does not hold.
const UNSENT: &str = "Running::<R>::sent";

impl Maker<'_> {
    /// A note for each `async` function of these slots of which futures have begun and not ended.
    pub(super) fn begun(
        &mut self,
        sources: &[CrateSource],
        index: &Index,
        graph: &CallGraph,
        stores: &[Store],
    ) -> Result<Vec<Note>> {
        let slots = &self.world.slots;
        let mut found: Vec<(Vertex, u64)> = Vec::new();
        for known in index.functions().iter().filter(|known| known.hot) {
            let mut slot = known
                .nodes
                .iter()
                .filter_map(|node| slots.of(graph.name(*node)));
            if let Some(slot) = slot.next().filter(|slot| slots.counts_futures(*slot))
                && stores.iter().any(|store| store.slot == slot)
                && let Some(vertex) = known
                    .keys
                    .first()
                    .and_then(|key| index.find(known.krate, key))
            {
                found.push((vertex, slot));
            }
        }
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let running = self
            .client
            .count(found.iter().map(|(_, slot)| *slot).collect())?;
        let counted = found
            .into_iter()
            .zip(running)
            .filter(|(_, running)| *running > 0);
        let notes = counted.filter_map(|((vertex, _), running)| {
            let refusal = refuse(sources, index, vertex, Code::HP0205, |path| {
                let (futures, finish, their) = match running {
                    1 => ("future", "finishes", "its"),
                    _ => ("futures", "finish", "their"),
                };
                format!(
                    "{running} {futures} of `{path}` already begun {finish} in {their} own code"
                )
            })?;
            Some(Note {
                code: refusal.code,
                message: refusal.message,
                file: refusal.file,
                line: refusal.place.line,
            })
        });
        Ok(notes.collect())
    }

    /// Hot `async` functions of which rustc gave the patch a copy that looks into their slot, as it does in optimised code,
    /// and whose slot is empty: the copy would then run the scope's body, which need not be the program's.
    pub(super) fn with_empty_slot(
        &self,
        index: &Index,
        include: &BTreeSet<Vertex>,
        part: &Part,
    ) -> BTreeSet<Vertex> {
        let object = &part.compiled.object;
        let used = object.undefined.iter().map(|symbol| &symbol.name);
        let slots = used.filter(|symbol| symbol.contains(SLOT));
        let found = slots.filter_map(|symbol| {
            let text = rustc_demangle::demangle(symbol).to_string();
            let function = text.strip_suffix(SLOT)?.strip_suffix("::{closure#0}::")?;
            let slot = self.world.slots.of_text(function)?;
            let target = self.world.state().slots.get(&slot);
            let is_empty = target.is_none_or(|target| *target == Target::Base);
            let vertex = index.around(symbol).filter(|_| is_empty)?;
            index.known(vertex).filter(|known| known.future)?;
            (!include.contains(&vertex)).then_some(vertex)
        });
        found.collect()
    }

    /// Going back to this state would empty the slot of a hot `async` function in optimised code: what a patch still runs may
    /// have a copy of it, see [`Self::with_empty_slot`].
    pub(super) fn empties_a_future(&self, then: &State) -> bool {
        let mut crates = self.world.crates.iter();
        let leads = |state: &State, slot| {
            let target = state.slots.get(slot);
            target.is_some_and(|target| *target != Target::Base)
        };
        let now = self.world.state();
        let mut slots = now.slots.keys();
        crates.any(|krate| krate.unit.args.optimised())
            && slots.any(|slot| {
                self.world.slots.counts_futures(*slot) && leads(now, slot) && !leads(then, slot)
            })
    }

    /// What is wrong with a newer body whose future cannot be sent to another thread, if that is what rustc said.
    pub(super) fn unsent(
        &self,
        error: &anyhow::Error,
        sources: &[CrateSource],
        index: &Index,
    ) -> Result<Option<Outcome>> {
        let Some(found) = unsent(error) else {
            return Ok(None);
        };
        // Whoever sends it may not have changed.
        let broken = self.check_crates(|_| true)?;
        if !broken.is_empty() {
            return Ok(Some(Outcome::Broken(broken)));
        }
        let mut places = found.places.iter();
        let vertex = places.find_map(|(file, line)| {
            let (path, line) = self.user_file(sources, file, *line)?;
            let mut crates = sources.iter().enumerate();
            crates.find_map(|(krate, source)| index.find(krate, &function_at(source, &path, line)?))
        });
        let refusal = vertex.and_then(|vertex| {
            refuse(sources, index, vertex, Code::HP0301, |path| {
                format!("the future of `{path}` cannot be sent to another thread")
            })
        });
        let why = "code that stays may send it there; `#[hot(?Send)]` promises that none does";
        Ok(refusal.map(|refusal| Outcome::Refused(refusal.because(why))))
    }
}

/// rustc refused a patch because a newer body holds what must not be sent to another thread.
fn unsent(error: &anyhow::Error) -> Option<&Diagnostic> {
    let mut causes = error.chain();
    let Rejected(found) = causes.find_map(|error| error.downcast_ref::<Rejected>())?;
    let mut errors = found.iter().filter(|found| found.error);
    errors.find(|found| found.rendered.contains(UNSENT))
}
