//! The exact lane: what cargo would compile is compiled, and what differs from what runs is replaced.
//!
//! A save goes through `Save → Built → Changes → Plan or Refusal → Library → Applied`. This file hears of saves and says
//! verdicts; [`engine`] knows the process and takes the steps.

mod addresses;
mod askers;
mod bodies;
mod bring;
mod compile;
mod deliver;
mod engine;
mod fast;
mod fresh;
mod gate;
mod guard;
mod history;
mod krate;
mod libraries;
mod live;
mod manifest;
mod objects;
mod outsiders;
mod plan;
mod process;
mod processors;
mod reach;
mod recorded;
mod refusals;
mod scoped;
mod script_inputs;
mod sources;
mod stacks;
mod view;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

pub use self::compile::SharedCompiles;
use self::engine::Engine;
use self::fast::FastLane;
pub use self::guard::{Fall, Guarded};
pub use self::history::{Direction, Stepped};
pub use self::live::Live;
use self::process::{Code as ProcessCode, SetAside};
pub use self::reach::Reach;
use self::recorded::build_changed_here;
pub use self::view::{Look, Seen};
use super::outcome::{Outcome, Patched};
use super::program::Stranger;
use super::texts::{Fixed, Texts};
use super::worker::{Agent, Connect, Gets, Job, Renewal, Renewed, Said, Verdict};
use crate::build::base::Base;
use crate::build::project::Project;
use crate::command::CancelToken;
use crate::plan::codes::Code;
use crate::plan::verdict::Note;
use crate::run::client::{Client, Publish};
use crate::source::items::plain;

/// Does the work of a session for one run of the program.
pub(super) fn work(
    project: &Project,
    base: &Base,
    folder: &Path,
    agent: &mut Agent,
    inbox: &Receiver<Job>,
    cancel: &Mutex<CancelToken>,
    say: &dyn Fn(Said),
) -> Result<()> {
    let mut client = (agent.connect)(None)?;
    let mut known = None;
    if agent.guards {
        let image = known.insert(engine::read_program(base)?);
        if let Err(error) = client.guard(image.raise) {
            say(Said::Unguarded(error.into()));
        }
    }
    if agent.is_held {
        // It need not wait for what follows.
        client.release(None)?;
        agent.is_held = false;
    }
    let image = known.map_or_else(|| engine::read_program(base), Ok)?;
    if client.image().0 != image.build_id {
        return Err(Stranger.into());
    }
    let pid = client.pid();
    let mut engine = Engine::new(project, base, image, &client, folder)?;
    engine.process.was_restarted = agent.was_restarted;
    engine.guard.is_on = agent.guards;
    agent.client = Some(client);
    let texts = Texts::default();
    let files = engine.files();
    let mut fixed = Fixed::read(project);
    fixed.also(script_inputs::of(base, project.target_dir()));
    texts.refresh(&fixed.paths());
    texts.refresh(&files);
    let mut watched = files;
    say(Said::Included(as_watched(&watched, &fixed)));
    let root = project.metadata.workspace_root.as_std_path();
    let revision = |watched: &BTreeSet<PathBuf>, fixed: &Fixed| {
        let files = watched.iter().chain(fixed.build.keys());
        texts.revision(files, root)
    };
    let is_known = engine.stale_files().is_empty();
    let of = is_known.then(|| revision(&watched, &fixed));
    say(Said::Ready(pid, engine.replaceable(), of.clone()));
    engine.read_base()?;
    engine.remember(of);
    let has_tests = agent.tests.is_some();
    engine.shared = agent.tests.as_ref().map(|tests| tests.shared.clone());
    if !has_tests {
        engine.warm_up();
    }
    engine.scoped.settle(&engine.crates);
    if engine.scoped.are_prepared(&engine.crates) {
        say(Said::Prepared);
    }
    // What the first edit would have to wait for: tables of libraries, and those by which stacks are walked.
    engine.libraries.warm_up();
    engine.process.code.look(engine.process.pid);

    let waits_for_both = std::env::var_os(BOTH_LANES_ENV).is_some_and(|value| value == "1");
    let mut unfinished: BTreeSet<PathBuf> = engine.stale_files();
    let mut paused = false;
    let mut ahead = Unconfirmed::default();
    let mut unconfirmed_since: Option<Instant> = None;
    let mut first = !unfinished.is_empty();
    let mut saved = 0;
    let mut asked = Vec::new();
    let mut tries = Vec::new();
    // What was only tried is still to be brought in, once somebody saves.
    let mut tried: BTreeSet<PathBuf> = BTreeSet::new();
    // What was saved and then undone before the exact lane had its word.
    let mut undone: BTreeSet<PathBuf> = BTreeSet::new();
    // Another process with what is on disk, which waits.
    let mut candidate: Option<(Client, Connect, SetAside)> = None;
    loop {
        let job = match std::mem::take(&mut first) {
            true => None,
            false => match next(inbox, &mut engine, agent, say) {
                Some(job) => Some(job),
                None => return Ok(()),
            },
        };
        let (saves, token) = agent.take(job, inbox, cancel, &mut paused);
        saved += saves.count;
        asked.extend(saves.asked);
        tries.extend(saves.tries);
        // What was saved comes first, and whoever tries hears of what is left.
        let is_try = saves.count == 0 && asked.is_empty() && !tries.is_empty();
        let first_event = saves.first_event.unwrap_or_else(Instant::now);
        let settle = first_event.elapsed();
        for (is_taken, answer) in saves.turns {
            if let Some((client, connect, process)) = candidate.take().filter(|_| is_taken) {
                engine.turn_to(process);
                agent.client = Some(client);
                agent.connect = connect;
                paused = false;
                ahead = Unconfirmed::default();
                tried.clear();
                if has_tests {
                    say(Said::Reach(engine.reach()));
                }
                engine.scoped.settle(&engine.crates);
                let pid = engine.process.pid;
                let of = engine.remember_anew(revision(&watched, &fixed));
                say(Said::Ready(pid, engine.replaceable(), of));
                engine.scoped.say_again();
                if engine.scoped.are_prepared(&engine.crates) {
                    say(Said::Prepared);
                }
            }
            let _ = answer.send(());
        }
        let mut files = texts.refresh(&saves.paths);
        if saves.rescan {
            files.extend(texts.refresh_all());
        }
        let is_new = !files.is_empty();
        let interrupted = unfinished.clone();
        files.append(&mut unfinished);
        files.extend(tried.iter().cloned());
        if std::mem::take(&mut agent.was_released) {
            engine.process.is_fresh = false;
            engine.mark_run();
        }
        for (look, answer) in saves.looks {
            answer(match &mut agent.client {
                Some(client) => engine.look(look, client),
                None => Err(anyhow!("the agent in the program is gone")),
            });
        }
        for (fall, since, may_go_on) in saves.falls {
            let can_be_patched = !paused && !engine.process.is_fresh;
            if let Some(client) = agent.client.as_mut().filter(|_| can_be_patched) {
                let is_unconfirmed = !engine.process.ahead.is_empty();
                let guarded = engine.fallen(fall, ahead.revision.clone(), client, &token);
                if let Some(guarded) = guarded {
                    if is_unconfirmed {
                        undone.append(&mut files);
                        ahead = Unconfirmed::default();
                    }
                    say(Said::Guarded(Box::new(guarded), since.elapsed()));
                }
            }
            // It may have ended meanwhile.
            let _ = may_go_on.send(());
        }
        for (direction, since) in saves.steps {
            let is_unconfirmed = !engine.process.ahead.is_empty();
            let has_next = engine.has_step(direction);
            let stepped = match (direction, &mut agent.client) {
                _ if paused => Ok(Stepped::Nothing("the program is made anew".to_owned())),
                _ if engine.process.is_fresh => {
                    Ok(Stepped::Nothing("the program does not run".to_owned()))
                }
                (_, None) => bail!("the agent in the program is gone"),
                (Direction::Back, Some(client)) if is_unconfirmed => {
                    undone.append(&mut files);
                    ahead = Unconfirmed::default();
                    engine.step_back_from_ahead(client)
                }
                // It was undone before there was a step of it: it is compiled like a save.
                (Direction::Forth, Some(_)) if !has_next && !undone.is_empty() => {
                    files.append(&mut undone);
                    engine.guard.allow(&revision(&watched, &fixed));
                    Ok(Stepped::Compiles)
                }
                (_, Some(client)) => engine.step(direction, Publish::AtCheckpoint, client, &token),
            };
            say(Said::Stepped(direction, stepped, since.elapsed()));
        }
        if is_new {
            files.append(&mut undone);
        }
        if let Some(Renewal {
            gets,
            connect,
            folder,
            answer,
        }) = saves.renewal
        {
            let gets_all = gets == Gets::OnDisk;
            if gets_all {
                files.append(&mut undone);
            }
            let code = match gets {
                Gets::OnDisk => ProcessCode::OnDisk(&files),
                Gets::BeforeFall => ProcessCode::BeforeFall,
            };
            let mut renewed = match fixed.build_changed().filter(|_| gets_all) {
                Some(file) => Ok((Renewed::NeedsBuild(decides(file)), None)),
                None => engine.renew(&connect, &folder, code, &token),
            };
            if is_new {
                // It was saved since: what ran ahead is of no interest any more.
                ahead = Unconfirmed::default();
            }
            if let Ok((renewed, _)) = &mut renewed
                && let Some(since) = unconfirmed_since.filter(|_| !ahead.is_empty())
            {
                // The program has ended before the exact lane had its word.
                let of = revision(&watched, &fixed);
                match renewed {
                    Renewed::Ready { differs: false } => {
                        let agrees = Patched {
                            generation: engine.process.generation,
                            ..Patched::default()
                        };
                        say(Said::Confirmed(Box::new(agrees), since.elapsed(), of));
                        engine.mark_run();
                    }
                    Renewed::Broken(found) => say(Said::Verdict(Box::new(Verdict {
                        files: files.clone(),
                        outcome: Ok(Outcome::Broken(std::mem::take(found))),
                        settle: Duration::ZERO,
                        total: since.elapsed(),
                        revision: of,
                    }))),
                    Renewed::Ready { differs: true } | Renewed::NeedsBuild(_) => {}
                }
                ahead = Unconfirmed::default();
            }
            // They are not in the process that is worked on now.
            match gets {
                Gets::OnDisk => tried.append(&mut files),
                Gets::BeforeFall => undone.append(&mut files),
            }
            if engine.follow_files(&texts, &mut watched, &mut unfinished) {
                say(Said::Included(as_watched(&watched, &fixed)));
            }
            let renewed = renewed.map(|(renewed, process)| {
                candidate = process.map(|(client, process)| (client, connect, process));
                renewed
            });
            answer(renewed);
            first = !unfinished.is_empty();
            continue;
        }
        if paused {
            unfinished = files;
            continue;
        }
        let Some(client) = &mut agent.client else {
            bail!("the agent in the program is gone");
        };
        if files.is_empty() && !is_try {
            first = !tries.is_empty();
            say(Said::Same);
            say(Said::Settled(saved, std::mem::take(&mut asked)));
            continue;
        }
        if !is_try {
            say(Said::Began(files.clone()));
        }
        let stopped = match fixed.build_changed().map(Path::to_owned) {
            Some(file) => {
                let stopped =
                    build_changed_here(&mut engine, project, &file, &mut fixed, &token, say);
                // What cargo wrote meanwhile, such as `Cargo.lock`, is no save.
                texts.refresh(&fixed.paths());
                stopped
            }
            // Whoever tries it brings it nowhere.
            None if is_try => Ok(None),
            None => {
                let refusal = engine.guard.refusal(&revision(&watched, &fixed), &files);
                Ok(refusal.map(Outcome::Refused))
            }
        };
        let since = |end: Option<Instant>| {
            let end = end.unwrap_or_else(Instant::now);
            end.duration_since(first_event)
        };
        let verdict = |files: &BTreeSet<PathBuf>, revision: String, outcome: Result<Outcome>| {
            let live = match &outcome {
                Ok(Outcome::Patched(patched)) => patched.live,
                _ => None,
            };
            Box::new(Verdict {
                files: files.clone(),
                outcome,
                settle,
                total: since(live),
                revision,
            })
        };
        if is_try {
            let outcome = match stopped {
                Ok(Some(outcome)) => Ok(outcome),
                Ok(None) => {
                    let begun = engine.begin(&files, &token);
                    engine.try_out(begun, &token)
                }
                Err(error) => Err(error),
            };
            if outcome.is_ok() || !token.is_cancelled() {
                let of = revision(&watched, &fixed);
                let would_be = verdict(&files, of, outcome);
                say(Said::Tried(std::mem::take(&mut tries), would_be));
            }
            tried = files;
            unfinished = interrupted;
            first = !unfinished.is_empty();
            continue;
        }
        tried.clear();
        first = !tries.is_empty();
        let mut aside = None;
        let mut is_ahead = false;
        let mut has_gone = false;
        let outcome = match stopped {
            Ok(Some(outcome)) => Ok(outcome),
            Ok(None) => {
                let begun = engine.begin(&files, &token);
                if let Some(ended) = begun.ended() {
                    // Until the exact lane has compiled it: then that one is as soon.
                    let until = if waits_for_both { &token } else { &ended };
                    match engine.fast_lane(&files, &texts, client, until) {
                        Ok(FastLane::Patched(patched)) => {
                            is_ahead = true;
                            ahead.extend(&patched);
                            ahead.revision = Some(revision(&watched, &fixed));
                            engine.announce(&patched.functions, client);
                            unconfirmed_since = Some(first_event);
                            let of = revision(&watched, &fixed);
                            say(Said::Verdict(verdict(
                                &files,
                                of,
                                Ok(Outcome::Patched(patched)),
                            )));
                            let goes = match &agent.tests {
                                _ if !engine.process.is_fresh => None,
                                None => Some(None),
                                Some(tests) => (tests.choose)(&engine.reach_of_ahead()).map(Some),
                            };
                            if let Some(words) = goes {
                                // It need not wait for the exact lane. If it is gone, the session hears of that.
                                let _ = client.release(words);
                                engine.process.is_fresh = false;
                                has_gone = true;
                            }
                        }
                        // What answered these files has not been confirmed yet.
                        Ok(FastLane::Nothing) => is_ahead = !is_new && !ahead.is_empty(),
                        Ok(FastLane::Aside(why)) => aside = Some(why),
                        // If it is more than this lane's matter, the exact one says so in its verdict.
                        Err(error) => aside = Some(format!("{error:#}")),
                    }
                }
                if has_gone && has_tests {
                    let agrees = Patched {
                        generation: engine.process.generation,
                        ..Patched::default()
                    };
                    let compared = engine.compare_with_ahead(begun);
                    compared.map(|found| found.unwrap_or(Outcome::Patched(agrees)))
                } else {
                    engine.follow(begun, is_ahead, client, &token)
                }
            }
            Err(error) => Err(error),
        };
        if outcome.is_err() && token.is_cancelled() {
            // A newer save is waiting, or a restart: this one's files are part of its verdict.
            unfinished = files;
            continue;
        }
        if engine.follow_files(&texts, &mut watched, &mut unfinished) {
            say(Said::Included(as_watched(&watched, &fixed)));
        }
        // A build that fails says nothing about what the fast lane made of earlier saves: that stays until one succeeds.
        let stands = match &outcome {
            Ok(Outcome::Patched(_) | Outcome::Unchanged) => true,
            Ok(Outcome::Refused(_)) => false,
            Ok(Outcome::Broken(_)) | Err(_) => !is_ahead,
        };
        let comes_when_asked = [Code::HP0207, Code::HP0208];
        if matches!(&outcome, Ok(Outcome::Refused(refusal)) if comes_when_asked.contains(&refusal.code))
        {
            // Nothing is wrong with it, and whoever asks for it again has it.
            undone.extend(files.iter().cloned());
        }
        let can_take_back = !(has_gone && has_tests);
        if !stands && can_take_back && engine.take_back(client)? {
            say(Said::TakenBack(engine.process.generation));
        }
        let is_fresh = engine.process.is_fresh;
        if has_tests && is_fresh && matches!(outcome, Ok(Outcome::Patched(_) | Outcome::Unchanged))
        {
            say(Said::Reach(engine.reach()));
        }
        let of = revision(&watched, &fixed);
        let is_unchanged = matches!(outcome, Ok(Outcome::Unchanged));
        let of_unchanged = of.clone();
        if matches!(outcome, Ok(Outcome::Patched(_))) && !has_tests {
            engine.remember(Some(of.clone()));
        }
        let ahead = match &outcome {
            Ok(Outcome::Broken(_)) | Err(_) if stands => Unconfirmed::default(),
            _ => std::mem::take(&mut ahead),
        };
        match outcome {
            // One verdict a save: the exact lane only says what it has beside the fast one.
            Ok(Outcome::Patched(patched)) if is_ahead => {
                let total = since(patched.live);
                let rest = ahead.rest_of(patched);
                if !rest.functions.is_empty() {
                    engine.announce(&rest.functions, client);
                }
                say(Said::Confirmed(Box::new(rest), total, of));
            }
            Ok(Outcome::Patched(patched)) => {
                let patched = Patched { aside, ..patched };
                engine.announce(&patched.functions, client);
                say(Said::Verdict(verdict(
                    &files,
                    of,
                    Ok(Outcome::Patched(patched)),
                )));
            }
            outcome => say(Said::Verdict(verdict(&files, of, outcome))),
        }
        say(Said::Settled(saved, std::mem::take(&mut asked)));
        if is_unchanged {
            // Where that fails, the next edit is compared with what was compiled before.
            let _ = engine.settle_unchanged();
            engine.remember_unchanged(of_unchanged);
        }
        if engine.scoped.are_prepared(&engine.crates) {
            say(Said::Prepared);
        }
    }
}

/// Why an edit of this file cannot be brought without cargo.
fn decides(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    format!("`{name}` decides the build")
}

/// What the fast lane has said and the exact one has not confirmed yet.
#[derive(Default)]
struct Unconfirmed {
    functions: BTreeSet<String>,
    notes: Vec<Note>,
    /// The hash of its sources.
    revision: Option<String>,
}

impl Unconfirmed {
    fn extend(&mut self, patched: &Patched) {
        let functions = patched.functions.iter().chain(&patched.included);
        self.functions.extend(functions.cloned());
        self.notes.extend(patched.notes.iter().cloned());
    }

    fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// What the exact lane has beside that.
    fn rest_of(&self, mut patched: Patched) -> Patched {
        patched
            .functions
            .retain(|name| !self.functions.contains(name));
        let is_said = |note: &Note| {
            let mut said = self.notes.iter();
            said.any(|other| other.code == note.code && other.message == note.message)
        };
        patched.notes.retain(|note| !is_said(note));
        patched
    }
}

/// `1` where it must not matter which lane is sooner, in tests: then the fast one has all the time that it takes.
const BOTH_LANES_ENV: &str = "HOTPATCH_TEST_BOTH_LANES";

/// How often it is looked whether the fast lane is ready, and what was called.
const GLANCE: Duration = Duration::from_millis(50);

/// Waits for something to do, and tells meanwhile when the fast lane is ready and what of a patch was called; nothing when
/// the session ends.
fn next(
    inbox: &Receiver<Job>,
    engine: &mut Engine,
    agent: &mut Agent,
    say: &dyn Fn(Said),
) -> Option<Job> {
    while engine.scoped.is_waiting() || engine.is_listening() {
        match inbox.recv_timeout(GLANCE) {
            Ok(job) => return Some(job),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
        if engine.scoped.are_prepared(&engine.crates) {
            say(Said::Prepared);
        }
        match &mut agent.client {
            Some(client) => {
                if let Some(live) = engine.listen(client) {
                    say(Said::Live(live));
                }
            }
            None => engine.stop_listening(),
        }
    }
    inbox.recv().ok()
}

/// Paths as the watcher tells them: rustc's may go up and down.
fn as_watched(files: &BTreeSet<PathBuf>, fixed: &Fixed) -> BTreeSet<PathBuf> {
    let files = files.iter().chain(fixed.build.keys());
    files.map(|path| plain(path)).collect()
}
