//! What a person or another program asks of a session: by a key, or through its socket.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

use anyhow::Result;

use super::exact::{Direction, Look, Seen};
use super::restart::With;
use super::worker::Verdict;
use super::{Message, Next, Session};
use crate::control::{Reply, Request};
use crate::ui::timings;

/// Who waits until the sources on disk have their verdict.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    last: u64,
    asked: BTreeMap<u64, (Option<u32>, Sender<Reply>)>,
    /// Who wants to know what would become of what is on disk.
    tried: BTreeMap<u64, Sender<Reply>>,
}

impl Waiting {
    /// The numbers under which somebody waits.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.asked.keys().copied()
    }

    /// The same of those who try.
    pub(super) fn tries(&self) -> impl Iterator<Item = u64> {
        self.tried.keys().copied()
    }
}

/// What a key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// Run a program once more that has ended.
    Again,
    Restart,
    RestartClean,
    Undo,
    Redo,
    GiveUp,
    Pause,
    Times,
    List,
    Clear,
    Help,
    Quit,
}

impl Command {
    /// All, with their keys and what they do.
    pub(super) const ALL: &[(char, Self, &str)] = &[
        ('r', Self::Restart, "restart the program with what it keeps"),
        ('R', Self::RestartClean, "restart it from nothing"),
        ('u', Self::Undo, "go back to what ran before the last save"),
        ('U', Self::Redo, "go forth again"),
        (
            'g',
            Self::GiveUp,
            "give up calls that panicked and wait for other code",
        ),
        ('p', Self::Pause, "leave saves alone, or take them up again"),
        ('t', Self::Times, "times of the last edits"),
        (
            'l',
            Self::List,
            "functions that run newer code, with their generation",
        ),
        ('c', Self::Clear, "clear the screen"),
        ('?', Self::Help, "this list"),
        ('q', Self::Quit, "end the program and the session"),
    ];

    pub(super) fn of_key(key: char) -> Option<Self> {
        // Enter is what a shell takes to run something.
        if matches!(key, '\r' | '\n') {
            return Some(Self::Again);
        }
        let mut all = Self::ALL.iter();
        all.find(|(known, ..)| *known == key)
            .map(|(_, command, _)| *command)
    }
}

impl Session<'_> {
    /// Does what a key stands for.
    pub(super) fn command(&mut self, command: Command) -> Result<Next> {
        match command {
            Command::Again if self.program.is_some() && !self.is_waiting() => {}
            Command::Again | Command::Restart if self.is_waiting() => return self.go_again(),
            Command::Again | Command::Restart => {
                self.restart(With::AllThatIsKept)?;
            }
            Command::RestartClean => {
                self.restart(With::Nothing)?;
            }
            Command::Undo => self.step(Direction::Back, None),
            Command::Redo => self.step(Direction::Forth, None),
            Command::GiveUp => {
                if let Reply::Failed { message } = self.give_up() {
                    self.report.not_stepped("give-up", &message);
                }
            }
            Command::Pause if self.held.is_some() => return self.resume(),
            Command::Pause => self.pause(),
            Command::Times => {
                self.report.times(&self.ledger.status().verdicts);
                self.write_timings();
            }
            Command::List => self.report.functions(&self.ledger.functions()),
            // It would wipe what waits for a program that draws.
            Command::Clear if self.report.screen().is_taken() => {}
            Command::Clear => self.report.clear(),
            Command::Help => {
                let keys = Command::ALL.iter();
                let keys: Vec<(char, &str)> = keys.map(|(key, _, what)| (*key, *what)).collect();
                self.report.help(&keys);
            }
            Command::Quit => return Ok(Next::End(0)),
        }
        Ok(Next::GoOn)
    }

    /// Does what was asked through the socket.
    pub(super) fn asked_from_outside(
        &mut self,
        request: Request,
        reply: Sender<Reply>,
    ) -> Result<Next> {
        let done = |message: &str| Reply::Done {
            message: message.to_owned(),
        };
        let mut next = Next::GoOn;
        let answer = match request {
            Request::Wait { since } => {
                self.wait(since, reply);
                return Ok(Next::GoOn);
            }
            Request::Try {} => {
                self.try_out(reply);
                return Ok(Next::GoOn);
            }
            Request::Restart { insist, clean } => {
                let with = match (clean, insist) {
                    (true, _) => With::Nothing,
                    (false, true) => With::WhatCanBeSaved,
                    (false, false) => With::AllThatIsKept,
                };
                let restarted = match self.is_waiting() && with != With::Nothing {
                    true => {
                        next = self.go_again()?;
                        None
                    }
                    false => self.restart(with)?,
                };
                match restarted {
                    None => done("the program was started anew"),
                    Some(why) => Reply::Failed {
                        message: format!("not restarted: {why}"),
                    },
                }
            }
            Request::Undo {} => {
                self.step(Direction::Back, Some(reply));
                return Ok(Next::GoOn);
            }
            Request::Redo {} => {
                self.step(Direction::Forth, Some(reply));
                return Ok(Next::GoOn);
            }
            Request::Functions { filter } => {
                self.look(
                    Look::Functions(filter, self.ledger.patched_functions()),
                    reply,
                );
                return Ok(Next::GoOn);
            }
            Request::Variables { filter } => {
                self.look(Look::Variables(filter), reply);
                return Ok(Next::GoOn);
            }
            Request::Set { name, value } => {
                self.look(Look::Set(name, value), reply);
                return Ok(Next::GoOn);
            }
            Request::GiveUp {} => self.give_up(),
            Request::Pause {} => {
                self.pause();
                done("saves are left alone until `cargo hotpatch pause --off`")
            }
            Request::Resume {} => {
                next = self.resume()?;
                done("saves are taken up again")
            }
            Request::Quit {} => {
                next = Next::End(0);
                done("the session ends")
            }
            Request::Key { key } => {
                next = self.key_from_anywhere(key)?;
                done("typed")
            }
            // What is written down is answered without the session.
            Request::Status {} | Request::List {} | Request::Attach {} => return Ok(Next::GoOn),
        };
        // Who asked may be gone.
        let _ = reply.send(answer);
        Ok(next)
    }

    /// Answers with what there is in the process.
    fn look(&self, look: Look, reply: Sender<Reply>) {
        let program = self.program.as_ref();
        let Some(program) = program.filter(|program| program.lost.is_none()) else {
            let message = "the program does not run, or cannot be looked into".to_owned();
            // Who asked may be gone.
            let _ = reply.send(Reply::Failed { message });
            return;
        };
        program.worker.look(look, move |seen| {
            let answer = match seen {
                Ok(Seen::Functions(functions)) => Reply::AllFunctions { functions },
                Ok(Seen::Variables(variables)) => Reply::Variables { variables },
                Ok(Seen::Set { name, was }) => Reply::Done {
                    message: match was {
                        Some(was) => format!("`{name}` was {was}"),
                        None => format!("`{name}` had no value yet"),
                    },
                },
                Err(error) => Reply::Failed {
                    message: format!("{error:#}"),
                },
            };
            let _ = reply.send(answer);
        });
    }

    /// Answers once what is on disk has its verdict.
    fn wait(&mut self, since: Option<u32>, reply: Sender<Reply>) {
        self.waiting.last += 1;
        let number = self.waiting.last;
        self.waiting.asked.insert(number, (since, reply));
        let lost = |program: &super::Program| program.lost.is_some();
        match &self.program {
            Some(program) if self.held.is_none() && !lost(program) => {
                self.once_told(number);
            }
            // Nothing becomes of a save now.
            _ => self.answer(number),
        }
    }

    /// Answers once it is known what would become of what is on disk.
    fn try_out(&mut self, reply: Sender<Reply>) {
        self.waiting.last += 1;
        let number = self.waiting.last;
        self.waiting.tried.insert(number, reply);
        match &self.program {
            Some(program) if program.lost.is_none() => self.once_told(number),
            _ => self.cannot_try(number),
        }
    }

    /// Goes on with what was asked once the watcher has told of all that was saved before.
    fn once_told(&self, number: u64) {
        let messages = self.messages.clone();
        let then = move || drop(messages.send(Message::Told(number)));
        match &self.watcher {
            Some(watcher) => watcher.once_told(then),
            None => then(),
        }
    }

    /// It has.
    pub(super) fn all_is_told(&mut self, number: u64) {
        let program = self.program.as_ref();
        let Some(program) = program.filter(|program| program.lost.is_none()) else {
            return self.answer_all();
        };
        if self.waiting.tried.contains_key(&number) {
            program.worker.try_out(number);
        } else if self.held.is_some() {
            // Nothing becomes of a save now.
            self.answer(number);
        } else {
            program.worker.settle(number);
        }
    }

    fn cannot_try(&mut self, number: u64) {
        if let Some(reply) = self.waiting.tried.remove(&number) {
            let _ = reply.send(Reply::Failed {
                message: "no program runs that could be patched".to_owned(),
            });
        }
    }

    /// It is known.
    pub(super) fn tried(&mut self, numbers: &[u64], verdict: Verdict) {
        let judged = Box::new(self.judged(verdict));
        for number in numbers {
            if let Some(reply) = self.waiting.tried.remove(number) {
                let _ = reply.send(Reply::Tried(judged.clone()));
            }
        }
    }

    fn answer(&mut self, number: u64) {
        if let Some((since, reply)) = self.waiting.asked.remove(&number) {
            let mut settled = self.ledger.settle(since, self.kept.names());
            let lost = self.program.as_ref().and_then(|of| of.lost.as_ref());
            if let Some((code, why)) = lost {
                // Whatever was said before, nothing that is on disk now goes into this process any more.
                settled.refuse(&code.to_string(), why);
            }
            let _ = reply.send(Reply::Settled(Box::new(settled)));
        }
    }

    /// Answers all who wait: the program has ended.
    pub(super) fn answer_all(&mut self) {
        self.cannot_step();
        let numbers: Vec<u64> = self.waiting.numbers().collect();
        for number in numbers {
            self.answer(number);
        }
        let tries: Vec<u64> = self.waiting.tries().collect();
        for number in tries {
            self.cannot_try(number);
        }
    }

    /// The worker has come to its end with so many saves, and with what was on disk when these asked.
    pub(super) fn settled(&mut self, saves: u64, numbers: &[u64]) {
        if saves >= self.saves {
            self.ledger.settled();
        }
        for number in numbers {
            self.answer(*number);
            // Of a worker that has given up.
            self.cannot_try(*number);
        }
    }

    /// Writes the page with the times of all edits, if one is wanted.
    pub(super) fn write_timings(&self) {
        if !self.args.timings {
            return;
        }
        let program = &self.project.target.name;
        let folder = self.project.target_dir().join("hotpatch/timings");
        let path = folder.join(format!("{program}.html"));
        let page = timings::page(program, &self.ledger.patches());
        let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, page));
        match written {
            Ok(()) => self.report.timings(&path),
            Err(error) => self.report.setback("write the times of all edits", &error),
        }
    }

    /// Leaves saves alone from now on.
    fn pause(&mut self) {
        if self.held.is_none() {
            self.held = Some(Vec::new());
            self.ledger.pause(true);
            self.report.paused(true);
        }
    }

    /// Takes up what was saved meanwhile.
    fn resume(&mut self) -> Result<Next> {
        let Some(held) = self.held.take() else {
            return Ok(Next::GoOn);
        };
        self.ledger.pause(false);
        self.report.paused(false);
        for change in held {
            if let Next::End(status) = self.saved(change)? {
                return Ok(Next::End(status));
            }
        }
        Ok(Next::GoOn)
    }
}
