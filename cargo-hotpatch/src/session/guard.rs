//! `--guard`: what is said of threads that fall, and which end of the program has it started with what ran before.

use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::Result;

use super::Session;
use super::exact::{Direction, Fall, Guarded};
use super::steps::By;
use super::worker::Renewed;
use crate::run::child::ExitHow;
use crate::ui::events::{Event, Fallen};

/// Exit status of a program whose `main` has panicked.
const PANICKED: i32 = 101;

/// What is known of falls.
#[derive(Debug, Default)]
pub(super) struct Falls {
    /// The process in which the newest step had a part in one.
    guilty: Option<u32>,
    /// The generation that had none in the last one: it is not asked again in haste.
    innocent: Option<u32>,
}

impl Falls {
    /// Whether that end comes from a fall in which the newest step had a part.
    pub(super) fn has_ended(&mut self, pid: u32, how: ExitHow) -> bool {
        let is_of_it = self.guilty.take() == Some(pid);
        is_of_it && matches!(how, ExitHow::Signal(_) | ExitHow::Code(PANICKED))
    }
}

impl Session<'_> {
    /// A thread of the program panicked or crashed, and waits until it may go on.
    pub(super) fn fallen(&mut self, fall: Fall, may_go_on: Sender<()>) {
        let generation = Some(self.ledger.generation());
        let Some(program) = self.program.as_ref().filter(|of| of.lost.is_none()) else {
            // Nobody looks at it.
            return;
        };
        // What is compiled is likely to be what fell, and is of no use then; but a program may panic over and over for a reason
        // of its own, and would never be patched again.
        let at_once = self.ledger.is_unconfirmed() && self.falls.innocent != generation;
        self.falls.innocent = generation;
        program.worker.fallen(fall, at_once, may_go_on);
    }

    /// The newest step had a part in a fall, and was taken back if that could be.
    pub(super) fn guarded(&mut self, guarded: Guarded, took: Duration) {
        let Guarded {
            fall,
            thread,
            function,
            newest,
            generation,
            stepped,
        } = guarded;
        let program = self.program.as_ref();
        self.falls.guilty = program.map(|program| program.running.child.pid());
        self.falls.innocent = None;
        let fallen = Fallen {
            signal: fall.signal,
            thread,
            function,
            newest,
            generation,
        };
        self.report.fallen(&fallen);
        self.write(Event::Fallen(fallen));
        self.say_step(Direction::Back, stepped, took, By::Guard);
    }

    /// What ran before a fall cannot be started, if so: says why.
    pub(super) fn not_restored(&self, renewed: &Result<Renewed>) {
        let why = match renewed {
            Ok(Renewed::Ready { .. }) => return,
            Ok(Renewed::NeedsBuild(why)) => anyhow::anyhow!("{why}"),
            Ok(Renewed::Broken(_)) => anyhow::anyhow!("it does not compile any more"),
            Err(error) => anyhow::anyhow!("{error:#}"),
        };
        self.report.setback("start what ran before", why.as_ref());
    }
}
