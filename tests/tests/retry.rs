//! `#[hot(retry)]`: a call that panics waits for other code and is made again.

use anyhow::{Result, ensure};
use hotpatch_tests::programs::{ask_tool, expect_answer, expect_words, with_program};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::{Options, Session};

const OPTIMISED: &str = "\n[profile.dev]\nopt-level = 2\n";

fn session(
    name: &str,
    profile: &str,
    option: &str,
    test: impl FnOnce(&Project, &mut Session) -> Result<()>,
) -> Result<()> {
    let given = [option].into_iter().filter(|option| !option.is_empty());
    let options = Options {
        options: given.map(str::to_owned).collect(),
        env: vec![("RUST_BACKTRACE".to_owned(), "0".into())],
        ..Options::default()
    };
    with_program(("retrying", name, profile), &options, test)
}

fn save(project: &Project, session: &mut Session, from: &str, to: &str) -> Result<()> {
    project.replace("src/main.rs", from, to)?;
    let verdict = session.wait_for("patched")?.0;
    session.confirmed(&verdict).map(drop)
}

/// Says a line to which there is no answer yet.
fn say(session: &mut Session, line: &str, function: &str) -> Result<()> {
    session.talk.say(line)?;
    let waits = session.wait_for("waits")?.0;
    ensure!(waits.text("function").contains(function), "{waits}");
    ensure!(waits.text("thread") == "main", "{waits}");
    Ok(())
}

fn expect_said(session: &mut Session, words: &str) -> Result<()> {
    let heard = session.talk.hear()?;
    ensure!(heard == words, "`{heard}`, not `{words}`");
    Ok(())
}

fn a_call_is_made_again(name: &str, profile: &str) -> Result<()> {
    session(name, profile, "", |project, session| {
        expect_answer(session, "a", "base a 1")?;
        let (base, fails) = (
            "format!(\"base {text} {}\"",
            "format!(\"{}\", &text[9..]); format!(\"one {text} {}\"",
        );
        save(project, session, base, fails)?;
        say(session, "b", "::answer")?;
        expect_words(session, "Waits")?;
        // Where it was, though nobody has asked for backtraces.
        expect_words(session, ": <errors_retry")?;
        ensure!(!session.stderr().contains("catch_unwind"), "too much of it");
        // A save of something else is other code, too: it fails again.
        project.replace("src/main.rs", "\"server\"", "\"other\"")?;
        session.wait_for("waits")?;
        save(project, session, fails, "format!(\"two {text} {}\"")?;
        // With the same argument, and what it had changed before stays changed.
        let heard = session.talk.hear()?;
        ensure!(heard.starts_with("two b "), "{heard}");
        let calls: u32 = heard["two b ".len()..].parse()?;
        ensure!(calls > 3, "{heard}");

        // Back to what ran before is other code.
        save(
            project,
            session,
            "items[0].to_string()",
            "items[5].to_string()",
        )?;
        say(session, "first x y", "::first")?;
        let undone = ask_tool(project, &["undo"])?;
        ensure!(undone.status.success(), "{undone:?}");
        expect_said(session, "x")?;

        expect_answer(session, "describe it", "other of it")?;
        save(
            project,
            session,
            "format!(\"{} of {what}\"",
            "panic!(\"{} {what}\"",
        )?;
        say(session, "describe it", "::describe")?;
        save(
            project,
            session,
            "panic!(\"{} {what}\"",
            "format!(\"{} in {what}\"",
        )?;
        expect_said(session, "other in it")
    })
}

#[test]
fn a_call_that_panics_is_made_again_with_other_code() -> Result<()> {
    a_call_is_made_again("retry", "")
}

#[test]
fn so_it_is_in_an_optimised_program() -> Result<()> {
    a_call_is_made_again("retry_optimised", OPTIMISED)
}

#[test]
fn a_call_can_be_given_up() -> Result<()> {
    session("retry_given_up", "", "", |project, session| {
        let nothing = ask_tool(project, &["give-up"])?;
        ensure!(nothing.status.code() == Some(3), "{nothing:?}");
        save(
            project,
            session,
            "items[0].to_string()",
            "items[5].to_string()",
        )?;
        say(session, "first x", "::first")?;
        let given_up = ask_tool(project, &["give-up"])?;
        ensure!(given_up.status.success(), "{given_up:?}");
        let exited = session.wait_for("exited")?.0;
        ensure!(exited.number("code")? == 101, "{exited}");
        Ok(())
    })
}

#[test]
fn a_guard_brings_the_code_that_it_waits_for() -> Result<()> {
    session("retry_guarded", "", "--guard", |project, session| {
        save(
            project,
            session,
            "items[0].to_string()",
            "items[5].to_string()",
        )?;
        session.talk.say("first x")?;
        expect_said(session, "x")?;
        session.wait_for("fallen")?;
        session.wait_for("undone").map(drop)
    })
}
