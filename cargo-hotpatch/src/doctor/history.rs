//! `cargo hotpatch doctor --history N`: which of the last commits would have gone live.
//!
//! A session on a copy, with all that it does but one thing: the program is held before its `main`. So nothing of what the
//! program does happens, no value is alive but what statics hold, and of stacks only the frame of `main` is known.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::commits::{Commit, Repository, WorkCopy};
use crate::args::BuildArgs;
use crate::build::base::{self, BuildError};
use crate::build::project::{Project, manifest_folder};
use crate::command::CancelToken;
use crate::plan::codes::Code;
use crate::plan::verdict::Refusal;
use crate::run::child::TERM_GRACE;
use crate::run::listen::Sockets;
use crate::run::watch::Change;
use crate::session::outcome::{Lane, Outcome, Patched};
use crate::session::program::{self, Running, Supplies};
use crate::session::worker::{Said, Tools, Worker};

/// What a commit would have led to.
#[derive(Debug)]
pub enum Verdict {
    /// So many functions of the workspace would run new code.
    Live(usize),
    /// Nothing that runs is different.
    Unchanged,
    /// A refusal; its file is named as the repository does.
    Refused(Box<Refusal>),
    /// It does not compile, with the first line of rustc's error.
    Broken(String),
    /// It could not be tried, and why.
    Untried(String),
}

/// A commit that was tried.
#[derive(Debug)]
pub struct Tried {
    /// Which one.
    pub commit: Commit,
    /// What came of it.
    pub verdict: Verdict,
    /// From the save until then, where there was a session.
    pub took: Option<Duration>,
}

/// How many commits came to what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    /// Live.
    pub live: usize,
    /// Unchanged.
    pub unchanged: usize,
    /// Refused, by code.
    pub refused: BTreeMap<Code, usize>,
    /// Not compiling.
    pub broken: usize,
    /// Not tried.
    pub untried: usize,
}

impl Sums {
    /// Counts one more.
    pub fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Live(_) => self.live += 1,
            Verdict::Unchanged => self.unchanged += 1,
            Verdict::Refused(refusal) => *self.refused.entry(refusal.code).or_default() += 1,
            Verdict::Broken(_) => self.broken += 1,
            Verdict::Untried(_) => self.untried += 1,
        }
    }

    /// All that were refused.
    #[must_use]
    pub fn refusals(&self) -> usize {
        self.refused.values().sum()
    }

    /// All.
    #[must_use]
    pub fn commits(&self) -> usize {
        self.live + self.unchanged + self.refusals() + self.broken + self.untried
    }
}

/// How often a wait looks whether it is to end.
const GLANCE: Duration = Duration::from_millis(50);

/// The folder for it in the target folder. It stays there, so that the next time dependencies need not be built.
const FOLDER: &str = "hotpatch-history";

/// Tries the last `count` commits of the project one after the other, and tells of each.
///
/// # Errors
/// There is no history, another call is at it, or the copy cannot be made. What is wrong with one commit is its verdict.
pub fn play(
    project: &Project,
    args: &BuildArgs,
    count: u32,
    cancel: &CancelToken,
    mut tell: impl FnMut(Tried),
) -> Result<()> {
    let manifest = manifest_folder(&project.metadata, args).canonicalize()?;
    let repository = Repository::around(&manifest, cancel)?;
    let commits = repository.last(count, cancel)?;
    let folder = project.target_dir().join(FOLDER);
    fs::create_dir_all(&folder)
        .with_context(|| format!("failed to create `{}`", folder.display()))?;
    let lock = File::create(folder.join("lock")).context("failed to create a lock file")?;
    if lock.try_lock().is_err() {
        bail!("`{}` is in use by another call", folder.display());
    }
    let copy = repository.copy(&folder.join("copy"), cancel)?;
    let own = manifest
        .strip_prefix(&repository.top)
        .unwrap_or(Path::new(""));
    let mut player = Player {
        args: BuildArgs {
            manifest_path: Some(copy.place(&own.join("Cargo.toml"))),
            target_dir: Some(folder.join("target")),
            ..args.clone()
        },
        lock_file: untracked_lock(project, &repository, &copy),
        copy,
        cancel,
        session: None,
    };
    for pair in commits.windows(2) {
        let (verdict, took) = player.commit(&pair[0], &pair[1]);
        if cancel.is_cancelled() {
            break;
        }
        tell(Tried {
            commit: pair[1].clone(),
            verdict,
            took,
        });
    }
    Ok(())
}

/// The lock file of the project and its place in the copy. Where the history has none, the copy takes today's, so that
/// what is built is what is downloaded.
fn untracked_lock(
    project: &Project,
    repository: &Repository,
    copy: &WorkCopy,
) -> Option<(PathBuf, PathBuf)> {
    let workspace = project.metadata.workspace_root.as_std_path();
    let lock = workspace.canonicalize().ok()?.join("Cargo.lock");
    let place = copy.place(lock.strip_prefix(&repository.top).ok()?);
    Some((lock, place))
}

struct Player<'a> {
    /// What was asked for, of the copy.
    args: BuildArgs,
    lock_file: Option<(PathBuf, PathBuf)>,
    copy: WorkCopy,
    cancel: &'a CancelToken,
    session: Option<Session>,
}

impl Player<'_> {
    /// Saves a commit over the one before it.
    fn commit(&mut self, before: &Commit, commit: &Commit) -> (Verdict, Option<Duration>) {
        if self.session.is_none() {
            match self.start(before) {
                Ok(session) => {
                    self.session = Some(session);
                    // The first build may take minutes, the others are between lines of the account.
                    self.args.quiet = true;
                }
                Err(error) => {
                    let short = before.id.get(..9).unwrap_or(&before.id);
                    return (
                        Verdict::Untried(format!("{short} before it: {error:#}")),
                        None,
                    );
                }
            }
        }
        let began = Instant::now();
        let verdict = self.save(commit).unwrap_or_else(|error| {
            self.session = None;
            Verdict::Untried(format!("{error:#}"))
        });
        if matches!(verdict, Verdict::Refused(_)) {
            // As after a restart: what follows is compared with this one.
            self.session = None;
        }
        (verdict, Some(began.elapsed()))
    }

    fn check_out(&self, commit: &Commit) -> Result<()> {
        self.copy.go_to(commit, self.cancel)?;
        if let Some((lock, place)) = &self.lock_file
            && lock.exists()
            && !place.exists()
        {
            fs::copy(lock, place).context("failed to copy `Cargo.lock`")?;
        }
        Ok(())
    }

    /// Builds a commit and starts its program.
    fn start(&self, commit: &Commit) -> Result<Session> {
        self.check_out(commit)?;
        let project = Project::find(&self.args)?;
        let base = match base::build(&project, &self.args, self.cancel, None) {
            Ok(base) => base,
            Err(BuildError::Failed { .. }) => bail!("it does not compile"),
            Err(BuildError::Unsupported(why)) => bail!("{why}"),
            Err(BuildError::Other(error)) => return Err(error),
        };
        let kept = TempDir::new().context("failed to make a temporary folder")?;
        let supplies = Supplies {
            sockets: Arc::new(Sockets::bind(&[])?),
            no_stdin: true,
            kept: kept.path(),
            held: true,
            cwd: None,
            stdout: None,
        };
        let running = program::start(
            &base,
            &project.config,
            &[],
            supplies,
            drop,
            |_| Vec::new(),
            drop,
        )?;
        let running = Arc::new(running);
        let with = running.clone();
        let (say, said) = channel();
        let tools = Tools {
            guards: false,
            folder: running.rendezvous.folder().to_owned(),
            connect: Box::new(move |image| with.connect(image)),
            // It stays there.
            is_held: false,
            was_restarted: false,
            tests: None,
            project,
            base,
        };
        let worker = Worker::start(tools, move |word| {
            let _ = say.send(word);
        })?;
        let session = Session {
            worker,
            running,
            said,
            _kept: kept,
        };
        while !matches!(session.hear(self.cancel)?, Said::Ready(..)) {}
        Ok(session)
    }

    fn save(&self, commit: &Commit) -> Result<Verdict> {
        let session = self.session.as_ref().context("there is no session")?;
        self.check_out(commit)?;
        session.worker.save(Change {
            paths: [].into(),
            first_event: Instant::now(),
            rescan: true,
        });
        let mut ahead = None;
        loop {
            let outcome = match session.hear(self.cancel)? {
                Said::Verdict(verdict) => verdict.outcome?,
                Said::Confirmed(patched, ..) => {
                    let functions = ahead.unwrap_or(0) + patched.functions.len();
                    return Ok(Verdict::Live(functions));
                }
                Said::Same => return Ok(Verdict::Unchanged),
                _ => continue,
            };
            return Ok(match outcome {
                Outcome::Patched(Patched {
                    lane: Some(Lane::Fast),
                    functions,
                    ..
                }) => {
                    // The exact lane has its word yet.
                    ahead = Some(functions.len());
                    continue;
                }
                Outcome::Patched(patched) => Verdict::Live(patched.functions.len()),
                Outcome::Unchanged => Verdict::Unchanged,
                Outcome::Refused(mut refusal) => {
                    let top = self.copy.place(Path::new(""));
                    if let Ok(file) = refusal.file.strip_prefix(&top) {
                        refusal.file = file.to_owned();
                    }
                    Verdict::Refused(Box::new(refusal))
                }
                Outcome::Broken(found) => {
                    let rendered = found.first().map(|found| found.rendered.as_str());
                    let rendered = anstream::adapter::strip_str(rendered.unwrap_or_default());
                    let text = rendered.to_string();
                    Verdict::Broken(text.lines().next().unwrap_or_default().to_owned())
                }
            });
        }
    }
}

/// A held program and what works on it. The worker goes first.
struct Session {
    worker: Worker,
    running: Arc<Running>,
    said: Receiver<Said>,
    _kept: TempDir,
}

impl Session {
    /// What the worker says next.
    fn hear(&self, cancel: &CancelToken) -> Result<Said> {
        loop {
            match self.said.recv_timeout(GLANCE) {
                Ok(Said::Lost(error, _)) => return Err(error),
                Ok(said) => return Ok(said),
                Err(RecvTimeoutError::Disconnected) => bail!("the session has ended"),
                Err(RecvTimeoutError::Timeout) if cancel.is_cancelled() => bail!("interrupted"),
                Err(RecvTimeoutError::Timeout) if !self.running.child.is_running() => {
                    bail!("the program ended before its `main`")
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.running.child.terminate(TERM_GRACE);
    }
}
