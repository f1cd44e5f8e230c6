//! `cargo hotpatch test`: the tests of a project, run at each save.
//!
//! Each program with tests has a worker, as the program of `cargo hotpatch run` has one. What differs is the process: it
//! waits before its `main`, gets whatever is saved, and goes there to run tests once; then the next one waits. So no state is
//! left from one run to the next, and every edit can go into it.
//!
//! A save goes through these steps: whatever runs is ended; the workers compile, and tell which functions lead to what
//! differs; tests that do, and those that failed last, are run; then, unless that is not wanted, the others.

mod output;
mod processes;
mod program;
mod runs;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_128;

use self::processes::Desk;
use self::program::{Process, Tested};
use self::runs::{Round, Run};
use super::exact::SharedCompiles;
use super::outcome::Outcome;
use super::setup;
use super::worker::{Renewed, Said};
use crate::args::TestArgs;
use crate::build::base::{self, BuildError, TestProgram};
use crate::build::capture::Unit;
use crate::build::diagnostics::Diagnostic;
use crate::build::project::{Project, real_manifest};
use crate::command::CancelToken;
use crate::run::child::ChildExit;
use crate::run::client::private_folder;
use crate::run::signals::{Interrupt, Interrupts};
use crate::run::watch::{Change, Watched, Watcher};
use crate::source::items::plain;
use crate::ui::events::EventLog;
use crate::ui::keys::Keys;
use crate::ui::report::{Report, Verbosity};
use crate::ui::terminal::Terminal;

/// Exit status where a test failed, or the tests do not build, as cargo has it.
const FAILED: u8 = 101;
const INTERRUPTED: u8 = 130;

/// How often a program is started that cannot be reached.
const TRIES: u32 = 2;

enum Message {
    Watched(Watched),
    /// What the worker of a program says, with the build that the program is of.
    Said(u64, usize, Said),
    /// A process is ready, or cannot be had.
    StoodBy(u64, Result<Renewed>),
    Exited(ChildExit),
    Interrupt(Interrupt),
    Key(u8),
    /// The process of a program runs these tests, as its worker has let it go.
    Went(u64, usize, BTreeSet<String>),
    /// What a process wrote; nothing more if there are no bytes.
    Wrote(u64, Vec<u8>),
}

/// Runs `cargo hotpatch test` to its end and gives back its exit status.
///
/// # Errors
/// There is nothing to test, or the session cannot be set up.
pub fn run(args: &TestArgs) -> Result<u8> {
    let report = Report::new(
        Terminal::of_stderr(args.build.color),
        Verbosity::from_flags(args.build.quiet, args.build.verbose),
    );
    setup::check_target(&args.build, "tests")?;
    let mut args = args.clone();
    args.build.manifest_path = args.build.manifest_path.as_deref().map(real_manifest);
    let project = Project::find_tests(&args.build)?;
    let log = setup::event_log(args.events.as_deref())?;
    if let Some(profile) = base::profile_with_lto(&project, &args.build) {
        report.lto_is_off(&profile);
    }
    let (messages, inbox) = channel();
    let ending = CancelToken::new();
    let _interrupts = {
        let (messages, ending) = (messages.clone(), ending.clone());
        Interrupts::listen(move |interrupt| {
            ending.cancel();
            let _ = messages.send(Message::Interrupt(interrupt));
        })
        .context("failed to listen for signals")?
    };
    let mut session = Session {
        args: &args,
        project,
        report,
        log,
        messages,
        inbox,
        ending,
        included: Arc::default(),
        desk: Arc::default(),
        texts: Seen::default(),
        shared: Arc::default(),
        nothing_kept: private_folder()?,
        programs: Vec::new(),
        builds: 0,
        launched: 0,
        todo: VecDeque::new(),
        run: None,
        round: Round::new(Instant::now()),
        needs_build: None,
        are_programs_stale: false,
        keys: None,
        told_of_doc_tests: false,
        watcher: None,
    };
    session.run()
}

struct Session<'a> {
    args: &'a TestArgs,
    project: Project,
    report: Report,
    log: EventLog,
    messages: Sender<Message>,
    inbox: Receiver<Message>,
    ending: CancelToken,
    /// Files of interest that no rule names, by program.
    included: Arc<Mutex<BTreeMap<usize, BTreeSet<PathBuf>>>>,
    desk: Arc<Mutex<Desk>>,
    /// The files as they were looked at last.
    texts: Seen,
    /// What the programs have in common.
    shared: Arc<SharedCompiles>,
    /// No test keeps values over a restart.
    nothing_kept: TempDir,
    programs: Vec<Tested>,
    /// How often the programs were built.
    builds: u64,
    /// How many processes were started.
    launched: u64,
    /// Programs that are to run all their tests, from a fresh start.
    todo: VecDeque<usize>,
    run: Option<Run>,
    round: Round,
    /// Why the programs have to be built, if they have.
    needs_build: Option<String>,
    /// What tests may start is older than the sources.
    are_programs_stale: bool,
    keys: Option<Keys>,
    told_of_doc_tests: bool,
    watcher: Option<Watcher>,
}

enum Next {
    GoOn,
    End(u8),
}

impl Session<'_> {
    fn run(&mut self) -> Result<u8> {
        self.watcher = Some(self.watch()?);
        let programs = match self.build() {
            Ok(programs) => programs,
            Err(_) if self.ending.is_cancelled() => return Ok(INTERRUPTED),
            Err(BuildError::Failed { code }) => return Ok(u8::try_from(code).unwrap_or(FAILED)),
            Err(BuildError::Unsupported(why)) => bail!("{why}"),
            Err(BuildError::Other(error)) => return Err(error),
        };
        if self.args.no_run {
            return Ok(0);
        }
        self.begin_with(programs)?;
        loop {
            let message = self
                .inbox
                .recv()
                .context("the session has lost its messages")?;
            let next = self.take(message)?;
            let next = match next {
                Next::GoOn => self.go_on()?,
                end @ Next::End(_) => end,
            };
            if let Next::End(status) = next {
                self.end_run();
                return Ok(status);
            }
        }
    }

    fn watch(&self) -> Result<Watcher> {
        let (messages, included) = (self.messages.clone(), self.included.clone());
        let is_included = move |path: &Path| {
            let included = included.lock().unwrap_or_else(PoisonError::into_inner);
            included.values().any(|files| files.contains(path))
        };
        setup::watch(&self.project, is_included, move |watched| {
            let _ = messages.send(Message::Watched(watched));
        })
    }

    fn build(&self) -> Result<Vec<TestProgram>, BuildError> {
        base::build_tests(
            &self.project,
            &self.args.build,
            &self.args.selection(),
            &self.ending,
            None,
        )
    }

    /// All tests of these programs are to be run, one program after the other.
    fn begin_with(&mut self, programs: Vec<TestProgram>) -> Result<()> {
        self.programs.clear();
        *self.desk() = Desk::default();
        self.builds += 1;
        let manifests = self
            .project
            .members()
            .map(|of| of.manifest_path.as_std_path());
        let lock = self.project.metadata.workspace_root.join("Cargo.lock");
        let sources = programs.iter().flat_map(|program| &program.base.units);
        let sources: Vec<PathBuf> = sources.flat_map(Unit::files).collect();
        let known = manifests.chain([lock.as_std_path()]);
        for path in known.chain(sources.iter().map(PathBuf::as_path)) {
            self.texts.differs(path);
        }
        self.programs = programs
            .into_iter()
            .map(|program| Tested::new(program, self.args))
            .collect();
        self.todo = (0..self.programs.len()).collect();
        self.round.is_of_all = true;
        self.are_programs_stale = false;
        if self.programs.is_empty() {
            self.report.nothing_to_test();
        }
        self.go_on().map(drop)
    }

    fn take(&mut self, message: Message) -> Result<Next> {
        match message {
            Message::Watched(Watched::Change(change)) => self.saved(&change),
            Message::Watched(Watched::Failed(error)) => {
                self.report.setback("watch the sources", &error);
            }
            Message::Said(build, program, said) if build == self.builds => {
                self.said(program, said);
            }
            Message::Said(..) => {}
            Message::Went(build, program, names) if build == self.builds => {
                self.went(program, names);
            }
            Message::Went(..) => {}
            Message::StoodBy(number, renewed) => self.stood_by(number, renewed),
            Message::Exited(exit) => self.exited(exit),
            Message::Wrote(number, bytes) => {
                if let Some(run) = self.run.as_mut().filter(|run| run.number == number) {
                    run.has_written_all |= bytes.is_empty();
                    run.output.take(&bytes);
                    if !run.is_ended {
                        self.report.tests_say(&bytes);
                    }
                }
            }
            Message::Interrupt(interrupt) => {
                let is_asked = interrupt.signal == Signal::INT.as_raw();
                let status = match is_asked {
                    true => self.status(),
                    false => u8::try_from(128 + interrupt.signal).unwrap_or(INTERRUPTED),
                };
                let is_running = self.run.is_some() || !self.todo.is_empty();
                return Ok(Next::End(match is_running {
                    true => u8::try_from(128 + interrupt.signal).unwrap_or(INTERRUPTED),
                    false => status,
                }));
            }
            Message::Key(key) => return Ok(self.key(key)),
        }
        Ok(Next::GoOn)
    }

    /// The exit status of a session that ends now.
    fn status(&self) -> u8 {
        let is_well = self.needs_build.is_none()
            && !self.round.has_failed_to_compile
            && self.programs.iter().all(Tested::is_well);
        if is_well { 0 } else { FAILED }
    }

    fn key(&mut self, key: u8) -> Next {
        match key {
            b'q' => return Next::End(self.status()),
            b'a' => self.run_again(|program| {
                program.due.clear();
                program.done.clear();
                program.is_rest_due = true;
            }),
            b'f' if self.programs.iter().all(Tested::is_well) => self.report.no_test_failed(),
            b'f' => self.run_again(|program| {
                program.due = program.failed.clone();
                program.is_rest_due = program.has_crashed;
            }),
            b'?' => self.report.tests_wait(false, true),
            _ => {}
        }
        Next::GoOn
    }

    /// Runs tests again without a save.
    fn run_again(&mut self, choose: impl Fn(&mut Tested)) {
        if self.run.is_some() || self.needs_build.is_some() {
            return;
        }
        self.round = Round::new(Instant::now());
        self.round.is_of_all = true;
        self.round.differs = true;
        self.programs.iter_mut().for_each(choose);
        for index in 0..self.programs.len() {
            if matches!(self.programs[index].process, Process::None) {
                self.stand_by(index);
            }
        }
    }

    fn saved(&mut self, change: &Change) {
        // cargo itself writes `Cargo.lock`, and some editors write what is there already.
        if !change.rescan && !change.paths.iter().any(|path| self.texts.differs(path)) {
            return;
        }
        self.round = Round::new(change.first_event);
        self.are_programs_stale = true;
        self.end_run();
        if self.needs_build.is_some() {
            return;
        }
        for index in 0..self.programs.len() {
            let program = &mut self.programs[index];
            program.done.clear();
            // One that was not started yet runs what was built first, and gets the rest after that.
            program.is_pending = program.worker.is_some();
            self.offer(index);
            let program = &mut self.programs[index];
            if matches!(program.process, Process::Ready(..)) {
                program.saves += 1;
            }
            match (&program.process, &program.worker) {
                (Process::Ready(..), Some(worker)) => worker.save(Change {
                    paths: change.paths.clone(),
                    first_event: change.first_event,
                    rescan: change.rescan,
                }),
                (Process::Runs(_), _) => {}
                (Process::None | Process::Making(..) | Process::Ready(..), _) => {
                    self.stand_by(index);
                }
            }
        }
    }

    fn said(&mut self, index: usize, said: Said) {
        let program = &mut self.programs[index];
        match said {
            Said::Included(files) => {
                setup::watch_also(self.watcher.as_ref(), &self.project, &files);
                let mut included = self.included.lock().unwrap_or_else(PoisonError::into_inner);
                included.insert(index, files);
            }
            Said::Reach(reach) => program.take_reach(reach, &mut self.round),
            Said::Ready(..) if matches!(program.process, Process::Ready(..)) => {
                program.is_pending = false;
            }
            Said::Settled(saves, _) => {
                // While a process is made ready, it is that which tells.
                let has_process = matches!(program.process, Process::Ready(..) | Process::Runs(_));
                if has_process && saves >= program.saves {
                    program.is_pending = false;
                }
            }
            Said::Verdict(verdict) => match verdict.outcome {
                Ok(Outcome::Patched(_) | Outcome::Unchanged) => {}
                Ok(Outcome::Broken(found)) => self.broken(&found),
                Ok(Outcome::Refused(refusal)) => self.needs_build = Some(refusal.message),
                Err(error) => self.needs_build = Some(format!("{error:#}")),
            },
            Said::Words(line) => self.report.words(&line),
            Said::Lost(error, _) => {
                program.is_pending = false;
                program.worker = None;
                let run = self.run.as_mut().filter(|run| run.program == index);
                // One that a save has ended before it was reached is started again.
                let is_ours = run.as_ref().is_some_and(|run| run.is_ended);
                program.times_lost += u32::from(!is_ours);
                if let Some(run) = run {
                    run.is_ended = true;
                    run.running.child.signal(Signal::KILL);
                }
                if program.times_lost < TRIES {
                    self.todo.push_back(index);
                } else {
                    self.report.setback("reach a test program", error.as_ref());
                    // It is among those that fail.
                    self.programs[index].has_crashed = true;
                }
            }
            Said::Ready(..)
            | Said::Same
            | Said::Confirmed(..)
            | Said::Began(_)
            | Said::TakenBack(_)
            | Said::Prepared
            | Said::Live(_)
            | Said::Stepped(..)
            | Said::Guarded(..)
            | Said::Unguarded(_)
            | Said::Tried(..) => {}
        }
    }

    fn broken(&mut self, found: &[Diagnostic]) {
        self.round.has_failed_to_compile = true;
        let rendered: String = found.iter().map(|said| said.rendered.as_str()).collect();
        if self.round.said.insert(rendered.clone()) {
            let text = match self.report.paint().color {
                true => rendered,
                false => anstream::adapter::strip_str(&rendered).to_string(),
            };
            self.report.tests_broken(&text);
        }
    }

    fn read_keys(&mut self) {
        if self.keys.is_none() {
            let messages = self.messages.clone();
            self.keys = Keys::read(self.report.screen(), move |key| {
                let _ = messages.send(Message::Key(key));
            })
            .ok();
        }
    }

    /// Builds the programs, and runs all tests.
    fn build_anew(&mut self) -> Result<Next> {
        let Some(why) = self.needs_build.take() else {
            return Ok(Next::GoOn);
        };
        self.report.tests_are_built(&why);
        self.keys = None;
        // The build writes what workers read.
        self.programs.clear();
        let built = Project::find_tests(&self.args.build)
            .map_err(BuildError::Other)
            .and_then(|project| {
                self.project = project;
                self.build()
            });
        let at = self.round.at;
        self.round = Round::new(at);
        match built {
            Ok(programs) => {
                // The manifest may have brought other folders.
                self.watcher = Some(self.watch()?);
                self.begin_with(programs)?;
            }
            Err(_) if self.ending.is_cancelled() => return Ok(Next::End(INTERRUPTED)),
            Err(error) => {
                if !matches!(error, BuildError::Failed { .. }) {
                    self.report.setback("build the tests", &error);
                }
                self.round.has_failed_to_compile = true;
                self.needs_build = Some("they have not been built since".to_owned());
                self.write_tested();
                self.read_keys();
                // The next save tries again.
                return self.wait_for_a_save();
            }
        }
        Ok(Next::GoOn)
    }

    /// Nothing can be done before somebody saves.
    fn wait_for_a_save(&mut self) -> Result<Next> {
        loop {
            let message = self
                .inbox
                .recv()
                .context("the session has lost its messages")?;
            match message {
                Message::Watched(Watched::Change(change)) => {
                    self.round = Round::new(change.first_event);
                    return Ok(Next::GoOn);
                }
                Message::Key(b'q') => return Ok(Next::End(FAILED)),
                Message::Interrupt(_) => return Ok(Next::End(FAILED)),
                _ => {}
            }
        }
    }
}

/// Hashes of files.
#[derive(Debug, Default)]
struct Seen {
    files: BTreeMap<PathBuf, Option<u128>>,
    /// When the build began: what was written before is in it.
    built: Option<SystemTime>,
}

impl Seen {
    /// Whether a file is another one than when it was looked at last, or was built.
    fn differs(&mut self, path: &Path) -> bool {
        let path = plain(path);
        let now = std::fs::read(&path).ok().map(|bytes| xxh3_128(&bytes));
        let written = std::fs::metadata(&path).and_then(|meta| meta.modified());
        match self.files.insert(path, now) {
            Some(before) => before != now,
            None => written.map_or(true, |written| {
                self.built.is_none_or(|built| written >= built)
            }),
        }
    }
}
