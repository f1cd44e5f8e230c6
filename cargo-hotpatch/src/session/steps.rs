//! Back to what ran before a save, and forth again: `u` and `U`, `cargo hotpatch undo` and `redo`.

use std::collections::VecDeque;
use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::Result;

use super::Session;
use super::exact::{Direction, Stepped};
use super::shown::{coded_note, phases, shown_note, shown_refusal};
use crate::control::Reply;
use crate::ui::events::{Event, Undone};
use crate::ui::report;

/// Who waits for steps, in their order; nobody for those of keys.
pub(super) type Steps = VecDeque<Option<Sender<Reply>>>;

/// What a step comes from.
pub(super) enum By {
    /// Somebody asked, and may wait for the answer.
    Request(Option<Sender<Reply>>),
    /// A thread fell in what runs.
    Guard,
}

impl Session<'_> {
    /// Has the program go to what ran before, or forth again, and answers `reply` once it is there.
    pub(super) fn step(&mut self, direction: Direction, reply: Option<Sender<Reply>>) {
        let why = match &self.program {
            None => "the program does not run",
            Some(program) if program.waits => "the program does not run",
            Some(program) if program.lost.is_some() => "this run cannot be patched",
            Some(program) => {
                program.worker.step(direction, self.ledger.is_unconfirmed());
                self.steps.push_back(reply);
                return;
            }
        };
        self.not_stepped(direction, why, reply);
    }

    fn not_stepped(&self, direction: Direction, why: &str, reply: Option<Sender<Reply>>) {
        match reply {
            Some(reply) => {
                // Who asked may be gone.
                let _ = reply.send(Reply::Failed {
                    message: why.to_owned(),
                });
            }
            None => self.report.not_stepped(direction.name(), why),
        }
    }

    /// Nothing becomes of steps that were asked for: the program has ended.
    pub(super) fn cannot_step(&mut self) {
        for reply in std::mem::take(&mut self.steps).into_iter().flatten() {
            self.not_stepped(Direction::Back, "the program has ended", Some(reply));
        }
    }

    /// The worker has taken a step, or not.
    pub(super) fn stepped(
        &mut self,
        direction: Direction,
        stepped: Result<Stepped>,
        took: Duration,
    ) {
        let by = By::Request(self.steps.pop_front().flatten());
        self.say_step(direction, stepped, took, by);
    }

    /// Says what became of a step.
    pub(super) fn say_step(
        &mut self,
        direction: Direction,
        stepped: Result<Stepped>,
        took: Duration,
        by: By,
    ) {
        let guarded = matches!(by, By::Guard);
        let reply = match by {
            By::Request(reply) => reply,
            By::Guard => None,
        };
        let done = match stepped {
            Ok(Stepped::Done {
                patched,
                revision,
                is_on_disk,
            }) => {
                let notes: Vec<report::Note> = patched.notes.iter().map(shown_note).collect();
                let undone = Undone {
                    generation: patched.generation,
                    redo: direction == Direction::Forth,
                    guarded,
                    on_disk: is_on_disk,
                    notes: patched.notes.iter().map(coded_note).collect(),
                    ms: phases(&patched, Duration::ZERO, took),
                    bytes: patched.bytes,
                    functions: patched.functions,
                    running: revision,
                };
                self.report.undone(&undone, &notes);
                let message = report::words_of_step(&undone);
                self.write_at(Event::Undone(undone), None);
                Ok(message)
            }
            Ok(Stepped::Compiles) => {
                self.ledger.saved();
                Ok("what was undone is compiled, and has a verdict then".to_owned())
            }
            Ok(Stepped::Refused(refusal)) => {
                if reply.is_none() {
                    self.report
                        .refused(&shown_refusal(&refusal), report::Next::Stay);
                }
                Err(format!("{}: {}", refusal.code, refusal.message))
            }
            Ok(Stepped::Nothing(why)) => Err(why),
            Err(error) => Err(format!("{error:#}")),
        };
        match (done, reply) {
            // Who asked may be gone.
            (Ok(message), Some(reply)) => drop(reply.send(Reply::Done { message })),
            (Ok(_), None) => {}
            (Err(why), reply) => self.not_stepped(direction, &why, reply),
        }
    }
}
