//! Plays commits: saves them under the tool, builds the same tree beside it, compares the answers.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use crate::replay::copy::{Overlay, WorkCopy};
use crate::replay::history::{self, Change, Commit, History, Tree};
use crate::replay::live::{Live, Seen};
use crate::replay::plain::{self, Answer, Builder, Outcome};
use crate::replay::row::{Difference, Row, Verdict};
use crate::replay::steps::{self, Step};
use crate::replay::stop::Stop;
use crate::report;

/// The two copies, the session on one of them, and what came of it so far.
#[derive(Debug)]
pub struct Player<'a> {
    pub live: WorkCopy,
    pub fresh: WorkCopy,
    pub live_builder: Builder,
    pub fresh_builder: Builder,
    pub history: &'a History,
    pub overlay: &'a Overlay,
    pub lines: &'a [String],
    pub tool: &'a Path,
    pub logs: PathBuf,
    pub hunks: bool,
    /// Whether commits of further paths were asked for.
    pub paths: bool,
    pub limit: Duration,
    pub start_limit: Duration,
    pub pause: Duration,
    pub stop: Stop,
    /// The tree that both copies hold.
    pub at: Option<Tree>,
    /// What the build of that tree came to.
    pub built: Option<Outcome>,
    /// What the program was made of when it was last built.
    pub files: Option<BTreeSet<String>>,
    pub session: Option<Live>,
    /// Lines that were answered in two ways before anything was patched.
    pub unsteady: Vec<String>,
    /// How long the session took to start, until a row has taken it.
    pub start_s: Option<f64>,
    pub rows: Vec<Row>,
}

impl Player<'_> {
    /// Fails only when it cannot go on at all; the rows until then are kept.
    pub fn play(&mut self, commits: &[Commit]) -> Result<()> {
        commits.iter().try_for_each(|commit| self.commit(commit))
    }

    /// Ends what runs.
    pub fn end(&mut self) {
        self.session = None;
    }

    fn commit(&mut self, commit: &Commit) -> Result<()> {
        self.stop.check()?;
        let tree = self.history.tree(&commit.id)?;
        if self.session.is_none() {
            let parent = self.history.tree(&commit.parent)?;
            if let Err(errors) = self.bring(parent)? {
                return self.leave_out(commit, None, Verdict::NotRun, first_error(&errors));
            }
        }
        let at = self.at.clone().unwrap_or_default();
        let changes: Vec<Change> = history::changes(&at, &tree)
            .into_iter()
            .filter(|change| !self.overlay.replaces(&change.path))
            .collect();
        let files = self.files.clone();
        let is_inside = |path: &str| steps::is_inside(path, files.as_ref(), self.paths);
        if !changes.iter().any(|change| is_inside(&change.path)) {
            // Written together with the next commit that matters.
            return self.leave_out(commit, None, Verdict::Outside, String::new());
        }
        let steps = if self.hunks {
            steps::by_hunks(&changes, is_inside, self.overlay, self.history)?
        } else {
            vec![steps::whole(&changes, self.overlay, self.history)?]
        };
        let count = steps.len();
        for (index, step) in steps.into_iter().enumerate() {
            let is_last = index + 1 == count;
            self.step(commit, step, is_last)?;
        }
        self.at = Some(tree);
        Ok(())
    }

    /// Brings both copies to a tree and builds it, unless that is done. No session may run. Gives back the compiler's
    /// words if it does not build.
    fn bring(&mut self, tree: Tree) -> Result<Result<(), String>> {
        match &self.at {
            Some(at) if *at == tree => {}
            Some(at) => {
                let changes: Vec<Change> = history::changes(at, &tree)
                    .into_iter()
                    .filter(|change| !self.overlay.replaces(&change.path))
                    .collect();
                let step = steps::whole(&changes, self.overlay, self.history)?;
                self.live.save(&step.save)?;
                self.fresh.save(&step.save)?;
                self.built = None;
            }
            None => {
                let save = self.overlay.whole(&tree, self.history)?;
                self.live.save(&save)?;
                self.fresh.save(&save)?;
            }
        }
        self.at = Some(tree);
        if self.built.is_none() {
            self.build()?;
        }
        Ok(match &self.built {
            Some(Err(errors)) => Err(errors.clone()),
            _ => Ok(()),
        })
    }

    fn build(&mut self) -> Result<()> {
        let built = self.fresh_builder.build(&self.stop)?;
        if let Ok(built) = &built {
            let files = self.fresh_builder.files(&built.program);
            self.files = (!files.is_empty()).then_some(files);
        }
        self.built = Some(built);
        Ok(())
    }

    /// One save, if a session runs or can be started.
    fn step(&mut self, commit: &Commit, step: Step, is_last: bool) -> Result<()> {
        let hunk = step.hunk.clone();
        if self.session.is_none() {
            let reason = match &self.built {
                Some(Ok(_)) => self.start()?.err(),
                Some(Err(errors)) => Some(first_error(errors)),
                None => Some("the tree before was not built".to_owned()),
            };
            if let Some(reason) = reason {
                self.live.save(&step.save)?;
                self.fresh.save(&step.save)?;
                self.build()?;
                return self.leave_out(commit, hunk, Verdict::NotRun, reason);
            }
        }
        let mut row = Row::new(&commit.id, &commit.subject, hunk, Verdict::Silent);
        row.start_s = self.start_s.take();
        self.measure(&step, &mut row)?;
        report::print(&row.line());
        self.tell(&row);
        let goes_on = row.verdict.is_accepted() && !row.is_wrong() && row.builds == Some(true)
            // Between hunks the source is often not whole, and the next one makes it so.
            || row.verdict == Verdict::Broken && row.builds == Some(false) && !is_last;
        if !goes_on || self.session.as_mut().is_some_and(Live::is_over) {
            self.session = None;
        }
        self.rows.push(row);
        Ok(())
    }

    fn measure(&mut self, step: &Step, row: &mut Row) -> Result<()> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        self.stop.rest(self.pause)?;
        let earlier = session.later()?;
        let saved = self.live.save(&step.save)?;
        let mut early = None;
        match session.verdict(saved, self.limit, &self.stop)? {
            Seen::Verdict(event, ms) => {
                row.wall_ms = Some(ms);
                take(row, &event.to_string());
                // What the fast lane brought is asked before the exact one takes its place.
                if event.is_ahead() {
                    early = Some(session.ask(self.lines, &self.stop));
                }
                let (later, confirmed) = session.settle(&event, saved, self.limit, &self.stop)?;
                row.confirmed_ms = confirmed;
                if let Some(later) = later {
                    take(row, &later.to_string());
                    row.message += " (the patch was taken back)";
                    early = None;
                }
            }
            Seen::Ended(how) => {
                row.verdict = Verdict::Died;
                row.message = how;
            }
            Seen::Silence => row.message = format!("nothing within {} s", self.limit.as_secs()),
        }
        if let Some(earlier) = earlier {
            row.message += &format!(" (before the save: {earlier})");
        }
        self.stop.rest(self.pause)?;
        row.is_warm = matches!(self.built, Some(Ok(_)));
        self.fresh.save(&step.save)?;
        self.build()?;
        row.builds = self.built.as_ref().map(Result::is_ok);
        let Some(Ok(built)) = &self.built else {
            return Ok(());
        };
        row.build_ms = Some(built.seconds * 1e3);
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        // A save that was taken for two has its last word later.
        if let Some(later) = session.later()? {
            take(row, &later.to_string());
            row.message += " (a second verdict)";
        }
        if row.verdict.is_accepted() {
            let live = session.ask(self.lines, &self.stop);
            let fresh = plain::answers(&built.program, self.fresh.folder(), self.lines, &self.stop);
            self.stop.check()?;
            let mut differences = self.compare(&live, &fresh);
            if let Some(early) = early {
                differences.extend(self.compare(&early, &fresh));
            }
            row.differences = Some(differences);
        }
        Ok(())
    }

    /// Starts a session at the tree that was built. Says why not, if it does not start.
    fn start(&mut self) -> Result<Result<(), String>> {
        // Both builds take the same versions.
        let lock = |copy: &WorkCopy| {
            let manifest = copy.folder().join(&self.live_builder.manifest);
            manifest.with_file_name("Cargo.lock")
        };
        if let Ok(bytes) = fs::read(lock(&self.fresh))
            && fs::read(lock(&self.live)).ok().as_ref() != Some(&bytes)
        {
            fs::write(lock(&self.live), bytes)?;
        }
        let number = fs::read_dir(&self.logs).map_or(0, Iterator::count);
        let log = self.logs.join(format!("{number:04}.txt"));
        let limit = self.start_limit;
        let started = Live::start(self.tool, &self.live_builder, &log, limit, &self.stop);
        self.stop.check()?;
        let mut session = match started {
            Ok(session) => session,
            Err(error) => return Ok(Err(format!("{error:#}"))),
        };
        self.start_s = Some(session.started_in);
        if let Some(Ok(built)) = &self.built {
            let live = session.ask(self.lines, &self.stop);
            let fresh = plain::answers(&built.program, self.fresh.folder(), self.lines, &self.stop);
            self.stop.check()?;
            self.unsteady.clear();
            let differences = self.compare(&live, &fresh);
            if let Some(Err(reason)) = live.iter().find(|answer| answer.is_err()) {
                return Ok(Err(format!("asked before any save: {reason}")));
            }
            for difference in &differences {
                report::progress(&format!(
                    "answered in two ways before any save, and left out: {}",
                    difference.line
                ));
            }
            let lines = differences.into_iter().map(|difference| difference.line);
            self.unsteady = lines.collect();
        }
        self.session = Some(session);
        Ok(Ok(()))
    }

    fn compare(&self, live: &[Answer], fresh: &[Answer]) -> Vec<Difference> {
        let (from, to) = (self.live.folder(), self.fresh.folder());
        let (from, to) = (from.display().to_string(), to.display().to_string());
        let answers = self.lines.iter().zip(live.iter().zip(fresh));
        answers
            .filter(|(line, _)| !self.unsteady.contains(line))
            .map(|(line, (live, fresh))| Difference {
                line: line.clone(),
                live: live.clone().map(|reply| reply.replace(&from, &to)),
                fresh: fresh.clone(),
            })
            // How a process ends is told in two ways; that both give no answer is the same.
            .filter(|found| match (&found.live, &found.fresh) {
                (Ok(live), Ok(fresh)) => live != fresh,
                (live, fresh) => live.is_ok() != fresh.is_ok(),
            })
            .collect()
    }

    fn leave_out(
        &mut self,
        commit: &Commit,
        hunk: Option<String>,
        verdict: Verdict,
        message: String,
    ) -> Result<()> {
        let mut row = Row::new(&commit.id, &commit.subject, hunk, verdict);
        row.message = message;
        report::print(&row.line());
        self.tell(&row);
        self.rows.push(row);
        Ok(())
    }

    /// What the table has no room for.
    fn tell(&self, row: &Row) {
        let line = row.message.lines().next().unwrap_or_default();
        if !line.is_empty() {
            report::progress(&format!("          {line}"));
        }
        if let (Verdict::Broken, Some(true)) = (row.verdict, row.builds) {
            report::progress("          BROKEN THOUGH IT BUILDS");
        }
        for difference in row.differences.iter().flatten() {
            report::progress(&format!("          differs: {}", difference.line));
        }
    }
}

/// Takes over what an event says.
fn take(row: &mut Row, event: &str) {
    let event: Value = serde_json::from_str(event).unwrap_or_default();
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    row.verdict = Verdict::of(&text("event")).unwrap_or(Verdict::Silent);
    row.code = text("code");
    row.message = match row.verdict {
        Verdict::Broken => first_error(&text("rendered")),
        _ => text("message"),
    };
    row.total_ms = event["ms"]["total"].as_f64();
    row.event = event;
}

/// The first line of a compiler's words that says what is wrong.
fn first_error(words: &str) -> String {
    let mut lines = words.lines();
    let first = lines.find(|line| line.starts_with("error"));
    first
        .or_else(|| words.lines().next())
        .unwrap_or_default()
        .to_owned()
}
