//! The thread that turns saves into verdicts. It alone knows the process; the session talks to it by
//! messages, and cancels what a newer save has made pointless.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::make::{Maker, Outcome};
use super::texts::{Fixed, Texts};
use super::world::World;
use crate::build::base::Base;
use crate::build::project::Project;
use crate::command::CancelToken;
use crate::plan::codes::Code;
use crate::plan::verdict::Refusal;
use crate::run::client::Client;
use crate::run::watch::Change;
use crate::source::file::{Place, Shape};
use crate::source::items::{CrateSource, ReadError, plain};
use crate::ui::events::HotFunction;

/// What the worker says.
#[derive(Debug)]
pub enum Said {
    /// Edits of the program in this process can be patched from now on.
    Ready(u32, Vec<HotFunction>),
    /// Files that no module is, which are of interest all the same.
    Included(BTreeSet<PathBuf>),
    /// What a save led to.
    Verdict(Box<Verdict>),
    /// Something that edits will meet with.
    Warning(anyhow::Error),
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

/// A worker for one run of the program.
pub struct Worker {
    jobs: Option<Sender<Change>>,
    cancel: Arc<Mutex<CancelToken>>,
    thread: Option<JoinHandle<()>>,
}

/// Reaches the agent in the program, given the build id it must have.
pub type Connect = Box<dyn FnOnce(&[u8]) -> Result<Client> + Send>;

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
                if let Err(error) = work(tools, &inbox, &token, &say) {
                    say(Said::Lost(error));
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
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(change);
        }
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
    tools: Tools,
    inbox: &Receiver<Change>,
    cancel: &Mutex<CancelToken>,
    say: &dyn Fn(Said),
) -> Result<()> {
    let Tools {
        project,
        base,
        folder,
        connect,
    } = tools;
    let texts = Texts::default();
    let mut world = World::open(&base, &texts)?;
    if base.is_older_than_a_source() {
        bail!(
            "a source was saved just as the program started, so what it was built from is not known"
        );
    }
    let mut client = connect(&world.image.build_id)?;
    let modules: BTreeSet<PathBuf> = world
        .state()
        .sources
        .iter()
        .flat_map(|source| source.files.iter().map(|file| file.path.clone()))
        .collect();
    let mut fixed = Fixed::read(&project, &base, &modules);
    let mut included = taken_in(&world.state().sources);
    // Those that code names are followed; what a macro finds by itself is not.
    fixed
        .included
        .retain(|path, _| !included.contains(&plain(path)));
    // What the build wrote itself, such as `Cargo.lock`, is no save.
    texts.refresh(&fixed.paths());
    let watched = |included: &BTreeSet<PathBuf>| {
        let more = fixed.included.keys().cloned();
        Said::Included(more.chain(included.iter().cloned()).collect())
    };
    say(watched(&included));
    // Scopes of earlier sessions are found again; others take their time, and a save waits for them.
    let everything = vec![true; world.crates.len()];
    let sources = world.state().sources.clone();
    let first = CancelToken::new();
    if let Err(error) = world.scopes(&sources, &everything, &first) {
        // Whatever it is, each edit will say so again, and may be the one that mends it.
        say(Said::Warning(
            error.context("edits of this program may not be patched"),
        ));
    }
    say(Said::Ready(client.pid(), hot_functions(&world)));
    world.fetch_graph();

    let mut unfinished: BTreeSet<PathBuf> = BTreeSet::new();
    while let Ok(change) = inbox.recv() {
        let token = CancelToken::new();
        *cancel.lock().unwrap_or_else(PoisonError::into_inner) = token.clone();
        let mut paths = change.paths;
        let mut rescan = change.rescan;
        let mut first_event = change.first_event;
        while let Ok(more) = inbox.try_recv() {
            paths.extend(more.paths);
            rescan |= more.rescan;
            first_event = first_event.min(more.first_event);
        }
        let settle = first_event.elapsed();
        let mut files = texts.refresh(&paths);
        if rescan {
            files.extend(texts.refresh_all());
        }
        files.append(&mut unfinished);
        if files.is_empty() {
            continue;
        }
        let mut maker = Maker {
            world: &mut world,
            client: &mut client,
            folder: &folder,
            cancel: &token,
        };
        let outcome = judge(&mut maker, &fixed, &texts);
        if outcome.is_err() && token.is_cancelled() {
            // A newer save is waiting; this one's files are part of its verdict.
            unfinished = files;
            continue;
        }
        let now = taken_in(&world.state().sources);
        if now != included {
            included = now;
            say(watched(&included));
        }
        let total = first_event.elapsed();
        say(Said::Verdict(Box::new(Verdict {
            files,
            outcome,
            settle,
            total,
        })));
    }
    Ok(())
}

fn judge(maker: &mut Maker<'_>, fixed: &Fixed, texts: &Texts) -> Result<Outcome> {
    let whole = Place { line: 0, column: 0 };
    if let Some(path) = fixed.build_changed() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let message = format!("`{name}` decides the build, which a running program cannot follow");
        return Ok(Outcome::Refused(Refusal::new(
            Code::HP0401,
            message,
            path,
            whole,
        )));
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
    let started = Instant::now();
    let sources = match maker.world.read_sources(texts) {
        Ok(sources) => sources,
        Err(error) => return unreadable(maker, &error),
    };
    let read = started.elapsed();
    let outcome = maker.apply(sources)?;
    Ok(match outcome {
        Outcome::Patched(mut patched) => {
            patched.times.plan += read;
            Outcome::Patched(patched)
        }
        other => other,
    })
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
