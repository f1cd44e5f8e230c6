//! The session: a program that runs, and what is saved while it does.
//!
//! One thread takes messages (a save, a verdict, the program's end, a signal) and decides; a
//! [`worker`] does what takes time. A failure of a tool never ends the session.

mod exact;
mod guard;
mod heard;
mod ledger;
pub mod outcome;
pub mod program;
mod questions;
mod requests;
mod restart;
mod retries;
mod setup;
mod shown;
mod standby;
mod steps;
pub mod tests;
pub mod texts;
mod verdicts;
pub mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anstream::adapter::strip_str;
use anyhow::{Context, Result, bail};
use hotpatch_rt::news::News;
use rustix::process::Signal;

use self::exact::Fall;
use self::guard::Falls;
use self::ledger::{Desk, Ledger};
use self::program::{Running, Supplies};
use self::requests::Waiting;
use self::restart::{Asked, Kept, With};
use self::retries::{Panicked, Retries};
use self::standby::StandBy;
use self::steps::Steps;
use self::worker::{Renewed, Said, Tools, Worker};
use crate::args::{OnRefuse, RunArgs, SessionFormat};
use crate::build::base::{self, Base, BuildError};
use crate::build::diagnostics::Diagnostic;
use crate::build::project::{Project, real_manifest};
use crate::command::CancelToken;
use crate::control::server::Server;
use crate::control::{Reply, Request};
use crate::plan::codes::Code;
use crate::run::child::{Child, ChildExit, ExitHow, TERM_GRACE};
use crate::run::listen::Sockets;
use crate::run::signals::{Interrupt, Interrupts};
use crate::run::watch::{Change, Watched, Watcher};
use crate::ui::events::{Broken, Event, EventLog, Exited, Ready};
use crate::ui::keys::{Heard, Keys};
use crate::ui::report::{Report, Verbosity};
use crate::ui::terminal::{Terminal, is_attended};

/// Exit status when the project does not build, as `cargo run` has it.
const BUILD_FAILED: u8 = 101;

/// Exit status of a session that was ended before its program began, as a shell has it for Ctrl-C.
const INTERRUPTED: u8 = 130;
/// A program that Ctrl-C has ended is seen to end before Ctrl-C is: how long that may take.
const SIGNAL_LAG: Duration = Duration::from_millis(500);

enum Message {
    Watched(Watched),
    Said(u32, Said),
    Exited(ChildExit),
    Interrupt(Interrupt),
    Keyboard(Heard),
    News(News),
    /// Somebody asks from outside.
    Asked(Request, Sender<Reply>),
    /// A thread of the program panicked or crashed, and waits for this answer.
    Fallen(Fall, Sender<()>),
    /// A call has panicked, and this hears whether it is to be made again.
    Retry(Panicked, Sender<bool>),
    /// All that was saved when somebody began to wait, under this number, has been told.
    Told(u64),
    /// The process of this number waits before its `main`, or cannot be had.
    StoodBy(u64, Result<Renewed>),
}

/// Runs `cargo hotpatch run` to its end and gives back its exit status.
///
/// # Errors
/// There is nothing to run, or the session cannot be set up.
pub fn run(args: &RunArgs) -> Result<u8> {
    let report = Report::new(
        Terminal::of_stderr(args.build.color),
        Verbosity::from_flags(args.build.quiet, args.build.verbose),
    )
    .with_format(args.message_format);
    setup::check_target(&args.build, "programs")?;
    let mut args = args.clone();
    args.build.manifest_path = args.build.manifest_path.as_deref().map(real_manifest);
    let args = &args;
    let project = Project::find(&args.build)?;
    let log = setup::event_log(args.events.as_deref())?;
    let log = match args.message_format {
        SessionFormat::Json => log.said_by(report.screen().clone()),
        SessionFormat::Human | SessionFormat::Short => log,
    };
    if let Some(profile) = base::profile_with_lto(&project, &args.build) {
        report.lto_is_off(&profile);
    }
    let sockets = Sockets::bind(&args.listen)?;
    report.listening(&sockets.addresses());
    let (messages, inbox) = channel();
    let ending = CancelToken::new();
    let interrupts = {
        let messages = messages.clone();
        let ending = ending.clone();
        Interrupts::listen(move |interrupt| {
            // A build under way ends with the session.
            ending.cancel();
            let _ = messages.send(Message::Interrupt(interrupt));
        })
        .context("failed to listen for signals")?
    };
    let on_refuse = args.on_refuse.unwrap_or(if is_attended() {
        OnRefuse::Ask
    } else {
        OnRefuse::Stay
    });
    let ledger = Ledger::new(&project);
    let desk = Desk {
        ledger: ledger.clone(),
        screen: report.screen().clone(),
        messages: Mutex::new(messages.clone()),
    };
    // Without a socket the session is as it was without any.
    let server = Server::open(Arc::new(desk));
    if let Err(error) = &server {
        report.not_reachable(error);
    }
    let mut session = Session {
        args,
        project,
        report,
        log,
        messages,
        inbox,
        ending,
        included: Arc::default(),
        on_refuse,
        decided: BTreeMap::new(),
        program: None,
        resting: None,
        standing_by: None,
        runs_made_ready: 0,
        waits_for: None,
        asked: None,
        keys: None,
        told_of_keys: false,
        sockets: Arc::new(sockets),
        kept: Kept::new()?,
        runs: 0,
        last_exit: None,
        waiting_build: false,
        watcher: None,
        ledger,
        saves: 0,
        held: None,
        waiting: Waiting::default(),
        steps: Steps::new(),
        falls: Falls::default(),
        retries: Retries::default(),
        words: Mutex::default(),
    };
    let status = session.run();
    session.report.screen().put_back();
    session.write_timings();
    drop(interrupts);
    drop(server);
    status
}

struct Session<'a> {
    args: &'a RunArgs,
    project: Project,
    report: Report,
    log: EventLog,
    messages: Sender<Message>,
    inbox: Receiver<Message>,
    /// Cancelled by the request to end.
    ending: CancelToken,
    /// Files of interest that no rule names: what macros included.
    included: Arc<Mutex<BTreeSet<PathBuf>>>,
    on_refuse: OnRefuse,
    /// What was answered once and for all, by code.
    decided: BTreeMap<Code, OnRefuse>,
    program: Option<Program>,
    /// What is left of a program that has ended: the worker can bring a new process of it to life.
    resting: Option<(Worker, Base)>,
    /// The next process, while it is made ready.
    standing_by: Option<StandBy>,
    runs_made_ready: u64,
    /// What is to be said once the waiting process goes.
    waits_for: Option<(Ready, Option<String>)>,
    asked: Option<Asked>,
    keys: Option<Keys>,
    told_of_keys: bool,
    sockets: Arc<Sockets>,
    kept: Kept,
    runs: u32,
    last_exit: Option<ExitHow>,
    waiting_build: bool,
    watcher: Option<Watcher>,
    /// What has happened, for those who ask.
    ledger: Ledger,
    /// How many saves were handed to the program's worker.
    saves: u64,
    /// What was saved while the session is paused.
    held: Option<Vec<Change>>,
    /// Who waits for a verdict.
    waiting: Waiting,
    /// Who waits for a step back or forth.
    steps: Steps,
    falls: Falls,
    retries: Retries,
    /// What cargo said in the last build, if that did not go to the terminal by itself.
    words: Mutex<String>,
}

/// A program with its worker. The worker goes first: it works on the program.
struct Program {
    worker: Worker,
    running: Arc<Running>,
    base: Base,
    /// Why the worker gave up, if it did.
    lost: Option<(Code, String)>,
    /// It waits before its `main`.
    waits: bool,
}

/// What a message led to.
enum Next {
    GoOn,
    End(u8),
}

impl Session<'_> {
    fn run(&mut self) -> Result<u8> {
        self.watcher = Some(self.watch()?);
        match self.build() {
            Ok(base) => self.start(base)?,
            Err(_) if self.ending.is_cancelled() => return Ok(INTERRUPTED),
            Err(BuildError::Failed { code }) => {
                self.report.not_built();
                self.write(Event::Broken(Broken {
                    rendered: self.last_words(),
                    ..Broken::default()
                }));
                return Ok(u8::try_from(code).unwrap_or(BUILD_FAILED));
            }
            Err(BuildError::Unsupported(why)) => bail!("{why}"),
            Err(BuildError::Other(error)) => return Err(error),
        }
        let status = loop {
            let message = self
                .inbox
                .recv()
                .context("the session has lost its messages")?;
            match self.take(message)? {
                Next::GoOn => {}
                Next::End(status) => {
                    self.answer_all();
                    break status;
                }
            }
        };
        self.watcher = None;
        if let Some(program) = self.program.take() {
            drop(program.worker);
            program.running.child.terminate(TERM_GRACE);
            self.report.screen().put_back();
        }
        Ok(status)
    }

    fn watch(&self) -> Result<Watcher> {
        let (messages, included) = (self.messages.clone(), self.included.clone());
        let is_included = move |path: &Path| {
            let included = included.lock().unwrap_or_else(PoisonError::into_inner);
            included.contains(path)
        };
        setup::watch(&self.project, is_included, move |watched| {
            let _ = messages.send(Message::Watched(watched));
        })
    }

    fn build(&self) -> Result<Base, BuildError> {
        let report = &self.report;
        let screen = report.screen();
        let said = &self.words;
        said.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let say = |line: &str| {
            let line = format!("{line}\n");
            *said.lock().unwrap_or_else(PoisonError::into_inner) += &strip_str(&line).to_string();
            report.words(&line);
        };
        let diagnosed = |found: &Diagnostic| report.diagnosed(shown::shown_problem(found));
        let is_short = self.args.message_format == SessionFormat::Short;
        let words = base::Words {
            say: &say,
            are_coloured: report.paint().color,
            diagnosed: is_short.then_some(&diagnosed),
        };
        // Where cargo would write into somebody's picture, where somebody reads along, and where lines are expected that
        // are not its own, its words go the way of ours.
        let is_ours = screen.is_taken()
            || screen.is_heard()
            || self.args.message_format != SessionFormat::Human;
        let words = is_ours.then_some(words);
        report.building();
        // Ctrl-C reaches cargo itself; its end is then the build's.
        base::build(&self.project, &self.args.build, &self.ending, words)
    }

    /// What cargo said in a build that failed.
    fn last_words(&self) -> String {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        match words.trim() {
            "" => "cargo build failed, see its output".to_owned(),
            words => words.to_owned(),
        }
    }

    /// Starts the program of a base. One that is `held` waits before its `main`.
    fn launch(&self, base: &Base, held: bool) -> Result<Arc<Running>> {
        let supplies = Supplies {
            sockets: self.sockets.clone(),
            no_stdin: self.args.no_stdin,
            kept: self.kept.folder(),
            held,
            cwd: None,
            stdout: None,
        };
        let (messages, news) = (self.messages.clone(), self.messages.clone());
        let questions = self.messages.clone();
        let running = program::start(
            base,
            &self.project.config,
            &self.args.args,
            supplies,
            move |told| {
                let _ = news.send(Message::News(told));
            },
            questions::answers(questions),
            move |exit| {
                let _ = messages.send(Message::Exited(exit));
            },
        )?;
        Ok(Arc::new(running))
    }

    fn start(&mut self, base: Base) -> Result<()> {
        self.read_keys(true);
        self.resting = None;
        self.standing_by = None;
        // What the worker before was asked it does not say any more.
        self.cannot_step();
        self.saves = 0;
        self.report.running(&base.program);
        self.runs += 1;
        let run = self.runs;
        // A runner may take its time.
        let is_held = self.project.config.runner.is_none();
        let running = self.launch(&base, is_held)?;
        let messages = self.messages.clone();
        let with = running.clone();
        let tools = Tools {
            project: self.project.clone(),
            base: base.clone(),
            folder: running.rendezvous.folder().to_owned(),
            connect: Box::new(move |image| with.connect(image)),
            is_held,
            was_restarted: run > 1,
            guards: self.args.guard,
            tests: None,
        };
        let worker = Worker::start(tools, move |said| {
            let _ = messages.send(Message::Said(run, said));
        })
        .context("failed to start a thread")?;
        self.ledger.started(running.child.pid());
        self.waiting
            .numbers()
            .for_each(|number| worker.settle(number));
        self.waiting
            .tries()
            .for_each(|number| worker.try_out(number));
        self.program = Some(Program {
            worker,
            running,
            base,
            lost: None,
            waits: false,
        });
        Ok(())
    }

    fn take(&mut self, message: Message) -> Result<Next> {
        match message {
            Message::Watched(Watched::Change(change)) => self.saved(change),
            Message::Watched(Watched::Failed(error)) => {
                self.report.setback("watch the sources", &error);
                Ok(Next::GoOn)
            }
            Message::Said(run, said) if run == self.runs => self.said(said),
            Message::Said(..) => Ok(Next::GoOn),
            Message::Exited(exit) => self.exited(exit),
            Message::Interrupt(interrupt) => Ok(self.interrupted(interrupt)),
            Message::Keyboard(Heard::Key(key)) => self.key(key),
            Message::Keyboard(Heard::Taken) => {
                self.keyboard_taken();
                Ok(Next::GoOn)
            }
            Message::News(news) => {
                self.told(news);
                Ok(Next::GoOn)
            }
            Message::Asked(request, reply) => self.asked_from_outside(request, reply),
            Message::Fallen(fall, may_go_on) => {
                self.fallen(fall, may_go_on);
                Ok(Next::GoOn)
            }
            Message::Retry(call, again) => {
                self.retry(call, again);
                Ok(Next::GoOn)
            }
            Message::Told(number) => {
                self.all_is_told(number);
                Ok(Next::GoOn)
            }
            Message::StoodBy(number, renewed) => self.stood_by(number, renewed),
        }
    }

    fn saved(&mut self, change: Change) -> Result<Next> {
        if let Some(held) = &mut self.held {
            held.push(change);
            return Ok(Next::GoOn);
        }
        self.ledger.saved();
        // A question about the edit before is no question any more.
        self.asked = None;
        let is_lost = self.program.as_ref().is_some_and(|of| of.lost.is_some());
        if is_lost {
            return self.refused_as_lost(&change.paths);
        }
        match &self.program {
            Some(program) => {
                self.saves += 1;
                program.worker.save(change);
            }
            None if self.waiting_build => {
                self.restart(With::AllThatIsKept)?;
            }
            None => {}
        }
        Ok(Next::GoOn)
    }

    /// Ends the session. Ctrl-C at a terminal has reached the program by itself, other requests are passed on.
    fn interrupted(&mut self, interrupt: Interrupt) -> Next {
        let Some(program) = self.program.take().filter(|program| !program.waits) else {
            let how = self.last_exit.unwrap_or(ExitHow::Signal(interrupt.signal));
            return Next::End(how.shell_code());
        };
        drop(program.worker);
        let child = &program.running.child;
        let how = if interrupt.signal == Signal::INT.as_raw() {
            if !is_attended() {
                child.signal(Signal::INT);
            }
            self.await_exit(child)
        } else {
            child.terminate(TERM_GRACE)
        };
        self.report.screen().put_back();
        self.write(Event::Exited(Exited::from(how)));
        Next::End(how.shell_code())
    }

    /// Gives the program the time it takes to end, up to the next request.
    fn await_exit(&self, child: &Child) -> ExitHow {
        loop {
            match self.inbox.recv() {
                Ok(Message::Exited(exit)) if exit.pid == child.pid() => return exit.how,
                Ok(Message::Interrupt(_)) | Err(_) => return child.terminate(TERM_GRACE),
                Ok(_) => {}
            }
        }
    }

    fn write(&self, event: Event) {
        self.write_at(event, None);
    }

    fn write_of(&self, event: Event, revision: String) {
        self.write_at(event, Some(revision));
    }

    /// Writes an event down, with the hash of the sources that it is about.
    fn write_at(&self, event: Event, revision: Option<String>) {
        self.ledger.take(&event, revision.as_deref());
        self.retries.hear(&event);
        if let Err(error) = self.log.write(event, revision) {
            self.report.setback("write to the events file", &error);
        }
    }
}
