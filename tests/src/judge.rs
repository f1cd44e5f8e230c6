//! Decides whether a scenario holds.
//!
//! # The oracle
//!
//! After a patch, the process must behave as a fresh build of the new source would *from the same state*.
//! So after each verdict the judge takes the source that must be live now, builds it plainly (another
//! target folder, no tool), starts it, and puts it into the state of the patched process: the hot program
//! answers `dump` with all of its state as one line, and the fresh one takes it with `load <line>`. Then
//! both get the same commands and must give the same replies, and the same `dump` in the end. A program
//! without state needs neither command.
//!
//! A state that the patch lost would be lost in the dump too. So the judge dumps before the save as well, and
//! the two dumps must be equal; and a scenario spells out the replies that prove what is to be proved.
//!
//! After `refused`, `unchanged` and `broken` the live source is the one before, and so is the fresh build.
//!
//! # What else is checked of every scenario
//!
//! The process stays the same one, but for a restart that is expected. Each save gets exactly one verdict: the next verdict event must fit the
//! next edit, and when a scenario ends well, a last comment is saved that must be found `unchanged`. The
//! tool and the program end together.
//!
//! # Without the tool
//!
//! `HOTPATCH_TEST_ORACLE_ONLY=1` checks the scenario itself: each patched edit ends the program and starts
//! the fresh build in its place, in the same state. That is what the tool has to look like from outside.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::events::Event;
use crate::fresh::{self, Program};
use crate::project::{Project, Tree};
use crate::scenario::{self, Edit, Expect, Question, Scenario};
use crate::session::{Options, Session};
use crate::words;
use crate::workspace::plain_target;

/// How long the first build of a scenario may take; the first of all builds the dependencies too.
const FIRST_BUILD: Duration = Duration::from_secs(300);

/// Runs a scenario.
pub fn judge(name: &str) -> Result<()> {
    let scenario = scenario::read(name)?;
    let project = Project::copy(&scenario::folder().join(name), name)?;
    let mut trial = Trial {
        name,
        scenario: &scenario,
        project,
        applied: Vec::new(),
        fresh: PathBuf::new(),
    };
    if std::env::var_os("HOTPATCH_TEST_ORACLE_ONLY").is_some() {
        return trial.run_on_fresh_builds();
    }
    let mut words = scenario.options.clone();
    if scenario
        .edit
        .iter()
        .any(|edit| edit.expect == Expect::Restarted)
    {
        words.extend(["--on-refuse", "restart"].map(str::to_owned));
    }
    let options = Options {
        manifest: scenario.manifest.clone(),
        options: words,
        args: scenario.args.clone(),
        ..Options::default()
    };
    let mut session = Session::start(&trial.project, &options)?;
    trial
        .run(&mut session)
        .map_err(|error| error.context(format!("{}\n---- failed ----", session.report())))
}

struct Trial<'a> {
    name: &'a str,
    scenario: &'a Scenario,
    project: Project,
    /// The source of each generation.
    applied: Vec<Tree>,
    /// A fresh build of the last of them.
    fresh: PathBuf,
}

impl Trial<'_> {
    fn run(&mut self, session: &mut Session) -> Result<()> {
        let ready = session.ready(FIRST_BUILD)?;
        self.check_ready(&ready)?;
        self.build_fresh()?;
        let start = &self.scenario.start;
        self.compare(session, &start.ask).context("at the start")?;
        ask_live(session, &start.live).context("at the start")?;
        let mut generation = ready.number("generation")?;
        let mut changed = Vec::new();
        for (index, edit) in self.scenario.edit.iter().enumerate() {
            let place = || format!("edit {}: {}", index + 1, edit.what);
            let before = self.dump(session).with_context(place)?;
            session.nothing_more().with_context(place)?;
            let said = session.stderr().len();
            let save = || self.project.apply(edit, &self.applied);
            changed = if edit.may_save_several() {
                session.behind_its_back(save)
            } else {
                save()
            }
            .with_context(place)?;
            let Some(name) = edit.expect.event() else {
                continue;
            };
            if edit.ahead {
                let first = session.verdict().with_context(place)?;
                ensure!(first.is_ahead(), "{}: {first}", place());
                generation = first.number("generation")?;
            }
            let verdict = session.verdict().with_context(place)?;
            ensure!(
                verdict.name() == name,
                "{}: `{name}` was expected, not {verdict}",
                place()
            );
            check_verdict(edit, &verdict, generation).with_context(place)?;
            words::check(session, self.name, index + 1, said, &verdict).with_context(place)?;
            if edit.hasty {
                generation = verdict.number("generation")?;
                self.applied.push(self.project.tree()?);
                continue;
            }
            if edit.expect == Expect::Patched {
                generation = verdict.number("generation")?;
                self.build_fresh().with_context(place)?;
            }
            if edit.expect == Expect::Restarted {
                let (_, between) = session.restarted().with_context(place)?;
                ensure!(between.is_empty(), "{}: {between:?}", place());
                generation = 0;
                self.build_fresh().with_context(place)?;
            }
            let after = self.dump(session).with_context(place)?;
            ensure!(
                before == after,
                "{}: the state was `{before:?}` and is `{after:?}`",
                place()
            );
            self.compare(session, &edit.ask).with_context(place)?;
            ask_live(session, &edit.live).with_context(place)?;
            let confirmed = session.confirmed(&verdict).with_context(place)?;
            if edit.expect == Expect::Patched {
                check_notes(edit, &verdict, confirmed.as_ref()).with_context(place)?;
            }
            if confirmed.is_some() {
                let place = || format!("{}, once it is confirmed", place());
                self.compare_again(session, &edit.ask).with_context(place)?;
            }
            session.check_alive().with_context(place)?;
        }
        self.check_no_more_verdicts(session, &changed)
            .context("after the last edit")?;
        session.stop()?;
        Ok(())
    }

    fn check_ready(&self, ready: &Event) -> Result<()> {
        ensure!(
            ready.number("generation")? == 0,
            "the base is generation 0, not {ready}"
        );
        ensure!(
            ready.number("functions")? > 0,
            "nothing can be replaced: {ready}"
        );
        Ok(())
    }

    /// Takes the source on disk as the live one.
    fn build_fresh(&mut self) -> Result<()> {
        self.applied.push(self.project.tree()?);
        let Scenario {
            manifest, options, ..
        } = &self.scenario;
        let built = fresh::build(&self.project, manifest, options, &plain_target())
            .context("the oracle's fresh build")?;
        self.fresh = self
            .project
            .beside(&format!("fresh-{}", self.applied.len()));
        std::fs::copy(&built, &self.fresh)?;
        Ok(())
    }

    /// The state of the hot process.
    fn dump(&self, session: &mut Session) -> Result<Option<String>> {
        self.scenario.state.then(|| session.ask("dump")).transpose()
    }

    /// Asks the hot process and a fresh build in the same state the same things.
    fn compare(&self, session: &mut Session, questions: &[Question]) -> Result<()> {
        if questions.is_empty() {
            return Ok(());
        }
        let mut program = self.start_fresh()?;
        if let Some(state) = self.dump(session)? {
            load(&mut program, &state)?;
        }
        for Question { line, reply } in questions {
            let given = session.ask(line)?;
            if let Some(reply) = reply {
                ensure!(
                    given == *reply,
                    "`{line}` was answered `{given}`, not `{reply}`"
                );
            }
            let oracle = program.talk.ask(line).with_context(|| program.report())?;
            ensure!(
                given == oracle,
                "`{line}` was answered `{given}`, by a fresh build `{oracle}`"
            );
        }
        if let Some(state) = self.dump(session)? {
            let oracle = program.talk.ask("dump").with_context(|| program.report())?;
            ensure!(
                state == oracle,
                "then the state is `{state}`, of a fresh build `{oracle}`"
            );
        }
        Ok(())
    }

    /// Asks the same things once more, and leaves the state as it was.
    fn compare_again(&self, session: &mut Session, questions: &[Question]) -> Result<()> {
        let state = self.dump(session)?;
        self.compare(session, &without_replies(questions))?;
        if let Some(state) = state.filter(|_| !questions.is_empty()) {
            let reply = session.ask(&format!("load {state}"))?;
            ensure!(reply == "ok", "`load {state}` was answered `{reply}`");
        }
        Ok(())
    }

    fn start_fresh(&self) -> Result<Program> {
        Program::start(&self.fresh, &self.scenario.args, self.project.root())
    }

    /// Saves one more comment: whatever verdict comes next must be about that.
    fn check_no_more_verdicts(&self, session: &mut Session, changed: &[PathBuf]) -> Result<()> {
        session.nothing_more()?;
        let last = self
            .scenario
            .edit
            .last()
            .context("a scenario without edits")?;
        let source = changed
            .iter()
            .find(|path| path.extension().is_some_and(|ext| ext == "rs"));
        let good = matches!(
            last.expect,
            Expect::Patched | Expect::Unchanged | Expect::Restarted
        );
        if let (true, Some(source)) = (good, source) {
            let path = self.project.root().join(source);
            let text = std::fs::read_to_string(&path)?;
            std::fs::write(&path, format!("{text}\n// The end.\n"))?;
            let verdict = session.verdict()?;
            ensure!(
                verdict.name() == "unchanged",
                "a comment was answered with {verdict}"
            );
        }
        Ok(())
    }

    fn run_on_fresh_builds(&mut self) -> Result<()> {
        self.build_fresh()?;
        let mut program = self.start_fresh()?;
        answer(&mut program, &self.scenario.start.ask).context("at the start")?;
        answer(&mut program, &self.scenario.start.live).context("at the start")?;
        for (index, edit) in self.scenario.edit.iter().enumerate() {
            let place = || format!("edit {}: {}", index + 1, edit.what);
            self.project
                .apply(edit, &self.applied)
                .with_context(place)?;
            if matches!(edit.expect, Expect::Patched | Expect::Restarted) {
                let state = self
                    .scenario
                    .state
                    .then(|| program.talk.ask("dump"))
                    .transpose()?;
                self.build_fresh().with_context(place)?;
                program = self.start_fresh()?;
                if let Some(state) = state {
                    load(&mut program, &state)?;
                    let loaded = program.talk.ask("dump")?;
                    ensure!(loaded == state, "`{state}` was loaded as `{loaded}`");
                }
            } else {
                let Scenario {
                    manifest, options, ..
                } = &self.scenario;
                let built = fresh::build(&self.project, manifest, options, &plain_target());
                match (edit.expect, built) {
                    (Expect::Broken, Err(error)) => {
                        let text = format!("{error:#}");
                        for part in &edit.rendered {
                            ensure!(text.contains(part), "{}: no `{part}` in {text}", place());
                        }
                    }
                    (Expect::Broken, Ok(_)) => bail!("{}: it compiles", place()),
                    (_, built) => drop(built.with_context(place)?),
                }
            }
            answer(&mut program, &edit.ask).with_context(place)?;
        }
        Ok(())
    }
}

/// What is noted of a patch, by both lanes.
fn check_notes(edit: &Edit, verdict: &Event, confirmed: Option<&Event>) -> Result<()> {
    let said = |field| -> Result<Vec<String>> {
        let mut said = verdict.list("notes", Some(field))?;
        if let Some(confirmed) = confirmed {
            said.extend(confirmed.list("notes", Some(field))?);
        }
        said.sort();
        Ok(said)
    };
    ensure!(
        said("code")? == edit.notes,
        "the notes were to be {:?}, not {:?}",
        edit.notes,
        said("message")?
    );
    Ok(())
}

fn check_verdict(edit: &Edit, verdict: &Event, generation: u64) -> Result<()> {
    match edit.expect {
        Expect::Patched => {
            ensure!(
                verdict.number("generation")? == generation + 1,
                "after {generation}: {verdict}"
            );
            let mut sum = 0.0;
            for phase in ["settle", "plan", "compile", "check", "link", "load"] {
                let ms = verdict.field("ms")[phase].as_f64();
                sum += ms.with_context(|| format!("no `{phase}` in {verdict}"))?;
            }
            // Each is rounded to a hundredth.
            let total = verdict.field("ms")["total"].as_f64();
            ensure!(
                total.is_some_and(|total| (total - sum).abs() < 0.1),
                "the phases come to {sum} ms: {verdict}"
            );
            verdict.number("bytes")?;
            let lane = edit.lane.as_deref().unwrap_or(verdict.text("lane"));
            ensure!(
                lane == verdict.text("lane"),
                "the {lane} lane was expected: {verdict}"
            );
            let included = verdict.list("included", None)?;
            if let Some(wanted) = &edit.functions {
                same_names(wanted, &verdict.list("functions", None)?)?;
            }
            for wanted in &edit.included {
                let found = included.iter().any(|name| fits(wanted, name));
                ensure!(found, "`{wanted}` is not among {included:?}");
            }
        }
        Expect::Refused | Expect::Restarted => {
            let code = edit.code.as_deref().context("the scenario names no code")?;
            ensure!(
                verdict.text("code") == code,
                "`{code}` was expected, not {verdict}"
            );
            ensure!(
                !verdict.text("message").is_empty(),
                "a refusal without text: {verdict}"
            );
            // Where the values are that stand against it.
            ensure!(
                code != "HP0101" || !verdict.list("reasons", None)?.is_empty(),
                "a refusal without reasons: {verdict}"
            );
        }
        Expect::Broken => {
            let text = verdict.text("rendered");
            ensure!(!text.is_empty(), "no diagnostics in {verdict}");
            for part in &edit.rendered {
                ensure!(text.contains(part), "there is no `{part}` in {text}");
            }
        }
        Expect::Unchanged | Expect::Nothing => {}
    }
    if let Some(message) = &edit.message {
        ensure!(
            verdict.text("message") == message,
            "the text was to be `{message}`: {verdict}"
        );
    }
    if let Some(file) = &edit.file {
        let named = Path::new(verdict.text("file"));
        ensure!(named.ends_with(file), "`{file}` is to blame, not {verdict}");
    }
    if let Some(line) = edit.line {
        ensure!(
            verdict.number("line")? == line,
            "line {line} is to blame: {verdict}"
        );
    }
    Ok(())
}

/// Puts a fresh program into a state.
fn load(program: &mut Program, state: &str) -> Result<()> {
    let reply = program
        .talk
        .ask(&format!("load {state}"))
        .with_context(|| program.report())?;
    ensure!(reply == "ok", "`load {state}` was answered `{reply}`");
    Ok(())
}

/// Commands for the hot process alone.
fn ask_live(session: &mut Session, questions: &[Question]) -> Result<()> {
    for Question { line, reply } in questions {
        let reply = reply.as_ref().context("a `live` command needs a reply")?;
        let given = session.ask(line)?;
        ensure!(
            given == *reply,
            "`{line}` was answered `{given}`, not `{reply}`"
        );
    }
    Ok(())
}

fn without_replies(questions: &[Question]) -> Vec<Question> {
    let line = |question: &Question| Question {
        line: question.line.clone(),
        reply: None,
    };
    questions.iter().map(line).collect()
}

/// Commands for a fresh build in the hot process's place.
fn answer(program: &mut Program, questions: &[Question]) -> Result<()> {
    for Question { line, reply } in questions {
        let given = program.talk.ask(line).with_context(|| program.report())?;
        if let Some(reply) = reply {
            ensure!(
                given == *reply,
                "`{line}` was answered `{given}`, not `{reply}`"
            );
        }
    }
    Ok(())
}

/// Compares lists of names in any order.
fn same_names(wanted: &[String], given: &[String]) -> Result<()> {
    let missing = wanted
        .iter()
        .find(|wanted| !given.iter().any(|name| fits(wanted, name)));
    let extra = given
        .iter()
        .find(|name| !wanted.iter().any(|wanted| fits(wanted, name)));
    ensure!(
        missing.is_none() && extra.is_none() && wanted.len() == given.len(),
        "the functions were to be {wanted:?}, not {given:?}"
    );
    Ok(())
}

/// Whether a name fits a pattern, in which `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(last)
}
