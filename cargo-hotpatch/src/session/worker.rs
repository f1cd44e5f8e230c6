//! The thread that turns saves into verdicts. It alone knows the process; the session talks to it by
//! messages, and cancels what a newer save has made pointless.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::exact;
use super::guard::Guard;
use super::make::{Maker, Outcome, Patched};
use super::texts::{Fixed, Texts};
use super::world::World;
use crate::build::base::Base;
use crate::build::capture::Lane;
use crate::build::project::Project;
use crate::build::scope::Tells;
use crate::command::CancelToken;
use crate::plan::codes::Code;
use crate::plan::verdict::Refusal;
use crate::run::client::{Client, Saved};
use crate::run::watch::Change;
use crate::source::file::{Place, Shape};
use crate::source::items::{CrateSource, ReadError, plain};
use crate::ui::events::HotFunction;

/// Which functions of a program can be patched.
#[derive(Debug)]
pub enum Patchable {
    /// These, and what they call.
    Hot(Vec<HotFunction>),
    /// So many: all of the workspace.
    All(usize),
}

/// What the worker says.
#[derive(Debug)]
pub enum Said {
    /// Edits of the program in this process can be patched from now on.
    Ready(u32, Patchable),
    /// Files that no module is, which are of interest all the same.
    Included(BTreeSet<PathBuf>),
    /// What a save led to.
    Verdict(Box<Verdict>),
    /// The exact lane agrees with what the fast one brought; what it has beside that, and how long it took from the save.
    Confirmed(Box<Patched>, Duration),
    /// The exact lane does not agree with what the fast one brought as this generation: the functions run what they did
    /// before. Its verdict follows.
    TakenBack(u32),
    /// What the fast lane needs is made, as far as it can be.
    Prepared,
    /// Something that edits will meet with.
    Warning(anyhow::Error),
    /// Nothing but the source tells what types look like.
    Unguarded,
    /// It cannot go on with this program.
    Lost(anyhow::Error),
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
}

/// What a worker is given to do.
pub(super) enum Job {
    Save(Change),
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
}

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
                };
                let (project, base) = (tools.project, tools.base);
                let work = match project.lane {
                    Lane::Exact => exact::work,
                    Lane::Fast => work,
                };
                if let Err(error) = work(
                    &project,
                    &base,
                    &tools.folder,
                    &mut agent,
                    &inbox,
                    &token,
                    &say,
                ) {
                    say(Said::Lost(error));
                    // What the program keeps is not lost with it.
                    while let Ok(job) = inbox.recv() {
                        agent.serve(job);
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
        self.cancel
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .cancel();
        self.send(Job::Save(change));
    }

    /// Stops its work and waits until it has stopped, so that cargo may write where it reads; or until `ending` is
    /// cancelled.
    pub fn pause(&self, ending: &CancelToken) {
        let (answer, stopped) = channel();
        // In this order: what is under way when the job is sent ends, and nothing begins after it.
        self.send(Job::Pause(answer));
        self.cancel
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .cancel();
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(GLANCE) {
            if ending.is_cancelled() {
                break;
            }
        }
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
                    Job::Resume => *paused = false,
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
            Job::Save(_) | Job::Resume => {}
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
        self.cancel
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .cancel();
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It ends with the work it has at hand; a panic there was its own and is told already.
            let _ = thread.join();
        }
    }
}

fn work(
    project: &Project,
    base: &Base,
    folder: &Path,
    agent: &mut Agent,
    inbox: &Receiver<Job>,
    cancel: &Mutex<CancelToken>,
    say: &dyn Fn(Said),
) -> Result<()> {
    let texts = Texts::default();
    let mut world = World::open(base, &texts)?;
    if base.is_older_than_a_source() {
        bail!(
            "a source was saved just as the program started, so what it was built from is not known"
        );
    }
    let client = (agent.connect)(Some(&world.image.build_id))?;
    let pid = client.pid();
    agent.client = Some(client);
    let modules: BTreeSet<PathBuf> = world
        .state()
        .sources
        .iter()
        .flat_map(|source| source.files.iter().map(|file| file.path.clone()))
        .collect();
    let mut fixed = Fixed::read(project, base, &modules);
    let mut included = taken_in(&world.state().sources);
    // Those that code names are followed; what a macro finds by itself is not.
    fixed
        .included
        .retain(|path, _| !included.contains(&plain(path)));
    // What the build wrote itself, such as `Cargo.lock`, is no save.
    texts.refresh(&fixed.paths());
    let watched = |included: &BTreeSet<PathBuf>| {
        // A module may lie outside of all packages.
        let more = fixed
            .included
            .keys()
            .cloned()
            .chain(modules.iter().map(|path| plain(path)));
        Said::Included(more.chain(included.iter().cloned()).collect())
    };
    say(watched(&included));
    // Scopes of earlier sessions are found again; others take their time, and a save waits for them.
    let everything = vec![true; world.crates.len()];
    let sources = world.state().sources.clone();
    let first = CancelToken::new();
    if let Err(error) = world.scopes(&sources, &everything, Tells::Instances, false, &first) {
        // Whatever it is, each edit will say so again, and may be the one that mends it.
        say(Said::Warning(
            error.context("edits of this program may not be patched"),
        ));
    }
    say(Said::Ready(pid, Patchable::Hot(hot_functions(&world))));
    world.fetch_graph();
    world.guard.fetch();
    let remark = |guard: &mut Guard| guard.is_new_to_blindness().then(|| say(Said::Unguarded));
    remark(&mut world.guard);

    let mut unfinished: BTreeSet<PathBuf> = BTreeSet::new();
    let mut paused = false;
    while let Ok(job) = inbox.recv() {
        let (saves, token) = agent.take(Some(job), inbox, cancel, &mut paused);
        let first_event = saves.first_event.unwrap_or_else(Instant::now);
        let settle = first_event.elapsed();
        let mut files = texts.refresh(&saves.paths);
        if saves.rescan {
            files.extend(texts.refresh_all());
        }
        files.append(&mut unfinished);
        if paused {
            unfinished = files;
            continue;
        }
        let Some(client) = &mut agent.client else {
            bail!("the agent in the program is gone");
        };
        if files.is_empty() {
            continue;
        }
        let mut maker = Maker {
            world: &mut world,
            client,
            folder,
            cancel: &token,
            compiles: false,
            blamed: Vec::new(),
        };
        let outcome = judge(&mut maker, &fixed, &texts);
        let live = match &outcome {
            Ok(Outcome::Patched(patched)) => patched.live,
            _ => None,
        };
        let total = live
            .unwrap_or_else(Instant::now)
            .duration_since(first_event);
        if outcome.is_err() && token.is_cancelled() {
            // A newer save is waiting, or a restart: this one's files are part of its verdict.
            unfinished = files;
            continue;
        }
        remark(&mut world.guard);
        let now = taken_in(&world.state().sources);
        if now != included {
            included = now;
            say(watched(&included));
        }
        say(Said::Verdict(Box::new(Verdict {
            files,
            outcome,
            settle,
            total,
        })));
    }
    Ok(())
}

/// Saves that get one verdict.
#[derive(Default)]
pub(super) struct Saves {
    pub(super) paths: BTreeSet<PathBuf>,
    pub(super) rescan: bool,
    pub(super) first_event: Option<Instant>,
}

impl Saves {
    pub(super) fn add(&mut self, change: Change) {
        self.paths.extend(change.paths);
        self.rescan |= change.rescan;
        let first = self.first_event.unwrap_or(change.first_event);
        self.first_event = Some(first.min(change.first_event));
    }
}

/// The refusal of an edit of what decides the build.
pub(super) fn build_changed(fixed: &Fixed) -> Option<Refusal> {
    let whole = Place { line: 0, column: 0 };
    if let Some(path) = fixed.build_changed() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("rust-toolchain") {
            // What started this tool chose the toolchain for all that it starts, unless that was no rustup.
            let is_chosen = std::env::var_os("RUSTUP_TOOLCHAIN").is_some();
            let message = if is_chosen {
                format!("`{name}` chooses the toolchain, and this session has one already")
            } else {
                format!("`{name}` chooses the toolchain, and the program was built before it did")
            };
            let mut refusal = Refusal::new(Code::HP0402, message, path, whole);
            refusal.for_next_session = is_chosen;
            return Some(refusal);
        }
        let message = format!("`{name}` decides the build, which a running program cannot follow");
        return Some(Refusal::new(Code::HP0401, message, path, whole));
    }
    None
}

fn judge(maker: &mut Maker<'_>, fixed: &Fixed, texts: &Texts) -> Result<Outcome> {
    let whole = Place { line: 0, column: 0 };
    if let Some(refusal) = build_changed(fixed) {
        return Ok(Outcome::Refused(refusal));
    }
    if let Some(path) = maker.world.rebuilt() {
        let message = "a library of the program was built anew since the program started";
        return Ok(Outcome::Refused(Refusal::new(
            Code::HP0402,
            message,
            path,
            whole,
        )));
    }
    if let Some(path) = fixed.included_changed() {
        let message = "a change to a file that code includes is not supported yet";
        return Ok(Outcome::Refused(Refusal::new(
            Code::HP0001,
            message,
            path,
            whole,
        )));
    }
    let sources = match maker.world.read_sources(texts) {
        Ok(sources) => sources,
        Err(error) => return unreadable(maker, &error),
    };
    maker.apply(sources)
}

/// The source does not parse here: rustc says why, or else the fault is ours.
fn unreadable(maker: &Maker<'_>, error: &ReadError) -> Result<Outcome> {
    let found = maker.check_crates(|_| true)?;
    if !found.is_empty() {
        return Ok(Outcome::Broken(found));
    }
    let (path, line) = match error {
        ReadError::Syntax { path, error } => (path, error.span().start().line),
        ReadError::Io { path, .. } => (path, 0),
    };
    let refusal = Refusal::new(
        Code::HP0001,
        error.to_string(),
        path,
        Place { line, column: 1 },
    );
    Ok(Outcome::Refused(refusal))
}

/// Files that the code includes.
fn taken_in(sources: &[CrateSource]) -> BTreeSet<PathBuf> {
    sources.iter().flat_map(CrateSource::included).collect()
}

fn hot_functions(world: &World) -> Vec<HotFunction> {
    let mut out = Vec::new();
    for source in &world.state().sources {
        for (file, function) in source.functions() {
            if function.hot && function.shape == Shape::Plain {
                out.push(HotFunction {
                    name: source.path_of(function),
                    file: file.path.display().to_string(),
                    line: u32::try_from(function.place.line).unwrap_or(0),
                });
            }
        }
    }
    out
}
