//! The processes of test programs: started, made ready, and let go with the names of tests.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{PipeReader, Read};
use std::sync::mpsc::Sender;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::output::Output;
use super::program::{self, Process, Tested, exactly};
use super::runs::{Kind, Run};
use super::{Message, Session};
use crate::run::child::ChildExit;
use crate::run::listen::Sockets;
use crate::session::program::{self as programs, Running, Supplies};
use crate::session::worker::{Choose, ForTests, Gets, Renewed, Tools, Worker};

/// What a program wrote before it ended comes within this time, unless somebody else has its output.
const OUTPUT_LAG: Duration = Duration::from_millis(500);

/// What workers are told, for runs that they begin themselves.
#[derive(Default)]
pub(super) struct Desk {
    /// Tests are run.
    pub(super) is_busy: bool,
    /// What each program may run.
    pub(super) choices: BTreeMap<usize, Choice>,
}

/// Which tests of a program may be run.
pub(super) struct Choice {
    pub(super) known: BTreeSet<String>,
    /// Those that are run in any case.
    pub(super) due: BTreeSet<String>,
    /// What libtest is told beside their names.
    pub(super) words: Vec<String>,
}

impl Session<'_> {
    /// Starts a process of a program. What it writes comes as messages with its number.
    pub(super) fn launch(
        &mut self,
        index: usize,
        words: &[OsString],
    ) -> Result<(Arc<Running>, u64)> {
        self.launched += 1;
        let number = self.launched;
        let (reader, writer) = std::io::pipe().context("failed to make a pipe")?;
        let program = &self.programs[index].program;
        let supplies = Supplies {
            sockets: Arc::new(Sockets::default()),
            no_stdin: true,
            kept: self.nothing_kept.path(),
            held: true,
            cwd: program.package.manifest_path.parent().map(Into::into),
            stdout: Some(Arc::new(writer)),
        };
        let messages = self.messages.clone();
        let running = programs::start(
            &program.base,
            &self.project.config,
            words,
            supplies,
            drop,
            // Nobody answers programs with tests what they ask of themselves.
            |_| Vec::new(),
            move |exit| {
                let _ = messages.send(Message::Exited(exit));
            },
        )?;
        let messages = self.messages.clone();
        thread::Builder::new()
            .name("output".to_owned())
            .spawn(move || pass_on(reader, number, &messages))
            .context("failed to start a thread")?;
        Ok((Arc::new(running), number))
    }

    /// Starts a program from nothing, with all its tests.
    pub(super) fn start(&mut self, index: usize) -> Result<()> {
        let words = self.words(Kind::All, index);
        let (running, number) = self.launch(index, &words)?;
        let (messages, with) = (self.messages.clone(), running.clone());
        let build = self.builds;
        let tools = Tools {
            guards: false,
            project: self.project.clone(),
            base: self.programs[index].program.base.clone(),
            folder: running.rendezvous.folder().to_owned(),
            connect: Box::new(move |image| with.connect(image)),
            is_held: true,
            was_restarted: false,
            tests: Some(ForTests {
                shared: self.shared.clone(),
                choose: self.chooser(index),
            }),
        };
        let worker = Worker::start(tools, move |said| {
            let _ = messages.send(Message::Said(build, index, said));
        })
        .context("failed to start a thread")?;
        self.programs[index].worker = Some(worker);
        self.begin_run(index, running, number, Kind::All);
        Ok(())
    }

    /// Has the next process of a program made ready.
    pub(super) fn stand_by(&mut self, index: usize) {
        if self.programs[index].worker.is_none() {
            return;
        }
        self.programs[index].process = Process::None;
        let words = self.words(Kind::All, index);
        let (running, number) = match self.launch(index, &words) {
            Ok(launched) => launched,
            Err(error) => {
                self.report.setback("start the tests", error.as_ref());
                self.programs[index].is_pending = false;
                return;
            }
        };
        let (messages, with) = (self.messages.clone(), running.clone());
        let connect = Box::new(move |image: Option<&[u8]>| with.connect(image));
        let program = &mut self.programs[index];
        if let Some(worker) = &program.worker {
            worker.renew_later(
                Gets::OnDisk,
                connect,
                running.rendezvous.folder(),
                move |renewed| {
                    let _ = messages.send(Message::StoodBy(number, renewed));
                },
            );
        }
        program.process = Process::Making(running, number);
    }

    pub(super) fn stood_by(&mut self, number: u64, renewed: Result<Renewed>) {
        let is_this =
            |program: &Tested| matches!(program.process, Process::Making(_, of) if of == number);
        let Some(index) = self.programs.iter().position(is_this) else {
            return;
        };
        let program = &mut self.programs[index];
        let Process::Making(running, _) = std::mem::replace(&mut program.process, Process::None)
        else {
            return;
        };
        match renewed {
            Ok(Renewed::Ready { .. }) => {
                program.process = Process::Ready(running, number);
                if let Some(worker) = &program.worker {
                    worker.turn(true);
                }
            }
            Ok(Renewed::Broken(found)) => {
                program.is_pending = false;
                self.broken(&found);
            }
            Ok(Renewed::NeedsBuild(why)) => self.cannot_stand_by(index, why),
            Err(error) => self.cannot_stand_by(index, format!("{error:#}")),
        }
    }

    /// There is no next process of a program. Where nobody waits for it, the next save has it built: to build it now could come
    /// to the same.
    fn cannot_stand_by(&mut self, index: usize, why: String) {
        let program = &mut self.programs[index];
        let is_wanted = program.is_pending || program.is_rest_due || !program.due.is_empty();
        program.is_pending = false;
        if is_wanted {
            self.needs_build = Some(why);
        }
    }

    pub(super) fn exited(&mut self, exit: ChildExit) {
        if let Some(run) = self
            .run
            .as_mut()
            .filter(|run| run.running.child.pid() == exit.pid)
        {
            run.exit = Some(exit.how);
            // Somebody else may have its output.
            let (messages, number) = (self.messages.clone(), run.number);
            thread::spawn(move || {
                thread::sleep(OUTPUT_LAG);
                let _ = messages.send(Message::Wrote(number, Vec::new()));
            });
            return;
        }
        // One that waited was ended by somebody.
        let is_this = |program: &Tested| match &program.process {
            Process::Ready(running, _) => running.child.pid() == exit.pid,
            Process::None | Process::Making(..) | Process::Runs(_) => false,
        };
        if let Some(index) = self.programs.iter().position(is_this) {
            self.stand_by(index);
        }
    }

    /// What a worker asks when it could let a process go sooner than the exact lane has its word.
    pub(super) fn chooser(&self, index: usize) -> Choose {
        let (desk, messages) = (self.desk.clone(), self.messages.clone());
        let build = self.builds;
        Box::new(move |reach| {
            let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
            if desk.is_busy {
                return None;
            }
            let choice = desk.choices.get(&index)?;
            let mut names: BTreeSet<String> = choice
                .known
                .intersection(&reach.functions)
                .cloned()
                .collect();
            names.extend(choice.due.iter().cloned());
            if names.is_empty() {
                return None;
            }
            let words = exactly(&names, &choice.words);
            let _ = messages.send(Message::Went(build, index, names));
            desk.choices.remove(&index);
            desk.is_busy = true;
            Some(words)
        })
    }

    /// Its worker has let a process go.
    pub(super) fn went(&mut self, index: usize, names: BTreeSet<String>) {
        let program = &mut self.programs[index];
        program.due.extend(names);
        program.is_rest_due = true;
        self.round.differs = true;
        match std::mem::replace(&mut program.process, Process::None) {
            Process::Ready(running, number) => {
                self.begin_run(index, running, number, Kind::Reached);
            }
            other => {
                program.process = other;
                self.desk().is_busy = false;
            }
        }
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the worker of a program know which tests it may run at once.
    pub(super) fn offer(&self, index: usize) {
        let program = &self.programs[index];
        let mut desk = self.desk();
        match &program.known {
            Some(known) if !program.starts_programs => {
                let due = program.due.union(&program.failed).cloned().collect();
                let choice = Choice {
                    known: known.clone(),
                    due,
                    words: self.options(),
                };
                desk.choices.insert(index, choice);
            }
            _ => drop(desk.choices.remove(&index)),
        }
    }

    /// What libtest is told beside the names of tests.
    pub(super) fn options(&self) -> Vec<String> {
        let mut words = program::others(&self.args.args);
        words.extend(self.colour().iter().map(|word| (*word).to_owned()));
        words
    }

    /// What libtest is told of colours: its output is not the terminal.
    pub(super) fn colour(&self) -> &'static [&'static str] {
        let is_said = self.args.args.iter().any(|arg| arg.starts_with("--color"));
        match is_said || !self.report.paint().color {
            true => &[],
            false => &["--color", "always"],
        }
    }

    /// What a test program is told.
    pub(super) fn words(&self, kind: Kind, index: usize) -> Vec<OsString> {
        let program = &self.programs[index];
        match (kind, &program.known) {
            (Kind::Reached, Some(_)) => exactly(&program.due, &self.options()),
            (Kind::Others, Some(known)) if !program.done.is_empty() => {
                let others = known.difference(&program.done).cloned().collect();
                exactly(&others, &self.options())
            }
            (_, known) => {
                let name = self.args.name.iter().chain(&self.args.args);
                let colour = match known {
                    Some(_) => self.colour(),
                    None => &[],
                };
                let words = name.map(String::as_str).chain(colour.iter().copied());
                words.map(OsString::from).collect()
            }
        }
    }

    pub(super) fn begin_run(
        &mut self,
        index: usize,
        running: Arc<Running>,
        number: u64,
        kind: Kind,
    ) {
        self.desk().is_busy = true;
        let program = &mut self.programs[index];
        program.process = Process::Runs(running.clone());
        self.report
            .runs_tests(&program.program.title, &program.program.base.program);
        self.run = Some(Run {
            program: index,
            running,
            number,
            kind,
            output: Output::default(),
            began: Instant::now(),
            exit: None,
            has_written_all: false,
            is_ended: false,
        });
    }

    /// Ends the run that is under way: what it has not come to is still to be run.
    pub(super) fn end_run(&mut self) {
        if let Some(run) = &mut self.run {
            run.is_ended = true;
            run.running.child.signal(Signal::KILL);
        }
    }
}

/// Passes on what a process writes, as long as somebody takes it.
fn pass_on(mut reader: PipeReader, number: u64, messages: &Sender<Message>) {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let read = reader.read(&mut bytes).unwrap_or(0);
        let is_taken = messages.send(Message::Wrote(number, bytes[..read].to_vec()));
        if read == 0 || is_taken.is_err() {
            return;
        }
    }
}
