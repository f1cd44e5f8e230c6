//! Decides whether a program that is led back and forth does what fresh builds do.
//!
//! The scenarios' edits are saved one after the other. After each that is patched the program is led back to what ran
//! before, and must answer as a fresh build of the source before *in the same state*; then forth again, and must answer as one
//! of the source that is on disk. A step may be refused, by the rules of a patch; then nothing may have changed. In the end the
//! program is led back as far as it goes, and forth again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::events::Event;
use crate::fresh::{self, Program};
use crate::programs::ask_tool;
use crate::project::Project;
use crate::scenario::{self, Expect, Question, Scenario};
use crate::session::{Options, Session};
use crate::workspace::plain_target;

const FIRST_BUILD: Duration = Duration::from_secs(300);

/// Questions that are answered with how often the program was asked or told something, which it does not tell as its state.
const COUNTED: &[(&str, &str)] = &[
    ("hot_futures_release", "first none"),
    ("left_out_lifetimes", "a b"),
    ("left_out_lifetimes", "c"),
    ("renumbered_impls", "dropped"),
];

/// How the steps of one scenario went.
#[derive(Debug, Default)]
pub struct Steps {
    /// Those that were taken.
    pub taken: usize,
    /// Those for which a library was linked.
    pub linked: usize,
    /// Why the others were refused.
    pub refused: Vec<String>,
}

/// A source that ran, and what it is asked.
struct Version {
    fresh: PathBuf,
    questions: Vec<Question>,
}

struct Walk<'a> {
    name: &'a str,
    scenario: &'a Scenario,
    project: Project,
    versions: Vec<Version>,
    steps: Steps,
}

/// Leads a scenario's program back and forth after each edit.
pub fn judge(name: &str) -> Result<Steps> {
    let scenario = scenario::read(name)?;
    let project = Project::copy(&scenario::folder().join(name), &format!("steps-{name}"))?;
    let mut words = scenario.options.clone();
    words.extend(["--on-refuse", "stay"].map(str::to_owned));
    let options = Options {
        manifest: scenario.manifest.clone(),
        options: words,
        args: scenario.args.clone(),
        ..Options::default()
    };
    let mut session = Session::start(&project, &options)?;
    let mut walk = Walk {
        name,
        scenario: &scenario,
        project,
        versions: Vec::new(),
        steps: Steps::default(),
    };
    walk.walk(&mut session)
        .map_err(|error| error.context(format!("{}\n---- failed ----", session.report())))?;
    session.stop()?;
    Ok(walk.steps)
}

impl Walk<'_> {
    fn walk(&mut self, session: &mut Session) -> Result<()> {
        session.ready(FIRST_BUILD)?;
        self.build(self.scenario.start.ask.clone())?;
        self.live(session, &self.scenario.start.live)?;
        let mut applied = vec![self.project.tree()?];
        // The steps that the tool has, by number of the version.
        let mut history = vec![0];
        for (index, edit) in self.scenario.edit.iter().enumerate() {
            let place = || format!("edit {}: {}", index + 1, edit.what);
            self.project.apply(edit, &applied).with_context(place)?;
            if edit.expect == Expect::Patched {
                applied.push(self.project.tree()?);
            }
            if edit.expect == Expect::Restarted {
                // What is refused here would need a restart, after which the session begins anew.
                break;
            }
            // So that each save is a step of its own.
            let verdict = self.verdict(session).with_context(place)?;
            if edit.expect != Expect::Patched {
                continue;
            }
            if verdict == "unchanged" {
                // With what was saved before it, or to what is there already: another source of the same step.
                self.build(edit.ask.clone()).with_context(place)?;
                history.pop();
                history.push(self.versions.len() - 1);
                continue;
            }
            ensure!(verdict == "patched", "{}: {verdict}", place());
            self.build(edit.ask.clone()).with_context(place)?;
            self.live(session, &edit.live).with_context(place)?;
            history.push(self.versions.len() - 1);
            let [.., before, now] = history[..] else {
                bail!("there are two versions at least");
            };
            let place = |what: &str| format!("{}, {what}", place());
            if self
                .step(session, "undo", before, now)
                .with_context(|| place("back"))?
            {
                let is_back = self.step(session, "redo", now, before);
                if !is_back.with_context(|| place("forth again"))? {
                    // What was refused stays on disk, and the next edit is compared with what runs.
                    history.pop();
                }
            }
        }
        self.walk_to_the_end(session, &history)
    }

    /// What became of what is on disk.
    fn verdict(&self, session: &Session) -> Result<String> {
        let tool = session.tool_pid().to_string();
        let output = ask_tool(&self.project, &["wait", "--json", "--pid", &tool])?;
        let said: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let verdict = said["verdict"].as_str().context("no verdict")?;
        Ok(verdict.to_owned())
    }

    /// As far back as it goes, and forth again.
    fn walk_to_the_end(&mut self, session: &mut Session, history: &[usize]) -> Result<()> {
        let mut at = history.len() - 1;
        while at > 0 && self.step(session, "undo", history[at - 1], history[at])? {
            at -= 1;
        }
        while at + 1 < history.len() && self.step(session, "redo", history[at + 1], history[at])? {
            at += 1;
        }
        Ok(())
    }

    /// Takes a step to a version from the one that runs, and sees that it does what a fresh build does. Gives back whether it was
    /// taken.
    fn step(&mut self, session: &mut Session, step: &str, to: usize, from: usize) -> Result<bool> {
        let before = self.dump(session)?;
        let (status, said) = ask(&self.project, session, step)?;
        let runs = match status {
            0 => {
                let (event, _) = session.wait_for("undone")?;
                self.count(&event)?;
                to
            }
            3 if said.contains("HP0") => {
                self.steps.refused.push(said);
                from
            }
            _ => bail!("{step} ended with {status}: {said}"),
        };
        let after = self.dump(session)?;
        ensure!(
            before == after,
            "the state was `{before:?}` and is `{after:?}`"
        );
        self.compare(session, runs)
            .with_context(|| format!("{step} to version {to}"))?;
        Ok(runs == to)
    }

    fn count(&mut self, event: &Event) -> Result<()> {
        self.steps.taken += 1;
        self.steps.linked += usize::from(event.number("bytes")? > 0);
        Ok(())
    }

    fn build(&mut self, questions: Vec<Question>) -> Result<()> {
        let Scenario {
            manifest, options, ..
        } = self.scenario;
        let built = fresh::build(&self.project, manifest, options, &plain_target())
            .context("the oracle's fresh build")?;
        let kept = format!("fresh-{}", self.versions.len());
        let fresh = self.project.beside(&kept);
        std::fs::copy(&built, &fresh)?;
        let questions = self.of_no_state(&fresh, questions)?;
        self.versions.push(Version { fresh, questions });
        Ok(())
    }

    /// The questions that are answered the same when all are asked again: what else counts in a program that does not tell its
    /// state differs between one that was asked more often and a fresh one.
    fn of_no_state(&self, fresh: &Path, questions: Vec<Question>) -> Result<Vec<Question>> {
        let mut program = Program::start(fresh, &self.scenario.args, self.project.root())?;
        let mut ask = || -> Result<Vec<String>> {
            let lines = questions.iter().map(|question| &question.line);
            lines.map(|line| program.talk.ask(line)).collect()
        };
        let (first, second) = (ask()?, ask()?);
        let answers = first.into_iter().zip(second);
        let questions = questions.into_iter().zip(answers);
        let is_counted = |of: &Question| COUNTED.contains(&(self.name, of.line.as_str()));
        let same = questions.filter(|(of, (first, second))| first == second && !is_counted(of));
        Ok(same.map(|(question, _)| question).collect())
    }

    fn dump(&self, session: &mut Session) -> Result<Option<String>> {
        self.scenario.state.then(|| session.ask("dump")).transpose()
    }

    /// What only the hot process is told; what it says to it depends on how often it was patched.
    fn live(&self, session: &mut Session, questions: &[Question]) -> Result<()> {
        questions
            .iter()
            .try_for_each(|question| session.ask(&question.line).map(drop))
    }

    /// Asks the process and a fresh build in its state the same things, and leaves the state as it was.
    fn compare(&self, session: &mut Session, version: usize) -> Result<()> {
        let Version { fresh, questions } = &self.versions[version];
        let mut program = Program::start(fresh, &self.scenario.args, self.project.root())?;
        let state = self.dump(session)?;
        if let Some(state) = &state {
            let reply = program.talk.ask(&format!("load {state}"))?;
            ensure!(reply == "ok", "`load {state}` was answered `{reply}`");
        }
        for Question { line, .. } in questions {
            let given = session.ask(line)?;
            let oracle = program.talk.ask(line).with_context(|| program.report())?;
            ensure!(
                given == oracle,
                "`{line}` was answered `{given}`, by a fresh build `{oracle}`"
            );
        }
        if let Some(state) = state {
            let reply = session.ask(&format!("load {state}"))?;
            ensure!(reply == "ok", "`load {state}` was answered `{reply}`");
        }
        Ok(())
    }
}

/// Asks the session from outside; gives back its exit status and its words.
fn ask(project: &Project, session: &Session, word: &str) -> Result<(i32, String)> {
    let tool = session.tool_pid().to_string();
    let output = ask_tool(project, &[word, "--pid", &tool])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let status = output.status.code().context("the tool was killed")?;
    Ok((status, said))
}
