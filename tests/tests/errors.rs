//! What goes wrong: compilers and linkers that fail, programs that end, two sessions at once.
//!
//! After every failure the program and the session must be usable: the next good save is patched.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hotpatch_tests::LIMIT;
use hotpatch_tests::events::Event;
use hotpatch_tests::programs::{
    FIRST_BUILD, Shim, expect_answer, expect_confirmed_patch, expect_patch, host, is_running,
    program, sysroot_without_lld, wait_until, with_session,
};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::{BOTH_LANES, Options, Session, interrupt, signal};

fn shim(project: &Project) -> Result<Shim> {
    Shim::new(project, Path::new(env!("CARGO_BIN_EXE_tool-shim")))
}

/// Everything a verdict says in words.
fn words(verdict: &Event) -> String {
    format!("{}\n{}", verdict.text("message"), verdict.text("rendered"))
}

/// Whether a verdict says that nothing was done.
fn is_setback(verdict: &Event) -> bool {
    matches!(verdict.name(), "refused" | "broken")
}

#[test]
fn a_compiler_that_fails_on_a_patch() -> Result<()> {
    let project = program("server", "compiler")?;
    let shim = shim(&project)?;
    let options = Options {
        env: shim.env(),
        ..Options::default()
    };
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        let mut live = "base".to_owned();
        for (fault, said) in [
            ("fail", "told to fail"),
            ("signal", "SIGKILL"),
            ("garbage", ""),
            ("nothing", ""),
        ] {
            shim.set(&format!("rustc {fault}"))?;
            let unlucky = format!("unlucky-{fault}");
            project.replace(
                "src/main.rs",
                &format!("\"{live} "),
                &format!("\"{unlucky} "),
            )?;
            let verdict = session.verdict().with_context(|| fault.to_owned())?;
            ensure!(is_setback(&verdict), "{fault}: {verdict}");
            ensure!(
                !words(&verdict).trim().is_empty(),
                "{fault}: no words in {verdict}"
            );
            ensure!(
                words(&verdict).contains(said),
                "{fault}: no `{said}` in {verdict}"
            );
            expect_answer(session, "x", &format!("{live} x"))?;
            shim.set("")?;
            let lucky = format!("after-{fault}");
            expect_confirmed_patch(session, &project, &unlucky, &lucky)?;
            expect_answer(session, "x", &format!("{lucky} x"))?;
            live = lucky;
        }
        session.stop().map(drop)
    })
}

#[test]
fn the_lane_that_is_sooner_answers() -> Result<()> {
    let project = program("server", "sooner")?;
    let shim = shim(&project)?;
    let mut options = Options {
        env: shim.env(),
        ..Options::default()
    };
    options.env.push((BOTH_LANES.to_owned(), "0".into()));
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        // The fast lane's compiler alone.
        shim.set("rustc hang-on --extern=hp_scope=")?;
        project.replace("src/main.rs", "\"base ", "\"one ")?;
        let verdict = session.verdict()?;
        ensure!(verdict.name() == "patched", "{verdict}");
        ensure!(verdict.text("lane") == "exact", "{verdict}");
        ensure!(
            verdict.text("aside") == "the exact lane was sooner",
            "{verdict}"
        );
        expect_answer(session, "x", "one x")?;
        let pid: u32 = fs::read_to_string(shim.folder().join("hanging"))?.parse()?;
        wait_until("the compiler is gone", || Ok(!is_running(pid)))?;
        session.stop().map(drop)
    })
}

#[test]
fn a_compiler_that_hangs_is_ended_by_a_newer_save() -> Result<()> {
    let project = program("server", "hanging")?;
    let shim = shim(&project)?;
    let options = Options {
        env: shim.env(),
        ..Options::default()
    };
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        shim.set("rustc hang")?;
        project.replace("src/main.rs", "\"base ", "\"older ")?;
        let hanging = shim.folder().join("hanging");
        wait_until("the compiler hangs", || Ok(hanging.exists()))?;
        let pid: u32 = fs::read_to_string(&hanging)?.parse()?;
        expect_answer(session, "x", "base x")?;
        shim.set("")?;
        expect_patch(session, &project, "older", "newer")?;
        expect_answer(session, "x", "newer x")?;
        wait_until("the compiler is gone", || Ok(!is_running(pid)))?;
        session.nothing_more()?;
        session.stop().map(drop)
    })
}

#[test]
fn without_rust_lld_the_users_linker_links() -> Result<()> {
    let project = program("server", "linker")?;
    let shim = shim(&project)?;
    let sysroot = sysroot_without_lld(&project)?;
    fs::write(
        shim.folder().join("sysroot"),
        sysroot.as_os_str().as_encoded_bytes(),
    )?;
    let mut options = Options {
        env: shim.env(),
        ..Options::default()
    };
    let triple = host()?.to_uppercase().replace('-', "_");
    options.env.push((
        format!("CARGO_TARGET_{triple}_LINKER"),
        shim.folder().join("cc").into(),
    ));
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        ensure!(
            shim.log().contains("\ncc "),
            "the program was not linked through `cc`"
        );
        fs::write(shim.folder().join("log"), "")?;
        expect_confirmed_patch(session, &project, "base", "one")?;
        expect_answer(session, "x", "one x")?;
        let log = shim.log();
        let linked = log
            .lines()
            .any(|line| line.starts_with("cc ") && line.contains("-shared"));
        ensure!(linked, "the patch was not linked through `cc`:\n{log}");

        shim.set("cc fail")?;
        project.replace("src/main.rs", "\"one ", "\"two ")?;
        let verdict = session.verdict()?;
        ensure!(is_setback(&verdict), "{verdict}");
        ensure!(
            words(&verdict).contains("told to fail"),
            "the linker's words are not in {verdict}"
        );
        expect_answer(session, "x", "one x")?;
        shim.set("cc garbage")?;
        project.replace("src/main.rs", "\"two ", "\"three ")?;
        let verdict = session.verdict()?;
        ensure!(is_setback(&verdict), "{verdict}");
        expect_answer(session, "x", "one x")?;
        shim.set("")?;
        expect_patch(session, &project, "three", "four")?;
        expect_answer(session, "x", "four x")?;
        session.stop().map(drop)
    })
}

#[test]
fn a_program_that_exits_or_crashes() -> Result<()> {
    let project = program("server", "exits")?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        expect_patch(session, &project, "base", "one")?;
        session.talk.say("exit 7")?;
        let exited = session.expect("exited")?;
        ensure!(exited.number("code")? == 7, "{exited}");

        project.replace("src/main.rs", "\"one ", "\"two ")?;
        expect_restart(session)?;
        expect_answer(session, "x", "two x")?;
        expect_patch(session, &project, "two", "three")?;
        expect_answer(session, "x", "three x")?;

        session.talk.say("abort")?;
        let exited = session.expect("exited")?;
        ensure!(exited.number("signal")? == 6, "{exited}");
        // A save that does not compile starts nothing; the next good one does.
        project.replace("src/main.rs", "\"three {text}\"", "\"four {text}\" +")?;
        let verdict = session.verdict_of_none()?;
        ensure!(verdict.name() == "broken", "{verdict}");
        project.replace("src/main.rs", "\"four {text}\" +", "\"four {text}\"")?;
        expect_restart(session)?;
        expect_answer(session, "x", "four x")?;

        session.talk.close();
        let exited = session.expect("exited")?;
        ensure!(exited.number("code")? == 0, "{exited}");
        session.stop().map(drop)
    })
}

fn expect_restart(session: &mut Session) -> Result<()> {
    session.restarted().map(drop)
}

#[test]
fn interrupting_the_tool_ends_the_program() -> Result<()> {
    let project = program("server", "interrupt")?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        let pid = session.pid()?;
        signal(session.tool_pid(), interrupt()?);
        session.wait(LIMIT)?;
        wait_until("the program is gone", || Ok(!is_running(pid)))
    })
}

#[test]
fn two_sessions_of_one_project() -> Result<()> {
    let project = program("server", "two")?;
    with_session(&project, &Options::default(), |first| {
        first.ready(FIRST_BUILD)?;
        let options = Options {
            events: "second-events".to_owned(),
            ..Options::default()
        };
        with_session(&project, &options, |second| {
            second.ready(FIRST_BUILD)?;
            ensure!(
                first.pid()? != second.pid()?,
                "both sessions name one program"
            );
            project.replace("src/main.rs", "\"base ", "\"both ")?;
            for session in [&mut *first, &mut *second] {
                let verdict = session.verdict()?;
                ensure!(verdict.name() == "patched", "{verdict}");
                expect_answer(session, "x", "both x")?;
            }
            second.stop()?;
            expect_patch(first, &project, "both", "first")?;
            expect_answer(first, "x", "first x")?;
            first.stop().map(drop)
        })
    })
}
