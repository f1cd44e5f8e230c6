//! A restart: what it is asked for by, what the program keeps of its state, and the order of things.
//!
//! While the old program runs, the new one is made ready: another process of what was built first, which waits before its
//! `main` and gets all that is on disk as one patch; or, where that cannot be, a new build. Then what the old one keeps is
//! saved, it is asked to end, and the new one is let go: one after the other, so that nothing the old one still does is
//! lost. Whatever fails before the old one was asked to end leaves it running.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use hotpatch_rt::news::News;
use rustix::process::Signal;
use tempfile::TempDir;

use super::program::Running;
use super::requests::Command;
use super::worker::{Renewed, Worker};
use super::{Message, Next, Program, Session};
use crate::args::OnRefuse;
use crate::build::base::{Base, BuildError};
use crate::build::diagnostics::Diagnostic;
use crate::build::project::Project;
use crate::control::State;
use crate::image::symbols;
use crate::plan::codes::Code;
use crate::run::child::{ExitHow, TERM_GRACE};
use crate::run::client::{Saved, private_folder};
use crate::ui::events::{Broken, Event, Lost, NotRestarted, Restarted};
use crate::ui::keys::{Heard, Keys};
use crate::ui::restarts;
use crate::ui::terminal::Answer;

/// What the person was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// An edit that cannot be patched.
    Refusal(Code),
    /// A restart that would lose state.
    Unsaved,
}

/// What of its state a program is started anew with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum With {
    /// All that it keeps, or it is not ended.
    AllThatIsKept,
    /// What of that can be saved.
    WhatCanBeSaved,
    /// None.
    Nothing,
}

/// A question that waits for its answer.
pub(super) struct Asked {
    about: About,
    reader: Reader,
}

/// A new program that is ready to go.
enum Prepared {
    /// A process of what was built first, with the code that is on disk.
    Waiting(Arc<Running>),
    /// It was built.
    Built(Base),
}

/// Why no process of what was built first can have the code that is on disk.
enum NotRenewed {
    /// It does not compile.
    Broken(Vec<Diagnostic>),
    /// The program has to be built, and why.
    Build(String),
    /// The session ends.
    Interrupted,
}

/// What reads the answer to a question.
pub(super) enum Reader {
    /// What reads all keys.
    Own,
    /// What reads keys while nobody else wants them, until it is dropped.
    Borrowed { _keys: Keys },
    /// Another terminal.
    Elsewhere,
}

/// What the program keeps, between two processes of it.
#[derive(Debug)]
pub(super) struct Kept {
    folder: TempDir,
    /// The values that were saved last.
    names: Vec<String>,
}

impl Kept {
    /// Nothing so far.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            folder: private_folder()?,
            names: Vec::new(),
        })
    }

    /// The values that were saved last.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Where it lies.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The program ended as it should: the next one begins anew.
    pub(super) fn forget(&mut self) {
        self.names.clear();
        for entry in std::fs::read_dir(self.folder())
            .into_iter()
            .flatten()
            .flatten()
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

impl Session<'_> {
    /// Reads keys where they cannot be meant for the program.
    pub(super) fn read_keys(&mut self, runs: bool) {
        if runs && !self.args.no_stdin && !Keys::stdin_is_elsewhere() {
            self.keys = None;
        } else if self.keys.is_none() {
            let messages = self.messages.clone();
            self.keys = Keys::read(self.report.screen(), move |key| {
                let _ = messages.send(Message::Keyboard(Heard::Key(key)));
            })
            .ok();
            if self.keys.is_some() && !self.told_of_keys {
                self.told_of_keys = true;
                self.report.keys();
            }
        }
    }

    /// What would read the answer to a question; nothing if nobody can be asked. Keys that a program may want are its own.
    pub(super) fn reader(&self) -> Option<Reader> {
        let screen = self.report.screen();
        let elsewhere = || screen.is_heard().then_some(Reader::Elsewhere);
        if screen.is_taken() {
            return elsewhere();
        }
        if self.keys.is_some() {
            return Some(Reader::Own);
        }
        let messages = self.messages.clone();
        let keys = Keys::borrow(screen, move |heard| {
            let _ = messages.send(Message::Keyboard(heard));
        });
        match keys {
            Ok(keys) => Some(Reader::Borrowed { _keys: keys }),
            Err(_) => elsewhere(),
        }
    }

    /// Asks at the terminal.
    pub(super) fn ask(&mut self, about: About, reader: Reader) {
        let asks_for_loss = about == About::Unsaved;
        self.report.prompt(restarts::key_prompt(asks_for_loss));
        self.asked = Some(Asked { about, reader });
    }

    /// The program waits for the keyboard now, and nobody is asked any more.
    pub(super) fn keyboard_taken(&mut self) {
        let borrowed = |asked: &mut Asked| matches!(asked.reader, Reader::Borrowed { .. });
        if let Some(asked) = self.asked.take_if(borrowed) {
            drop(asked);
            self.report.no_question();
        }
    }

    /// A key was typed.
    pub(super) fn key(&mut self, key: u8) -> Result<Next> {
        let reader = self.asked.as_ref().map(|asked| &asked.reader);
        let borrows = matches!(reader, Some(Reader::Borrowed { .. }));
        // It came together with the answer to a question.
        if self.keys.is_none() && !borrows {
            return Ok(Next::GoOn);
        }
        self.key_from_anywhere(char::from(key))
    }

    /// A key was typed here or at another terminal: an answer, or what it stands for at any time.
    pub(super) fn key_from_anywhere(&mut self, key: char) -> Result<Next> {
        if self.asked.is_some() {
            if let Some(answer) = Answer::of_key(key) {
                self.report.prompt(&format!("{}\n", answer.word()));
                return self.answered(answer);
            }
            if Command::of_key(key).is_some() {
                self.report.prompt("\n");
            }
        }
        match Command::of_key(key) {
            Some(command) => self.command(command),
            None => Ok(Next::GoOn),
        }
    }

    /// The question was answered.
    pub(super) fn answered(&mut self, answer: Answer) -> Result<Next> {
        let Some(asked) = self.asked.take() else {
            return Ok(Next::GoOn);
        };
        match (asked.about, answer) {
            (About::Unsaved, Answer::Yes | Answer::Always) => {
                self.restart(With::WhatCanBeSaved)?;
            }
            (About::Refusal(_), Answer::Yes) => {
                self.restart(With::AllThatIsKept)?;
            }
            (About::Refusal(code), Answer::Always) => {
                self.decided.insert(code, OnRefuse::Restart);
                self.restart(With::AllThatIsKept)?;
            }
            (About::Refusal(code), Answer::Never) => {
                self.decided.insert(code, OnRefuse::Stay);
            }
            (_, Answer::No) | (About::Unsaved, Answer::Never) => {}
        }
        Ok(Next::GoOn)
    }

    /// Makes the new program ready, and only when that worked ends the old one and lets the new one go. Gives back why it did
    /// not happen, if it did not.
    pub(super) fn restart(&mut self, with: With) -> Result<Option<&'static str>> {
        self.asked = None;
        // What is not ready by now is made ready anew.
        self.standing_by = None;
        self.ledger.state(State::Restarting);
        self.report.restarting(self.program.is_some());
        let next = self.prepare();
        let why = match &next {
            Some(_) if with == With::Nothing || self.save(with) => None,
            Some(_) => Some("not everything that the program keeps can be saved"),
            None => Some("the new source does not build"),
        };
        let next = match (next, why) {
            (Some(next), None) => next,
            (next, why) => {
                self.stay(next.as_ref());
                return Ok(why);
            }
        };
        let left = self.program.take().map(|program| {
            self.end(&program, with);
            (program.worker, program.base)
        });
        if with == With::Nothing {
            self.kept.forget();
        }
        self.waiting_build = false;
        let started = match next {
            Prepared::Waiting(running) => match left.or(self.resting.take()) {
                Some((worker, base)) => self.let_go(worker, base, running),
                None => Err(anyhow!("nobody works on it")),
            },
            Prepared::Built(base) => {
                drop(left);
                // The manifest may have brought other folders.
                match self.watch() {
                    Ok(watcher) => self.watcher = Some(watcher),
                    Err(error) => self.report.setback("watch the sources", error.as_ref()),
                }
                self.start(base)
            }
        };
        if let Err(error) = started {
            self.report.setback("start the program", error.as_ref());
            self.waiting_build = true;
            self.ledger.not_started();
            self.answer_all();
            self.report.waiting();
            self.read_keys(false);
            return Ok(Some("the program cannot be started"));
        }
        let pid = self.program.as_ref();
        let pid = pid.map_or(0, |program| program.running.child.pid());
        self.report.restarted(pid, &self.kept.names);
        self.write(Event::Restarted(Restarted {
            pid,
            kept: self.kept.names.clone(),
        }));
        Ok(None)
    }

    /// Makes the new program ready, beside the old one if that runs; nothing if the source does not build, which is told.
    fn prepare(&mut self) -> Option<Prepared> {
        match self.renewed() {
            Ok(running) => return Some(Prepared::Waiting(running)),
            Err(NotRenewed::Broken(found)) => {
                let (rendered, problems, broken) = self.broken(&found);
                let runs = self.program.is_some() && !self.is_waiting();
                self.report.broken(&rendered, &problems, &[], runs);
                self.report.restart_does_not_build(self.program.is_some());
                self.write(Event::Broken(broken));
                return None;
            }
            Err(NotRenewed::Build(why)) => self.report.builds_because(&why),
            Err(NotRenewed::Interrupted) => return None,
        }
        if let Some(program) = &self.program {
            // The build may write what its work reads.
            program.worker.pause(&self.ending);
        }
        // cargo may have something to ask as well.
        self.keys = None;
        let built = self.build_anew();
        self.read_keys(self.program.is_some());
        built.map(Prepared::Built)
    }

    /// Another process of what was built first, which waits before its `main` with the code that is on disk.
    fn renewed(&self) -> Result<Arc<Running>, NotRenewed> {
        let build = |why: &str| Err(NotRenewed::Build(why.to_owned()));
        let (worker, base) = match (&self.program, &self.resting) {
            (Some(program), _) if program.lost.is_none() => (&program.worker, &program.base),
            (None, Some((worker, base))) => (worker, base),
            _ => return build("the program could not be patched"),
        };
        if self.project.config.runner.is_some() {
            return build("a runner starts the program");
        }
        let failed = |error: anyhow::Error| NotRenewed::Build(format!("{error:#}"));
        let running = self.launch(base, true).map_err(failed)?;
        let with = running.clone();
        let connect = Box::new(move |image: Option<&[u8]>| with.connect(image));
        let folder = running.rendezvous.folder();
        match worker.renew(connect, folder, &self.ending) {
            Ok(Renewed::Ready { .. }) => Ok(running),
            Ok(Renewed::Broken(found)) => Err(NotRenewed::Broken(found)),
            Ok(Renewed::NeedsBuild(why)) => build(&why),
            Err(_) if self.ending.is_cancelled() => Err(NotRenewed::Interrupted),
            Err(error) => Err(failed(error)),
        }
    }

    /// Everything stays as it was before a restart.
    fn stay(&mut self, next: Option<&Prepared>) {
        let state = match &self.program {
            Some(program) => {
                match next {
                    Some(Prepared::Waiting(_)) => program.worker.turn(false),
                    Some(Prepared::Built(_)) | None => program.worker.resume(),
                }
                State::Running
            }
            None => State::Ended,
        };
        self.ledger.state(state);
        if self.program.is_none() {
            self.ledger.settled();
            self.answer_all();
        }
    }

    /// Ends the old program.
    fn end(&mut self, program: &Program, with: With) {
        // A program that dies of the signal has nothing left to do: it stays as it was saved.
        let goes_on = program.running.child.heeds(Signal::TERM);
        if goes_on && with != With::Nothing {
            program.worker.thaw();
        }
        let how = program.running.child.terminate(TERM_GRACE);
        self.report.screen().put_back();
        if goes_on && matches!(how, ExitHow::Signal(_)) && !self.kept.names.is_empty() {
            self.told(News::Stale {
                name: String::new(),
                why: "the program did not end by itself".to_owned(),
            });
        }
    }

    /// Lets a process that waits before its `main` go there; from now on it is the program.
    fn let_go(&mut self, worker: Worker, base: Base, running: Arc<Running>) -> Result<()> {
        self.read_keys(true);
        self.report.running(&base.program);
        worker.turn(true);
        self.ledger.started(running.child.pid());
        let released = worker.release(None);
        self.program = Some(Program {
            worker,
            running,
            base,
            lost: None,
            waits: false,
        });
        if released.is_err() {
            self.rest();
        }
        released
    }

    /// The project as it is now, built; nothing if it cannot be, which is told.
    fn build_anew(&mut self) -> Option<Base> {
        // The manifest may name other packages and programs now.
        let built = Project::find(&self.args.build)
            .map_err(BuildError::Other)
            .and_then(|project| {
                self.project = project;
                self.build()
            });
        let error = match built {
            Ok(base) => return Some(base),
            Err(_) if self.ending.is_cancelled() => return None,
            Err(error) => error,
        };
        let rendered = match &error {
            BuildError::Failed { .. } => {
                self.report.restart_does_not_build(self.program.is_some());
                self.last_words()
            }
            other => {
                self.report.setback("build the program anew", other);
                other.to_string()
            }
        };
        self.write(Event::Broken(Broken {
            rendered,
            ..Broken::default()
        }));
        None
    }

    /// Saves what the program keeps; `false` if that is not possible and nobody insists.
    fn save(&mut self, with: With) -> bool {
        let insist = with == With::WhatCanBeSaved;
        let Some(program) = &self.program else {
            return true;
        };
        let child = &program.running.child;
        if !child.is_running() || program.waits {
            return true;
        }
        let saved = match program.worker.keep(self.kept.folder(), insist) {
            Ok(saved) => saved,
            Err(_) if !keeps_values(child.pid()) => Saved::default(),
            Err(error) => Saved {
                names: Vec::new(),
                failed: vec![(String::new(), format!("{error:#}"))],
            },
        };
        if saved.failed.is_empty() || insist {
            self.kept.names = saved.names;
            return true;
        }
        self.report.not_restarted(&saved.failed);
        self.write(Event::NotRestarted(NotRestarted {
            names: saved.failed.iter().map(|(name, _)| name.clone()).collect(),
            message: restarts::reasons(&saved.failed).join("; "),
        }));
        if self.on_refuse != OnRefuse::Quit
            && let Some(reader) = self.reader()
        {
            self.ask(About::Unsaved, reader);
        }
        false
    }

    /// What the program's `keep` has to say.
    pub(super) fn told(&mut self, news: News) {
        let (name, message) = match news {
            News::Dropped { name, why } => (name, restarts::dropped(&why)),
            News::Stale { name, why } => (name, restarts::stale(&why)),
        };
        // No name means all of them.
        let names = if name.is_empty() {
            self.kept.names.clone()
        } else {
            vec![name]
        };
        self.report.lost(&names, &message);
        self.write(Event::Lost(Lost { names, message }));
    }
}

/// Whether a process has code of `keep` in it.
fn keeps_values(pid: u32) -> bool {
    let program = std::fs::read(format!("/proc/{pid}/exe"));
    program.is_ok_and(|data| symbols::keeps_values(&data))
}
