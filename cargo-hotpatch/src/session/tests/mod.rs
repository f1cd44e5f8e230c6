//! `cargo hotpatch test`: the tests of a project, run at each save.
//!
//! Each program with tests has a worker, as the program of `cargo hotpatch run` has one. What differs is the process: it
//! waits before its `main`, gets whatever is saved, and goes there to run tests once; then the next one waits. So no state is
//! left from one run to the next, and every edit can go into it.
//!
//! A save goes through these steps: whatever runs is ended; the workers compile, and tell which functions lead to what
//! differs; tests that do, and those that failed last, are run; then, unless that is not wanted, the others.

mod output;
mod program;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::io::{PipeReader, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_128;

use self::output::Output;
use self::program::{Process, Tested, exactly};
use super::exact::{Reach, SharedCompiles};
use super::outcome::Outcome;
use super::program::{self as programs, Running, Supplies};
use super::worker::{Choose, ForTests, Renewed, Said, Tools, Worker};
use crate::args::TestArgs;
use crate::build::base::{self, BuildError, TestProgram};
use crate::build::capture::Unit;
use crate::build::diagnostics::Diagnostic;
use crate::build::project::{Project, real_manifest};
use crate::command::CancelToken;
use crate::run::child::{ChildExit, ExitHow, TERM_GRACE};
use crate::run::client::private_folder;
use crate::run::listen::Sockets;
use crate::run::signals::{Interrupt, Interrupts};
use crate::run::watch::{Change, Watched, Watcher, Watchlist};
use crate::source::items::plain;
use crate::ui::events::{self, Event, EventLog, Milliseconds, Tests};
use crate::ui::keys::Keys;
use crate::ui::report::{Report, Verbosity};
use crate::ui::terminal::Terminal;
use crate::ui::tests::Tally;

/// Exit status where a test failed, or the tests do not build, as cargo has it.
const FAILED: u8 = 101;
const INTERRUPTED: u8 = 130;

/// How often a program is started that cannot be reached.
const TRIES: u32 = 2;

/// What a program wrote before it ended comes within this time, unless somebody else has its output.
const OUTPUT_LAG: Duration = Duration::from_millis(500);

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
    if let Some(target) = args
        .build
        .target
        .iter()
        .find(|target| *target != base::HOST)
    {
        bail!(
            "`--target {target}`: only tests for `{}` can be patched",
            base::HOST
        );
    }
    let mut args = args.clone();
    args.build.manifest_path = args.build.manifest_path.as_deref().map(real_manifest);
    let project = Project::find_tests(&args.build)?;
    let log = match &args.events {
        Some(path) => {
            EventLog::open(path).with_context(|| format!("failed to open `{}`", path.display()))?
        }
        None => EventLog::none(),
    };
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

/// A run of tests in one process.
struct Run {
    program: usize,
    running: Arc<Running>,
    number: u64,
    kind: Kind,
    output: Output,
    began: Instant,
    exit: Option<ExitHow>,
    has_written_all: bool,
    /// It was ended because of a save.
    is_ended: bool,
}

/// What workers are told, for runs that they begin themselves.
#[derive(Default)]
struct Desk {
    /// Tests are run.
    is_busy: bool,
    /// What each program may run.
    choices: BTreeMap<usize, Choice>,
}

/// Which tests of a program may be run.
struct Choice {
    known: BTreeSet<String>,
    /// Those that are run in any case.
    due: BTreeSet<String>,
    /// What libtest is told beside their names.
    words: Vec<String>,
}

/// Which tests are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// All of the program.
    All,
    /// Those that lead to what has changed, and those that failed.
    Reached,
    /// The others.
    Others,
}

/// What became of a save so far.
struct Round {
    at: Instant,
    /// It is one of a start, or somebody asked for it: all tests are run at once.
    is_of_all: bool,
    reached: Tally,
    others: Tally,
    told_of_reached: bool,
    told_of_all: bool,
    differs: bool,
    has_failed_to_compile: bool,
    /// What was said of it, as several programs have the same crates.
    said: BTreeSet<String>,
}

impl Round {
    fn new(at: Instant) -> Self {
        Self {
            at,
            is_of_all: false,
            reached: Tally::default(),
            others: Tally::default(),
            told_of_reached: false,
            told_of_all: false,
            differs: false,
            has_failed_to_compile: false,
            said: BTreeSet::new(),
        }
    }
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
        let messages = self.messages.clone();
        let project = self.project.clone();
        let included = self.included.clone();
        let of_interest = move |path: &Path| {
            let included = included.lock().unwrap_or_else(PoisonError::into_inner);
            path.extension().is_some_and(|extension| extension == "rs")
                || project.decides_the_build(path)
                || included.values().any(|files| files.contains(path))
        };
        let list = Watchlist {
            roots: self.project.folders(),
            excluded: vec![self.project.target_dir().to_owned()],
        };
        let watcher = Watcher::new(list, of_interest, move |watched| {
            let _ = messages.send(Message::Watched(watched));
        })?;
        Ok(watcher)
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

    /// Has the worker of a program know which tests it may run at once.
    fn offer(&self, index: usize) {
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
    fn options(&self) -> Vec<String> {
        let mut words = program::others(&self.args.args);
        words.extend(self.colour().iter().map(|word| (*word).to_owned()));
        words
    }

    /// What libtest is told of colours: its output is not the terminal.
    fn colour(&self) -> &'static [&'static str] {
        let is_said = self.args.args.iter().any(|arg| arg.starts_with("--color"));
        match is_said || !self.report.paint().color {
            true => &[],
            false => &["--color", "always"],
        }
    }

    /// Ends the run that is under way: what it has not come to is still to be run.
    fn end_run(&mut self) {
        if let Some(run) = &mut self.run {
            run.is_ended = true;
            run.running.child.signal(Signal::KILL);
        }
    }

    fn said(&mut self, index: usize, said: Said) {
        let program = &mut self.programs[index];
        match said {
            Said::Included(files) => {
                let mut included = self.included.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(watcher) = &self.watcher {
                    let folders: BTreeSet<&Path> =
                        files.iter().filter_map(|file| file.parent()).collect();
                    let roots = self.project.folders();
                    let outside =
                        |folder: &&Path| !roots.iter().any(|root| folder.starts_with(root));
                    folders
                        .into_iter()
                        .filter(outside)
                        .for_each(|folder| watcher.also(folder));
                }
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
                    self.round.has_failed_to_compile = true;
                }
            }
            Said::Ready(..)
            | Said::Same
            | Said::Confirmed(..)
            | Said::Began(_)
            | Said::TakenBack(_)
            | Said::Prepared
            | Said::Live(_)
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

    /// Starts a process of a program. What it writes comes as messages with its number.
    fn launch(&mut self, index: usize, words: &[OsString]) -> Result<(Arc<Running>, u64)> {
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

    /// What a worker asks when it could let a process go sooner than the exact lane has its word.
    fn chooser(&self, index: usize) -> Choose {
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
    fn went(&mut self, index: usize, names: BTreeSet<String>) {
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

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a program from nothing, with all its tests.
    fn start(&mut self, index: usize) -> Result<()> {
        let words = self.words(Kind::All, index);
        let (running, number) = self.launch(index, &words)?;
        let (messages, with) = (self.messages.clone(), running.clone());
        let build = self.builds;
        let tools = Tools {
            project: self.project.clone(),
            base: self.programs[index].program.base.clone(),
            folder: running.rendezvous.folder().to_owned(),
            connect: Box::new(move |image| with.connect(image)),
            is_held: true,
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

    fn begin_run(&mut self, index: usize, running: Arc<Running>, number: u64, kind: Kind) {
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

    /// What a test program is told.
    fn words(&self, kind: Kind, index: usize) -> Vec<OsString> {
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

    /// Has the next process of a program made ready.
    fn stand_by(&mut self, index: usize) {
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
            worker.renew_later(connect, running.rendezvous.folder(), move |renewed| {
                let _ = messages.send(Message::StoodBy(number, renewed));
            });
        }
        program.process = Process::Making(running, number);
    }

    fn stood_by(&mut self, number: u64, renewed: Result<Renewed>) {
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
            Ok(Renewed::NeedsBuild(why)) => {
                program.is_pending = false;
                self.needs_build = Some(why);
            }
            Err(error) => {
                program.is_pending = false;
                self.needs_build = Some(format!("{error:#}"));
            }
        }
    }

    fn exited(&mut self, exit: ChildExit) {
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

    /// Does what can be done now.
    fn go_on(&mut self) -> Result<Next> {
        if let Some(run) = &self.run {
            if run.exit.is_none() || !run.has_written_all {
                return Ok(Next::GoOn);
            }
            if let Some(run) = self.run.take() {
                self.take_results(&run);
            }
        }
        // A worker has let a process go just now.
        if self.desk().is_busy {
            return Ok(Next::GoOn);
        }
        if let Some(index) = self.todo.pop_front() {
            self.start(index)?;
            return Ok(Next::GoOn);
        }
        let is_pending = self.programs.iter().any(|program| program.is_pending);
        if self.needs_build.is_some() && !is_pending {
            return self.build_anew();
        }
        if self.round.has_failed_to_compile && !is_pending {
            if !std::mem::replace(&mut self.round.told_of_all, true) {
                self.write_tested();
            }
            self.read_keys();
            return Ok(Next::GoOn);
        }
        if let Some(index) = self.ready_for(Kind::Reached) {
            self.release(index, Kind::Reached)?;
            return Ok(Next::GoOn);
        }
        let is_due = |program: &Tested| !program.due.is_empty();
        if is_pending || self.programs.iter().any(is_due) {
            return Ok(Next::GoOn);
        }
        self.tell_of_reached();
        if let Some(index) = self.ready_for(Kind::Others) {
            self.release(index, Kind::Others)?;
            return Ok(Next::GoOn);
        }
        if self.programs.iter().any(|program| program.is_rest_due) {
            return Ok(Next::GoOn);
        }
        Ok(self.tell_of_all())
    }

    /// A program that can run tests of this kind now.
    fn ready_for(&mut self, kind: Kind) -> Option<usize> {
        let affected = self.args.affected && !self.round.is_of_all;
        for program in &mut self.programs {
            // Of a program that is not libtest's nothing is known of its tests.
            if program.known.is_none() && !program.due.is_empty() {
                program.due.clear();
            }
            if program.is_rest_due && affected && program.known.is_some() {
                program.is_rest_due = false;
            }
        }
        // What is being made ready reads what cargo would write.
        let is_making = |program: &Tested| matches!(program.process, Process::Making(..));
        let must_wait = self.are_programs_stale && self.programs.iter().any(is_making);
        self.programs.iter().position(|program| {
            if program.starts_programs && must_wait {
                return false;
            }
            let is_due = match kind {
                Kind::Reached => !program.due.is_empty(),
                Kind::All | Kind::Others => program.is_rest_due,
            };
            is_due && !program.is_pending && matches!(program.process, Process::Ready(..))
        })
    }

    /// Lets the process of a program run tests.
    fn release(&mut self, index: usize, kind: Kind) -> Result<()> {
        if self.programs[index].starts_programs && self.are_programs_stale && !self.build_programs()
        {
            self.programs[index].due.clear();
            self.programs[index].is_rest_due = false;
            return Ok(());
        }
        let program = &self.programs[index];
        let is_all_done = program
            .known
            .as_ref()
            .is_some_and(|known| kind == Kind::Others && known.is_subset(&program.done));
        if is_all_done && !program.done.is_empty() {
            self.programs[index].is_rest_due = false;
            return self.go_on().map(drop);
        }
        let words = self.words(kind, index);
        let program = &mut self.programs[index];
        let Process::Ready(running, number) =
            std::mem::replace(&mut program.process, Process::None)
        else {
            return Ok(());
        };
        let released = match &program.worker {
            Some(worker) => worker.release(Some(words)),
            None => return Ok(()),
        };
        match released {
            Ok(()) => self.begin_run(index, running, number, kind),
            // It was ended: there will be another one.
            Err(_) => self.stand_by(index),
        }
        Ok(())
    }

    /// Has cargo build what tests may start. Says itself why that is not possible.
    fn build_programs(&mut self) -> bool {
        self.report.programs_are_built();
        let built = base::build_programs(&self.project, &self.args.build, self.args, &self.ending);
        match built {
            Ok(()) => {
                self.are_programs_stale = false;
                true
            }
            Err(error) => {
                self.report
                    .setback("build the programs that tests may start", &error);
                self.round.has_failed_to_compile = true;
                false
            }
        }
    }

    /// Takes in what came of a run.
    fn take_results(&mut self, run: &Run) {
        self.desk().is_busy = false;
        let program = &mut self.programs[run.program];
        if let Some(worker) = &program.worker {
            worker.halt();
        }
        program.process = Process::None;
        let counts = run.output.counts();
        let failed = run.output.failed();
        let seen: BTreeSet<String> = run.output.ended.keys().cloned().collect();
        program.failed.retain(|name| !seen.contains(name));
        program
            .failed
            .extend(failed.iter().map(|test| test.name.clone()));
        if let Some(known) = &mut program.known {
            known.extend(seen.iter().cloned());
        }
        program.done.extend(seen.iter().cloned());
        program.due.retain(|name| !seen.contains(name));
        let exit = run.exit.unwrap_or(ExitHow::Code(1));
        let has_libtest = program.known.is_some();
        let ended = match exit {
            _ if run.is_ended => None,
            ExitHow::Code(0) => None,
            ExitHow::Code(code) if has_libtest && code == i32::from(FAILED) => None,
            ExitHow::Code(code) => Some(format!("ended with status {code}")),
            ExitHow::Signal(signal) => Some(format!("was ended by signal {signal}")),
        };
        if !run.is_ended {
            program.has_crashed = ended.is_some();
            match run.kind {
                Kind::Reached => {
                    // Names that are no tests, or no more.
                    let gone = std::mem::take(&mut program.due);
                    if let Some(known) = &mut program.known {
                        known.retain(|name| !gone.contains(name));
                    }
                    program.failed.retain(|name| !gone.contains(name));
                }
                Kind::All | Kind::Others => program.is_rest_due = false,
            }
            let tally = match run.kind {
                Kind::Reached => &mut self.round.reached,
                Kind::All | Kind::Others => &mut self.round.others,
            };
            let own = usize::from(!has_libtest);
            tally.run += counts.passed + counts.failed + counts.ignored + own;
            tally.passed += counts.passed + own * usize::from(ended.is_none());
            tally
                .failed
                .extend(failed.iter().map(|test| test.name.clone()));
            tally.took += run.began.elapsed();
            if let Some(ended) = &ended {
                self.report
                    .test_program_ended(&program.program.title, ended);
                tally.failed.push(program.program.title.clone());
            }
            let count = program.count();
            let event = Tests {
                program: program.program.title.clone(),
                package: program.program.package.name.to_string(),
                affected: run.kind == Kind::Reached,
                run: seen.into_iter().collect(),
                passed: counts.passed,
                ignored: counts.ignored,
                skipped: count.saturating_sub(counts.passed + counts.failed + counts.ignored),
                failed,
                ended,
                ms: Milliseconds(run.began.elapsed()),
                since_save: Some(Milliseconds(self.round.at.elapsed())),
            };
            self.write(Event::Tests(event));
        }
        let program = &self.programs[run.program];
        let fails_fast = self.args.once && !self.args.no_fail_fast && !program.is_well();
        if fails_fast {
            self.todo.clear();
        }
        if !self.args.once {
            self.stand_by(run.program);
        }
    }

    fn write(&self, event: Event) {
        if let Err(error) = self.log.write(event, None) {
            self.report.setback("write to the events file", &error);
        }
    }

    /// All that was due was run, or does not compile.
    fn write_tested(&self) {
        let failing = self.programs.iter().flat_map(|program| {
            let title = program.has_crashed.then(|| program.program.title.clone());
            program.failed.iter().cloned().chain(title)
        });
        self.write(Event::Tested(events::Tested {
            reached: self.round.reached.run,
            others: self.round.others.run,
            failing: failing.collect(),
            broken: self.round.has_failed_to_compile,
            since_save: Milliseconds(self.round.at.elapsed()),
        }));
    }

    fn tell_of_reached(&mut self) {
        if self.round.is_of_all || std::mem::replace(&mut self.round.told_of_reached, true) {
            return;
        }
        let all = self.programs.iter().map(Tested::count).sum();
        if self.round.reached.run > 0 {
            self.report
                .tests_reached(&self.round.reached, all, self.round.at.elapsed());
        } else if self.round.differs {
            self.report.no_tests_reached(all);
        } else {
            self.report.nothing_to_test();
        }
    }

    fn tell_of_all(&mut self) -> Next {
        if std::mem::replace(&mut self.round.told_of_all, true) {
            return Next::GoOn;
        }
        if self.round.is_of_all {
            self.report.all_tests(&self.round.others);
        } else if self.round.others.run > 0 {
            self.report.other_tests(&self.round.others);
        }
        self.write_tested();
        if self.args.once {
            return Next::End(self.status());
        }
        self.read_keys();
        if !std::mem::replace(&mut self.told_of_doc_tests, true) {
            let mut targets = self.project.members().flat_map(|package| &package.targets);
            let has_doc_tests =
                !self.args.selects_targets() && targets.any(|of| of.doctest && of.is_lib());
            self.report.tests_wait(has_doc_tests, self.keys.is_some());
        }
        Next::GoOn
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

impl Tested {
    /// Takes in what differs since its tests were run last.
    fn take_reach(&mut self, reach: Reach, round: &mut Round) {
        round.differs |= reach.differs;
        self.is_rest_due |= reach.differs;
        let Some(known) = &self.known else {
            return;
        };
        let is_test = |name: &String| known.contains(name) || reach.added.contains(name);
        self.due
            .extend(reach.functions.iter().filter(|name| is_test(name)).cloned());
        if reach.differs {
            self.due.extend(self.failed.iter().cloned());
        }
    }
}

/// Has a process ended that still waits when the session ends.
impl Drop for Tested {
    fn drop(&mut self) {
        // The worker goes first: it works on the process.
        self.worker = None;
        if let Process::Making(running, _) | Process::Ready(running, _) | Process::Runs(running) =
            &self.process
        {
            running
                .child
                .terminate(TERM_GRACE.min(Duration::from_millis(500)));
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
