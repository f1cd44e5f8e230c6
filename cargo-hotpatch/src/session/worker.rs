//! The thread that turns saves into verdicts. It alone knows the process; the session talks to it by
//! messages, and cancels what a newer save has made pointless.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::exact;
use super::exact::SharedCompiles;
use super::outcome::{Outcome, Patched};
use crate::build::base::Base;
use crate::build::diagnostics::Diagnostic;
use crate::build::project::Project;
use crate::command::CancelToken;
use crate::run::client::{Client, Saved};
use crate::run::watch::Change;

/// What the worker says.
#[derive(Debug)]
pub enum Said {
    /// Edits of the program in this process can be patched from now on, and so many functions of it. It was built of the
    /// sources with this hash, if none was saved meanwhile.
    Ready(u32, usize, Option<String>),
    /// Files that no module is, which are of interest all the same.
    Included(BTreeSet<PathBuf>),
    /// A line of cargo's own words.
    Words(String),
    /// Work on these files begins; a verdict follows, or the same again with more files.
    Began(BTreeSet<PathBuf>),
    /// A save left all files of the program as they were.
    Same,
    /// What a save led to.
    Verdict(Box<Verdict>),
    /// The exact lane agrees with what the fast one brought; what it has beside that, how long it took from the save, and the
    /// hash of the sources.
    Confirmed(Box<Patched>, Duration, String),
    /// The exact lane does not agree with what the fast one brought as this generation: the functions run what they did
    /// before. Its verdict follows.
    TakenBack(u32),
    /// What the fast lane needs is made, as far as it can be.
    Prepared,
    /// What of a patch was called since.
    Live(exact::Live),
    /// What differs since the tests were run last; before the verdict of a save.
    Reach(exact::Reach),
    /// What became of a step back or forth, asked with [`Worker::step`], and how long it took.
    Stepped(exact::Direction, Result<exact::Stepped>, Duration),
    /// A thread fell, and the newest step had a part in it; how long it took to look and to go back.
    Guarded(Box<exact::Guarded>, Duration),
    /// Falls cannot be met in this process, and why.
    Unguarded(anyhow::Error),
    /// What would become of what is on disk now, asked with [`Worker::try_out`].
    Tried(Vec<u64>, Box<Verdict>),
    /// All saves up to this number have their verdicts, and what was asked with [`Worker::settle`] can be answered.
    Settled(u64, Vec<u64>),
    /// It cannot go on with this program, which may still wait before its `main`.
    Lost(anyhow::Error, bool),
}

/// What a save led to.
#[derive(Debug)]
pub struct Verdict {
    /// The files whose bytes changed.
    pub files: BTreeSet<PathBuf>,
    /// What came of it; an error if something failed that is no one's edit.
    pub outcome: Result<Outcome>,
    /// From the first sign of the save until it was whole.
    pub settle: Duration,
    /// From the first sign of the save until now.
    pub total: Duration,
    /// A hash of the sources that it is about.
    pub revision: String,
}

/// What a worker is given to do.
pub(super) enum Job {
    Save(Change),
    /// Say [`Said::Settled`] with this number once whatever is on disk now has its verdict.
    Settle(u64),
    /// Say [`Said::Tried`] with this number.
    Try(u64),
    /// Say [`Said::Stepped`] for this one, asked then.
    Step(exact::Direction, Instant),
    /// Look at a thread that fell then and waits; answered when it may go on.
    Fallen(exact::Fall, Instant, Sender<()>),
    /// Look at the process.
    Look(exact::Look, SeenBy),
    /// Do nothing from now on that compiles or loads; answered once that is so.
    Pause(Sender<()>),
    /// Go on where `Pause` came.
    Resume,
    /// Save what the program keeps.
    Keep {
        folder: PathBuf,
        insist: bool,
        answer: Sender<Result<Saved>>,
    },
    /// Let the program go on after that.
    Thaw(Sender<()>),
    /// Bring what is on disk into another process of the program, which waits before its `main`.
    Renew(Renewal),
    /// Work on that process from now on, or forget it.
    Turn(bool, Sender<()>),
    /// Let the process that is worked on go to its `main`, with these arguments or those it was started with.
    Release(Option<Vec<OsString>>, Sender<Result<()>>),
}

/// Hears what there was to see.
pub(super) type SeenBy = Box<dyn FnOnce(Result<exact::Seen>) + Send>;

/// What a process gets that waits before its `main`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gets {
    /// What is on disk.
    OnDisk,
    /// What ran before the step that made a thread fall.
    BeforeFall,
}

/// A process of the program that waits before its `main`, and what it is to get.
pub(super) struct Renewal {
    pub(super) gets: Gets,
    pub(super) connect: Connect,
    /// Where patches are to lie.
    pub(super) folder: PathBuf,
    pub(super) answer: Box<dyn FnOnce(Result<Renewed>) + Send>,
}

/// What became of it.
#[derive(Debug)]
pub enum Renewed {
    /// It has the code that is on disk. Whether that differs from what the fast lane brought into the process before, which has
    /// ended since.
    Ready {
        /// It does.
        differs: bool,
    },
    /// That does not compile.
    Broken(Vec<Diagnostic>),
    /// The program has to be built and linked, and why.
    NeedsBuild(String),
}

/// How often a wait looks whether the session ends.
const GLANCE: Duration = Duration::from_millis(50);

/// How long to wait for a moment in which the program holds none of what it keeps.
const GUARD_LIMIT: Duration = Duration::from_secs(2);

/// A worker for one run of the program.
pub struct Worker {
    jobs: Option<Sender<Job>>,
    cancel: Arc<Mutex<CancelToken>>,
    thread: Option<JoinHandle<()>>,
}

/// Reaches the agent in the program, given the build id it must have, if that matters.
pub type Connect = Box<dyn Fn(Option<&[u8]>) -> Result<Client> + Send>;

/// What a worker works with.
pub struct Tools {
    /// The project.
    pub project: Project,
    /// What runs.
    pub base: Base,
    /// Where it lies.
    pub folder: PathBuf,
    /// Reaches the agent once it has come up.
    pub connect: Connect,
    /// The program waits before its `main` until the agent has been reached, and no longer: otherwise one that ends at once
    /// would be gone before.
    pub is_held: bool,
    /// Its process was started in the place of another one.
    pub was_restarted: bool,
    /// Threads that panic or crash are looked at, see `--guard`.
    pub guards: bool,
    /// For programs with tests: no edit goes into a process of these that has begun.
    pub tests: Option<ForTests>,
}

/// What a worker for a program with tests works with.
pub struct ForTests {
    /// What the programs of the session have in common.
    pub shared: Arc<SharedCompiles>,
    /// Asked when the fast lane has brought an edit: the arguments with which the process is to go to its `main`, if it is to
    /// go before the exact lane has its word.
    pub choose: Choose,
}

/// Chooses the arguments of a process for what an edit reaches.
pub type Choose = Box<dyn Fn(&exact::Reach) -> Option<Vec<OsString>> + Send>;

impl Worker {
    /// Starts it; `say` is called from its thread.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(tools: Tools, say: impl Fn(Said) + Send + 'static) -> std::io::Result<Self> {
        let (jobs, inbox) = channel();
        let cancel = Arc::new(Mutex::new(CancelToken::new()));
        let token = cancel.clone();
        let thread = std::thread::Builder::new()
            .name("worker".to_owned())
            .spawn(move || {
                let mut agent = Agent {
                    client: None,
                    connect: tools.connect,
                    is_held: tools.is_held,
                    guards: tools.guards,
                    tests: tools.tests,
                    was_released: false,
                    was_restarted: tools.was_restarted,
                };
                let (project, base) = (tools.project, tools.base);
                if let Err(error) = exact::work(
                    &project,
                    &base,
                    &tools.folder,
                    &mut agent,
                    &inbox,
                    &token,
                    &say,
                ) {
                    say(Said::Lost(error, agent.is_held));
                    // What the program keeps is not lost with it.
                    while let Ok(job) = inbox.recv() {
                        match job {
                            Job::Settle(number) | Job::Try(number) => {
                                say(Said::Settled(u64::MAX, vec![number]));
                            }
                            Job::Step(direction, since) => {
                                let why = "this run cannot be patched".to_owned();
                                let stepped = Ok(exact::Stepped::Nothing(why));
                                say(Said::Stepped(direction, stepped, since.elapsed()));
                            }
                            job => agent.serve(job),
                        }
                    }
                }
            })?;
        Ok(Self {
            jobs: Some(jobs),
            cancel,
            thread: Some(thread),
        })
    }

    /// Hands it a save; what it does for an older one is dropped.
    pub fn save(&self, change: Change) {
        self.cancel();
        self.send(Job::Save(change));
    }

    /// Has it say [`Said::Settled`] with this number once whatever is on disk now has its verdict.
    pub fn settle(&self, number: u64) {
        self.send(Job::Settle(number));
    }

    /// Has it compile and plan what is on disk now, load nothing, and say [`Said::Tried`] with this number.
    pub fn try_out(&self, number: u64) {
        self.send(Job::Try(number));
    }

    /// Has it go to what ran before, or to what ran before that, and say [`Said::Stepped`]. With `at_once`, what is under way
    /// is dropped: something runs ahead of the exact lane, and that is what is to go.
    pub(super) fn step(&self, direction: exact::Direction, at_once: bool) {
        let since = Instant::now();
        if at_once {
            self.cancel();
        }
        self.send(Job::Step(direction, since));
    }

    /// Has it look at a thread that fell and waits for that, and say [`Said::Guarded`] if something came of it. With `at_once`,
    /// what is under way is dropped, as it is with [`Worker::step`].
    pub(super) fn fallen(&self, fall: exact::Fall, at_once: bool, may_go_on: Sender<()>) {
        if at_once {
            self.cancel();
        }
        self.send(Job::Fallen(fall, Instant::now(), may_go_on));
    }

    /// Looks at the process once there is time, and tells what there was to see.
    pub(super) fn look(
        &self,
        look: exact::Look,
        seen: impl FnOnce(Result<exact::Seen>) + Send + 'static,
    ) {
        self.send(Job::Look(look, Box::new(seen)));
    }

    /// Stops its work and waits until it has stopped, so that cargo may write where it reads; or until `ending` is
    /// cancelled.
    pub fn pause(&self, ending: &CancelToken) {
        let (answer, stopped) = channel();
        // In this order: what is under way when the job is sent ends, and nothing begins after it.
        self.send(Job::Pause(answer));
        self.cancel();
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(GLANCE) {
            if ending.is_cancelled() {
                break;
            }
        }
    }

    /// Stops its work, as nothing can become of it: its process has ended.
    pub(super) fn halt(&self) {
        self.send(Job::Pause(channel().0));
        self.cancel();
    }

    /// Goes on with what [`Worker::pause`] stopped.
    pub fn resume(&self) {
        self.send(Job::Resume);
    }

    /// Saves what the program keeps into `folder`: all of it, or nothing unless told to insist. After a success the
    /// program can take nothing of it until [`Worker::thaw`].
    ///
    /// # Errors
    /// The agent cannot be reached, or does not answer.
    pub fn keep(&self, folder: &Path, insist: bool) -> Result<Saved> {
        let (answer, saved) = channel();
        self.send(Job::Keep {
            folder: folder.to_owned(),
            insist,
            answer,
        });
        saved.recv().context("the worker has ended")?
    }

    /// Lets the program go on, and save once more when it ends.
    pub fn thaw(&self) {
        let (answer, done) = channel();
        self.send(Job::Thaw(answer));
        let _ = done.recv();
    }

    /// Brings what is on disk into another process of the program, which waits before its `main`. What is under way is
    /// dropped; it is worked on the old process until [`Worker::turn`].
    ///
    /// # Errors
    /// The process cannot be reached, or a tool failed.
    pub(super) fn renew(
        &self,
        connect: Connect,
        folder: &Path,
        ending: &CancelToken,
    ) -> Result<Renewed> {
        let (answer, renewed) = channel();
        let answer = move |made| drop(answer.send(made));
        self.renew_later(Gets::OnDisk, connect, folder, answer);
        loop {
            match renewed.recv_timeout(GLANCE) {
                Ok(renewed) => return renewed,
                Err(RecvTimeoutError::Timeout) if ending.is_cancelled() => {
                    self.cancel();
                    bail!("interrupted");
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("the worker has ended"),
            }
        }
    }

    /// The same without waiting for it. What is saved meanwhile ends it.
    pub(super) fn renew_later(
        &self,
        gets: Gets,
        connect: Connect,
        folder: &Path,
        answer: impl FnOnce(Result<Renewed>) + Send + 'static,
    ) {
        self.cancel();
        self.send(Job::Renew(Renewal {
            gets,
            connect,
            folder: folder.to_owned(),
            answer: Box::new(answer),
        }));
    }

    /// Works on the process of [`Worker::renew`] from now on; with `false`, forgets it.
    pub(super) fn turn(&self, is_taken: bool) {
        let (answer, done) = channel();
        self.send(Job::Turn(is_taken, answer));
        let _ = done.recv();
    }

    /// Lets a process that waits before its `main` go there, with other arguments if there are some.
    ///
    /// # Errors
    /// It is gone, or does not wait.
    pub(super) fn release(&self, args: Option<Vec<OsString>>) -> Result<()> {
        let (answer, released) = channel();
        self.send(Job::Release(args, answer));
        released.recv().context("the worker has ended")?
    }

    /// What is under way ends.
    fn cancel(&self) {
        self.cancel
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .cancel();
    }

    fn send(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }
}

/// The way to the agent.
pub(super) struct Agent {
    pub(super) client: Option<Client>,
    pub(super) connect: Connect,
    /// Its process waits before its `main`, and is to be let go at once.
    pub(super) is_held: bool,
    /// Threads of its process that panic or crash are looked at.
    pub(super) guards: bool,
    /// Its program has tests, and the session has several of them.
    pub(super) tests: Option<ForTests>,
    /// Its process was let go.
    pub(super) was_released: bool,
    /// Its process was started in the place of another one.
    pub(super) was_restarted: bool,
}

impl Agent {
    /// Takes this job and those that wait behind it: does what needs no world, and gives back what was saved. What begins
    /// with that ends by the token, which whoever saves next cancels.
    pub(super) fn take(
        &mut self,
        first: Option<Job>,
        inbox: &Receiver<Job>,
        cancel: &Mutex<CancelToken>,
        paused: &mut bool,
    ) -> (Saves, CancelToken) {
        let mut saves = Saves::default();
        let mut first = first;
        loop {
            let token = CancelToken::new();
            *cancel.lock().unwrap_or_else(PoisonError::into_inner) = token.clone();
            for job in first.take().into_iter().chain(inbox.try_iter()) {
                match job {
                    Job::Save(change) => saves.add(change),
                    // Whoever asks may be sooner than the watcher.
                    Job::Settle(number) => {
                        saves.rescan = true;
                        saves.asked.push(number);
                    }
                    Job::Try(number) => {
                        saves.rescan = true;
                        saves.tries.push(number);
                    }
                    Job::Step(direction, since) => saves.steps.push((direction, since)),
                    Job::Fallen(fall, at, answer) => saves.falls.push((fall, at, answer)),
                    Job::Look(look, seen) => saves.looks.push((look, seen)),
                    Job::Resume => *paused = false,
                    Job::Renew(renewal) => {
                        // Whoever asks may be sooner than the watcher.
                        saves.rescan = true;
                        saves.renewal = Some(renewal);
                    }
                    Job::Turn(is_taken, answer) => {
                        saves.turns.push((is_taken, answer));
                    }
                    other => {
                        *paused |= matches!(other, Job::Pause(_));
                        self.serve(other);
                    }
                }
            }
            // A save that came between may have cancelled what begins with it.
            if !token.is_cancelled() {
                return (saves, token);
            }
        }
    }

    /// Does what a worker without a world still can.
    pub(super) fn serve(&mut self, job: Job) {
        match job {
            // Whoever waits for an answer hears that there is none.
            Job::Save(_)
            | Job::Settle(_)
            | Job::Try(_)
            | Job::Step(..)
            | Job::Fallen(..)
            | Job::Resume
            | Job::Renew(_)
            | Job::Turn(..) => {}
            Job::Look(_, seen) => seen(Err(anyhow!("this run cannot be looked into"))),
            Job::Release(args, answer) => {
                let released = match &mut self.client {
                    Some(client) => client.release(args).map_err(Into::into),
                    None => Err(anyhow!("the agent in the program is gone")),
                };
                self.was_released |= released.is_ok();
                let _ = answer.send(released);
            }
            Job::Pause(answer) => {
                let _ = answer.send(());
            }
            Job::Keep {
                folder,
                insist,
                answer,
            } => {
                let _ = answer.send(self.keep(&folder, insist));
            }
            Job::Thaw(answer) => {
                if let Some(client) = &mut self.client
                    && client.thaw(true).is_err()
                {
                    // Then the end of the conversation lets it go on.
                    self.client = None;
                }
                let _ = answer.send(());
            }
        }
    }

    fn keep(&mut self, folder: &Path, insist: bool) -> Result<Saved> {
        let client = match &mut self.client {
            Some(client) => client,
            none => none.insert((self.connect)(None)?),
        };
        Ok(client.keep(folder, GUARD_LIMIT, insist)?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.cancel();
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It ends with the work it has at hand; a panic there was its own and is told already.
            let _ = thread.join();
        }
    }
}

/// Saves that get one verdict.
#[derive(Default)]
pub(super) struct Saves {
    pub(super) paths: BTreeSet<PathBuf>,
    pub(super) rescan: bool,
    pub(super) first_event: Option<Instant>,
    /// How many there are.
    pub(super) count: u64,
    /// Who wants to know when they have their verdict.
    pub(super) asked: Vec<u64>,
    /// Who wants to know what would become of what is on disk.
    pub(super) tries: Vec<u64>,
    /// What there is to look at.
    pub(super) looks: Vec<(exact::Look, SeenBy)>,
    /// Steps back and forth, each with when it was asked for.
    pub(super) steps: Vec<(exact::Direction, Instant)>,
    /// Threads that wait until they have been looked at, since when, and who hears that they may go on.
    pub(super) falls: Vec<(exact::Fall, Instant, Sender<()>)>,
    /// The process that is to get what is on disk.
    pub(super) renewal: Option<Renewal>,
    /// Whether to go on with the process that got it last.
    pub(super) turns: Vec<(bool, Sender<()>)>,
}

impl Saves {
    pub(super) fn add(&mut self, change: Change) {
        self.count += 1;
        self.paths.extend(change.paths);
        self.rescan |= change.rescan;
        let first = self.first_event.unwrap_or(change.first_event);
        self.first_event = Some(first.min(change.first_event));
    }
}
