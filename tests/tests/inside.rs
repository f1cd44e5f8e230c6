//! The running program as it sees itself: `hotpatch_rt::functions`, `variables`, `set`, `on_patch`, `checkpoint`.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use hotpatch_tests::fresh::{self, Program};
use hotpatch_tests::programs::{
    FIRST_BUILD, ask_tool, expect_answer, expect_words, program, wait_until, with_session,
};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::{Options, Session};
use hotpatch_tests::workspace::{command, plain_target, root, tool};
use serde_json::Value;

/// All that is said of a patch for which there is no checkpoint.
const NO_CHECKPOINT: &str = "
refused HP0207: the program did not come to a checkpoint within five seconds
  --> src/main.rs
   = restart to use it; `cargo hotpatch explain HP0207`
";

fn save(project: &Project, from: &str, to: &str) -> Result<()> {
    project.replace("src/main.rs", from, to)
}

/// Waits until a question is answered like this: hooks are called when the verdict is out already.
fn comes_to(session: &mut Session, question: &str, wanted: &str) -> Result<()> {
    let mut given = String::new();
    wait_until("the hook was called", || {
        given = session.ask(question)?;
        Ok(given == wanted)
    })
    .with_context(|| format!("`{question}` was answered `{given}`, not `{wanted}`"))
}

#[test]
fn a_program_sees_itself_and_hears_of_patches() -> Result<()> {
    let project = program("inside", "insight")?;
    let name = "errors_insight";
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        expect_answer(session, "generation", "0")?;
        let routes = format!("{name}::routes");
        let signature = "Some(\"fn() -> alloc::vec::Vec<&str, alloc::alloc::Global>\")";
        expect_answer(session, "functions", &format!("{routes} 0 {signature}"))?;
        expect_answer(session, "variables", &format!("{name}::LIMIT Some(\"3\")"))?;
        expect_answer(session, "set 12", "set")?;
        expect_answer(session, "limit", "12")?;
        let refusal = session.ask("set x")?;
        ensure!(refusal.contains("no value of"), "{refusal}");

        // What the program made of older code it makes anew.
        save(&project, "vec![\"base\"]", "vec![\"base\", \"more\"]")?;
        ensure!(session.verdict()?.name() == "patched");
        comes_to(session, "routes", "base,more")?;
        comes_to(session, "reports", "1:routes")?;
        expect_answer(session, "generation", "1")?;
        expect_answer(session, "functions", &format!("{routes} 1 {signature}"))?;

        // A hook that panicked is called again.
        save(&project, "vec![\"base\", \"more\"]", "vec![\"other\"]")?;
        ensure!(session.verdict()?.name() == "patched");
        comes_to(session, "routes", "other")?;
        comes_to(session, "reports", "1:routes,2:routes")?;
        session.stop().map(drop)
    })
}

#[test]
fn a_patch_waits_for_the_programs_checkpoint() -> Result<()> {
    let project = program("inside", "checkpoints")?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        // Without one, at any time.
        save(
            &project,
            "fn first() -> u32 {\n    1",
            "fn first() -> u32 {\n    2",
        )?;
        expect(&project, "wait", 0)?;
        expect_answer(session, "both", "2 1")?;

        expect_answer(session, "checkpoint", "done")?;
        project.replace_all(
            "src/main.rs",
            &[
                ("fn first() -> u32 {\n    2", "fn first() -> u32 {\n    3"),
                ("fn second() -> u32 {\n    1", "fn second() -> u32 {\n    3"),
            ],
        )?;
        // It waits until the program stops at its checkpoint, and so does what the compiler makes of it.
        comes_there(session, "3 3")?;
        pump(session, &project)?;
        expect_answer(session, "both", "3 3")?;

        // Nobody comes there: nothing of it is live, and all that was live before still is.
        save(
            &project,
            "fn first() -> u32 {\n    3",
            "fn first() -> u32 {\n    4",
        )?;
        let refused = session.wait_for("refused")?.0;
        ensure!(refused.text("code") == "HP0207", "{refused}");
        expect_words(session, NO_CHECKPOINT)?;
        expect_answer(session, "both", "3 3")?;
        expect(&project, "wait", 3)?;

        // Once the program comes there again, it can be had.
        let asked = std::thread::spawn({
            let folder = project.root().to_owned();
            move || -> Result<Option<i32>> {
                let mut redo = command(tool()?);
                redo.args(["hotpatch", "redo"]).current_dir(folder);
                Ok(redo.output()?.status.code())
            }
        });
        comes_there(session, "4 3")?;
        pump(session, &project)?;
        let status = asked.join().map_err(|_| anyhow::anyhow!("it panicked"))??;
        ensure!(status == Some(0), "{status:?}");
        expect(&project, "wait", 0)?;
        session.stop().map(drop)
    })
}

/// Has the program come to its checkpoint until it answers so.
fn comes_there(session: &mut Session, wanted: &str) -> Result<()> {
    wait_until("the patch is live", || {
        session.ask("checkpoint")?;
        let given = session.ask("both")?;
        Ok(given == wanted)
    })
}

/// Has the program come to its checkpoint until nothing waits for that.
fn pump(session: &mut Session, project: &Project) -> Result<()> {
    wait_until("nothing is pending", || {
        session.ask("checkpoint")?;
        let output = ask_tool(project, &["status", "--json"])?;
        let status: Value = serde_json::from_slice(&output.stdout)?;
        Ok(status["pending"] == false && status["running"] == status["revision"])
    })
}

/// A command that has to end with this status.
fn expect(project: &Project, command: &str, status: i32) -> Result<()> {
    let output = ask_tool(project, &[command])?;
    let ended = output.status.code();
    ensure!(ended == Some(status), "{command} ended with {ended:?}");
    Ok(())
}

#[test]
fn without_the_tool_there_is_nothing_to_see() -> Result<()> {
    let project = program("inside", "outside")?;
    let built = fresh::build(&project, "Cargo.toml", &[], &plain_target())?;
    let mut program = Program::start(&built, &[], project.root())?;
    for (question, answer) in [
        ("generation", "0"),
        ("functions", ""),
        ("variables", ""),
        ("checkpoint", "done"),
        ("set 1", "the program does not run under `cargo hotpatch`"),
        ("limit", "3"),
        ("reports", ""),
    ] {
        let given = program.talk.ask(question)?;
        ensure!(given == answer, "`{question}` was answered `{given}`");
    }
    // A release that uses none of it carries none of it.
    let plain = program_of("server", "nothing-in-it")?;
    let sections = Command::new("readelf").args(["-SW"]).arg(&plain).output()?;
    let sections = String::from_utf8_lossy(&sections.stdout).into_owned();
    ensure!(
        sections.contains(".text") && !sections.contains("hotpatch"),
        "{sections}"
    );
    Ok(())
}

/// A release build of another program that depends on the runtime.
fn program_of(kind: &str, name: &str) -> Result<std::path::PathBuf> {
    let project = program(kind, name)?;
    fresh::build(
        &project,
        "Cargo.toml",
        &["--release".to_owned()],
        &plain_target(),
    )
}

/// The program and the transcript of the page, so that they stay true.
#[test]
fn the_page_shows_what_happens() -> Result<()> {
    let page = std::fs::read_to_string(root().join("docs/inside.md"))?;
    let block = |kind: &str| -> Result<&str> {
        let (_, rest) = page
            .split_once(&format!("```{kind}\n"))
            .context("no block")?;
        Ok(rest.split_once("```").context("no end")?.0)
    };
    // The name of the package is that of the page.
    let project = program("server", "page")?;
    project.replace("Cargo.toml", "errors_page", "inside")?;
    std::fs::write(project.root().join("src/main.rs"), block("rust")?)?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        let mut expected = block("text")?.lines().peekable();
        while let Some(step) = expected.next() {
            let given = match step.split_once(' ') {
                Some((">", line)) => session.ask(line)?,
                Some(("$", words)) => at_a_shell(&project, words)?,
                _ => anyhow::bail!("`{step}` is neither typed nor answered"),
            };
            for given in given.lines() {
                let wanted = expected.next().unwrap_or_default();
                ensure!(
                    is_like(given, wanted),
                    "`{step}`: `{given}`, not `{wanted}`"
                );
            }
            let is_next = |line: &&str| line.starts_with("> ") || line.starts_with("$ ");
            ensure!(
                expected.peek().is_none_or(is_next),
                "`{step}` says too little: {given}"
            );
        }
        session.stop().map(drop)
    })
}

/// What a command says in the project's folder.
fn at_a_shell(project: &Project, words: &str) -> Result<String> {
    let tool = tool()?.display().to_string();
    let output = command("sh")
        .args([
            "-c",
            &words.replace("cargo hotpatch", &format!("'{tool}' hotpatch")),
        ])
        .current_dir(project.root())
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// Whether a line is as it is written, where `…` stands for any text.
fn is_like(given: &str, wanted: &str) -> bool {
    match wanted.split_once('…') {
        Some((before, behind)) => given.starts_with(before) && given.ends_with(behind),
        None => given == wanted,
    }
}
