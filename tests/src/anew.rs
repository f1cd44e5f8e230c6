//! Decides whether a program that is started anew does what a fresh build does.
//!
//! The scenarios' edits are saved one after the other, whatever verdict each gets, and after each of them that compiles the
//! program is started anew without its state. Then it must answer as a fresh build of the source does: all that was
//! saved counts, types, statics and `main` itself included, and nothing is left of what was there before.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::fresh::{self, Program};
use crate::programs::ask_tool;
use crate::project::Project;
use crate::scenario::{self, Expect, Question};
use crate::session::{Options, Session};
use crate::workspace::plain_target;

const FIRST_BUILD: Duration = Duration::from_secs(300);

/// What was said where a program had to be built for it.
const BUILDING: &str = "    Building the program, as ";

/// How the starts of one scenario were made.
#[derive(Debug, Default)]
pub struct Starts {
    /// All of them.
    pub count: usize,
    /// Why the program was built for some.
    pub builds: Vec<String>,
}

/// Starts a scenario's program anew after each edit.
pub fn judge(name: &str) -> Result<Starts> {
    let scenario = scenario::read(name)?;
    let project = Project::copy(&scenario::folder().join(name), &format!("anew-{name}"))?;
    let mut options = scenario.options.clone();
    options.push("-v".to_owned());
    let options = Options {
        manifest: scenario.manifest.clone(),
        options,
        args: scenario.args.clone(),
        ..Options::default()
    };
    let mut session = Session::start(&project, &options)?;
    let session = &mut session;
    let mut starts = Starts::default();
    let mut all = || -> Result<()> {
        session.ready(FIRST_BUILD)?;
        let mut applied = vec![project.tree()?];
        let mut questions = scenario.start.ask.clone();
        for (index, edit) in scenario.edit.iter().enumerate() {
            let place = || format!("edit {}: {}", index + 1, edit.what);
            project.apply(edit, &applied).with_context(place)?;
            if matches!(edit.expect, Expect::Patched | Expect::Restarted) {
                applied.push(project.tree()?);
            }
            if !edit.ask.is_empty() {
                questions.clone_from(&edit.ask);
            }
            if edit.expect == Expect::Broken {
                continue;
            }
            ask(&project, session, &["wait"])?;
            ask(&project, session, &["restart", "--clean"]).with_context(place)?;
            session.wait_for("restarted").with_context(place)?;
            let (ready, _) = session.wait_for("ready").with_context(place)?;
            session.adopt(&ready)?;
            starts.count += 1;
            let built = fresh::build(
                &project,
                &scenario.manifest,
                &scenario.options,
                &plain_target(),
            )
            .context("the oracle's fresh build")?;
            let mut program = Program::start(&built, &scenario.args, project.root())?;
            for Question { line, .. } in &questions {
                let given = session.ask(line).with_context(place)?;
                let oracle = program.talk.ask(line).with_context(|| program.report())?;
                ensure!(
                    given == oracle,
                    "{}: `{line}` was answered `{given}`, by a fresh build `{oracle}`",
                    place()
                );
            }
        }
        Ok(())
    };
    all().map_err(|error| error.context(format!("{}\n---- failed ----", session.report())))?;
    let said = session.stderr();
    let builds = said.lines().filter_map(|line| line.strip_prefix(BUILDING));
    starts.builds = builds.map(str::to_owned).collect();
    session.stop()?;
    Ok(starts)
}

/// Asks the session from outside.
fn ask(project: &Project, session: &Session, words: &[&str]) -> Result<()> {
    let tool = session.tool_pid().to_string();
    let output = ask_tool(project, &[words, &["--pid", &tool]].concat())?;
    let said = String::from_utf8_lossy(&output.stderr);
    // A refusal is an answer.
    let is_answered = output.status.success() || words == ["wait"];
    ensure!(is_answered, "{words:?}: {said}");
    Ok(())
}
