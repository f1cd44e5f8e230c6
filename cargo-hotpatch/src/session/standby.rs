//! Programs that end: the next process waits before its `main`, gets what is saved meanwhile, and goes there with the save
//! that brings it something new, or when somebody asks for it.

use std::sync::Arc;

use anyhow::Result;

use super::outcome::Outcome;
use super::program::Running;
use super::restart::With;
use super::worker::{Gets, Renewed, Verdict};
use super::{Message, Next, Program, Session};
use crate::control::State;
use crate::ui::events::{Event, Ready, Restarted};

/// A process that is being made ready.
pub(super) struct StandBy {
    running: Arc<Running>,
    number: u64,
    gets: Gets,
}

impl Session<'_> {
    /// Has the next process made ready, while nothing else is done. One that gets what ran before a fall goes at once.
    pub(super) fn stand_by(&mut self, gets: Gets) {
        self.standing_by = None;
        let Some((worker, base)) = &self.resting else {
            return;
        };
        if self.project.config.runner.is_some() {
            return;
        }
        // Without it the next save starts the program as a restart does.
        let Ok(running) = self.launch(base, true) else {
            return;
        };
        self.runs_made_ready += 1;
        let number = self.runs_made_ready;
        let (messages, with) = (self.messages.clone(), running.clone());
        let connect = Box::new(move |image: Option<&[u8]>| with.connect(image));
        worker.renew_later(gets, connect, running.rendezvous.folder(), move |renewed| {
            let _ = messages.send(Message::StoodBy(number, renewed));
        });
        self.standing_by = Some(StandBy {
            running,
            number,
            gets,
        });
    }

    /// It is ready, or cannot be.
    pub(super) fn stood_by(&mut self, number: u64, renewed: Result<Renewed>) -> Result<Next> {
        let Some(StandBy { running, gets, .. }) =
            self.standing_by.take_if(|of| of.number == number)
        else {
            return Ok(Next::GoOn);
        };
        let restores = gets == Gets::BeforeFall;
        if restores {
            self.not_restored(&renewed);
        }
        // Whatever else is wrong is told when the next save or key has the program started.
        if let Ok(Renewed::Ready { differs }) = renewed
            && let Some((worker, base)) = self.resting.take()
        {
            self.waits_for = None;
            worker.turn(true);
            self.program = Some(Program {
                worker,
                running,
                base,
                lost: None,
                waits: true,
            });
            self.ledger.state(State::Waiting);
            if restores {
                return self.go_again();
            }
            if differs {
                self.report.runs_again();
                return self.go_again();
            }
        }
        Ok(Next::GoOn)
    }

    /// Whether the program is one that waits before its `main`.
    pub(super) fn is_waiting(&self) -> bool {
        self.program.as_ref().is_some_and(|program| program.waits)
    }

    /// It can be patched: what there is to say of that is said when it goes.
    pub(super) fn waits_ready(&mut self, ready: Ready, revision: Option<String>) {
        self.waits_for = Some((ready, revision));
    }

    /// A save has its verdict while the program waits. Gives it back if it is to be told.
    pub(super) fn verdict_while_waiting(&mut self, verdict: Verdict) -> Result<Option<Verdict>> {
        match &verdict.outcome {
            Ok(Outcome::Patched(_)) => {
                self.announce();
                Ok(Some(verdict))
            }
            Ok(Outcome::Unchanged | Outcome::Broken(_)) => Ok(Some(verdict)),
            // It has to be linked anew, or could not be patched: nothing of it has begun, so nobody is asked.
            Ok(Outcome::Refused(_)) | Err(_) => {
                self.restart(With::AllThatIsKept)?;
                Ok(None)
            }
        }
    }

    /// Says what there is to say of a process that begins.
    fn announce(&mut self) {
        let Some(program) = &self.program else {
            return;
        };
        let pid = program.running.child.pid();
        self.ledger.started(pid);
        let restarted = Restarted {
            pid,
            kept: self.kept.names().to_vec(),
        };
        self.write(Event::Restarted(restarted));
        if let Some((ready, revision)) = self.waits_for.take() {
            self.ledger.built_of(revision);
            self.write(Event::Ready(ready));
            self.write(Event::Prepared {});
        }
    }

    /// Lets the waiting program go, with nothing new.
    pub(super) fn go_again(&mut self) -> Result<Next> {
        self.announce();
        self.go(true)
    }

    /// Lets the waiting program go, unless the worker has done so.
    pub(super) fn go(&mut self, waits: bool) -> Result<Next> {
        self.waiting_build = false;
        self.read_keys(true);
        let Some(program) = &mut self.program else {
            return Ok(Next::GoOn);
        };
        program.waits = false;
        self.report.running(&program.base.program);
        let released = match waits {
            true => program.worker.release(None),
            false => Ok(()),
        };
        self.ledger.state(State::Running);
        if released.is_err() {
            // Somebody ended it: it is started from nothing.
            self.restart(With::AllThatIsKept)?;
        }
        Ok(Next::GoOn)
    }
}
