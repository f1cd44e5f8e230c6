//! Calls of `#[hot(retry)]` functions that have panicked: their threads wait until other code runs, or until somebody gives up.

use std::cell::RefCell;
use std::sync::mpsc::Sender;

use super::Session;
use crate::control::Reply;
use crate::ui::events::{Event, Waits};

/// A call that has panicked.
#[derive(Debug)]
pub(super) struct Panicked {
    pub(super) function: String,
    pub(super) thread: String,
    /// The generation that ran when it was made.
    pub(super) generation: u32,
}

/// Who waits: hears whether the call is to be made again.
#[derive(Debug, Default)]
pub(super) struct Retries(RefCell<Vec<Sender<bool>>>);

impl Retries {
    /// Answers all of them; gives back how many these were.
    fn answer(&self, again: bool) -> usize {
        let waiting = self.0.take();
        for reply in &waiting {
            // Its process may have ended.
            let _ = reply.send(again);
        }
        waiting.len()
    }

    /// Something has happened that they may have waited for.
    pub(super) fn hear(&self, event: &Event) {
        match event {
            // The fast lane's body of a function does not reach a call of it that waits, as that calls a closure again which an
            // older body made: rustc's own does.
            Event::Patched(_) | Event::Undone(_) | Event::TakenBack(_) | Event::Confirmed(_) => {
                self.answer(true);
            }
            Event::Exited(_) => {
                self.answer(false);
            }
            _ => {}
        }
    }
}

impl Session<'_> {
    /// A call has panicked, and is to be made again once other code runs than that.
    pub(super) fn retry(&mut self, call: Panicked, again: Sender<bool>) {
        if self.ledger.generation() > call.generation {
            let _ = again.send(true);
            return;
        }
        self.retries.0.borrow_mut().push(again);
        let waits = Waits {
            function: call.function,
            thread: call.thread,
        };
        self.report.waits_for_code(&waits);
        self.write(Event::Waits(waits));
    }

    /// Has the panics of all calls that wait go on.
    pub(super) fn give_up(&mut self) -> Reply {
        match self.retries.answer(false) {
            0 => Reply::Failed {
                message: "no call waits for other code".to_owned(),
            },
            count => {
                self.report.gave_up(count);
                let message = "gave up what waited for other code".to_owned();
                Reply::Done { message }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Retries;
    use crate::ui::events::{Confirmed, Event, Exited, Patched};
    use std::sync::mpsc::channel;

    #[test]
    fn who_waits_hears_of_other_code_and_of_the_end() {
        let retries = Retries::default();
        let (reply, heard) = channel();
        let wait = || retries.0.borrow_mut().push(reply.clone());
        wait();
        retries.hear(&Event::Unchanged {});
        assert!(heard.try_recv().is_err());
        retries.hear(&Event::Patched(Patched::default()));
        assert_eq!(heard.try_recv(), Ok(true));
        wait();
        retries.hear(&Event::Confirmed(Confirmed::default()));
        assert_eq!(heard.try_recv(), Ok(true));
        wait();
        retries.hear(&Event::Exited(Exited::default()));
        assert_eq!(heard.try_recv(), Ok(false));
        assert_eq!(retries.answer(true), 0);
    }
}
