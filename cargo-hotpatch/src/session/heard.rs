//! What the worker says and how the program ends, and what that leads to.

use std::sync::PoisonError;

use anyhow::Result;

use super::outcome::{Lane, Outcome};
use super::worker::{Gets, Said};
use super::{Message, Next, SIGNAL_LAG, Session, setup, shown};
use crate::run::child::{ChildExit, ExitHow};
use crate::ui::events::{Event, Exited, Live, Ready, TakenBack};

impl Session<'_> {
    pub(super) fn said(&mut self, said: Said) -> Result<Next> {
        match said {
            Said::Included(files) => {
                setup::watch_also(self.watcher.as_ref(), &self.project, &files);
                *self.included.lock().unwrap_or_else(PoisonError::into_inner) = files;
            }
            // It has ended before it could be patched.
            Said::Ready(pid, ..)
                if self.program.is_none()
                    || self.project.config.runner.is_none() && !self.is_program(pid) => {}
            Said::Ready(pid, functions, revision) => {
                let ready = Ready {
                    pid,
                    generation: 0,
                    functions,
                    listen: self.sockets.addresses(),
                };
                if self.is_waiting() {
                    self.waits_ready(ready, revision);
                    return Ok(Next::GoOn);
                }
                self.ledger.built_of(revision);
                self.report.ready(&ready);
                self.write(Event::Ready(ready));
            }
            Said::Same => {}
            Said::Words(line) => self.report.words(&line),
            Said::Began(files) => {
                let files: Vec<String> = files.iter().map(|path| shown::shown(path)).collect();
                self.report.began(&files);
            }
            Said::Verdict(verdict) if self.is_waiting() => {
                let lane = match &verdict.outcome {
                    Ok(Outcome::Patched(patched)) => patched.lane,
                    _ => None,
                };
                return match self.verdict_while_waiting(*verdict)? {
                    Some(verdict) => {
                        let next = self.verdict(verdict)?;
                        match lane {
                            Some(lane) => self.go(lane == Lane::Exact),
                            None => Ok(next),
                        }
                    }
                    None => Ok(Next::GoOn),
                };
            }
            Said::Verdict(verdict) => return self.verdict(*verdict),
            Said::Confirmed(patched, total, revision) => self.confirmed(*patched, total, revision),
            Said::Settled(saves, numbers) => self.settled(saves, &numbers),
            Said::Tried(numbers, verdict) => self.tried(&numbers, *verdict),
            Said::Stepped(direction, stepped, took) => self.stepped(direction, stepped, took),
            Said::Guarded(guarded, took) => self.guarded(*guarded, took),
            Said::Unguarded(why) => self.report.setback("guard the program", why.as_ref()),
            Said::TakenBack(generation) => {
                self.report.taken_back(generation);
                self.write(Event::TakenBack(TakenBack { generation }));
            }
            // Of a waiting program it is said when it goes.
            Said::Prepared if self.is_waiting() => {}
            Said::Prepared => self.write(Event::Prepared {}),
            Said::Live(live) => {
                let live = Live {
                    generation: live.generation,
                    called: live.called,
                    not_called: live.not_called,
                };
                self.report.live(&live);
                self.write(Event::Live(live));
            }
            // Only of programs with tests.
            Said::Reach(_) => {}
            Said::Lost(error, is_held) => return self.lost(&error, is_held),
        }
        Ok(Next::GoOn)
    }

    /// Whether the program, waiting or not, has this process id.
    pub(super) fn is_program(&self, pid: u32) -> bool {
        let program = self.program.as_ref();
        program.is_some_and(|program| program.running.child.pid() == pid)
    }

    pub(super) fn exited(&mut self, exit: ChildExit) -> Result<Next> {
        if !self.is_program(exit.pid) {
            return Ok(Next::GoOn);
        }
        if self.is_waiting() {
            // Ctrl-C has reached it too, or somebody ended it: the next save starts the program from nothing.
            self.rest();
            return Ok(Next::GoOn);
        }
        self.last_exit = Some(exit.how);
        self.report.screen().put_back();
        if matches!(exit.how, ExitHow::Signal(_)) {
            // Whatever else waits can wait no longer than this.
            let mut put_back = Vec::new();
            let ended = loop {
                match self.inbox.recv_timeout(SIGNAL_LAG) {
                    Ok(Message::Interrupt(_)) => break true,
                    Ok(other) => put_back.push(other),
                    Err(_) => break false,
                }
            };
            put_back.into_iter().for_each(|message| {
                let _ = self.messages.send(message);
            });
            if ended {
                self.program = None;
                self.write(Event::Exited(Exited::from(exit.how)));
                return Ok(Next::End(exit.how.shell_code()));
            }
        }
        let fell = self.falls.has_ended(exit.pid, exit.how);
        self.rest();
        self.asked = None;
        self.waiting_build = true;
        match fell {
            true => self.report.ended_by_fall(exit.how),
            false => self.report.exited(exit.how),
        }
        self.write(Event::Exited(Exited::from(exit.how)));
        self.answer_all();
        if exit.how == ExitHow::Code(0) {
            self.kept.forget();
        }
        self.read_keys(false);
        self.stand_by(match fell {
            true => Gets::BeforeFall,
            false => Gets::OnDisk,
        });
        Ok(Next::GoOn)
    }

    /// The program has ended: what worked on it is kept for its next process.
    pub(super) fn rest(&mut self) {
        if let Some(program) = self.program.take().filter(|of| of.lost.is_none()) {
            program.worker.halt();
            self.resting = Some((program.worker, program.base));
        }
    }
}
