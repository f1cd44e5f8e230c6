//! Restarts: what is kept, what is said, and what is left as it was when something goes wrong.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hotpatch_tests::events::Event;
use hotpatch_tests::programs::{
    FIRST_BUILD, edit_and_be_refused, expect_answer, expect_confirmed_patch, expect_patch,
    expect_refusal, is_running, program, wait_until, with_session,
};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::{Options, Session};

/// Options of a session that restarts whenever it can.
fn restarting() -> Options {
    Options {
        options: ["--on-refuse", "restart"].map(str::to_owned).to_vec(),
        ..Options::default()
    }
}

fn names(event: &Event, field: &str) -> Result<Vec<String>> {
    let mut names = event.list(field, None)?;
    names.sort();
    Ok(names)
}

fn edit(project: &Project, from: &str, to: &str) -> Result<()> {
    project.replace("src/main.rs", from, to)
}

/// Gives `World` a field and its first value, in one save.
fn add_field(project: &Project, attribute: &str) -> Result<()> {
    let path = project.root().join("src/main.rs");
    let text = fs::read_to_string(&path)?;
    let new = text
        .replace(
            "    ticks: u64,\n",
            &format!("    ticks: u64,\n    {attribute}name: String,\n"),
        )
        .replace(
            "World { ticks: 0 }",
            "World { ticks: 50, name: String::new() }",
        );
    ensure!(text != new);
    Ok(fs::write(path, new)?)
}

#[test]
fn an_added_field_costs_no_state() -> Result<()> {
    let project = program("keeper", "field")?;
    with_session(&project, &restarting(), |session| {
        session.ready(FIRST_BUILD)?;
        let old = session.pid()?;
        expect_answer(session, "step", "base 1")?;
        expect_answer(session, "step", "base 2")?;
        expect_answer(session, "hit", "101")?;
        add_field(&project, "#[serde(default)] ")?;
        expect_refusal(session, "HP0101")?;
        let (restarted, between) = session.restarted()?;
        ensure!(
            names(&restarted, "kept")? == ["hits", "world"],
            "{restarted}"
        );
        ensure!(between.is_empty(), "{between:?}");
        ensure!(session.pid()? != old && !is_running(old));
        expect_answer(session, "step", "base 3")?;
        // The new process is patched like the first, and keeps on through the next restart.
        expect_confirmed_patch(session, &project, "base", "new")?;
        expect_answer(session, "step", "new 4")?;
        edit_and_be_refused(
            session,
            &project,
            &[("fn boot() {}", "fn boot() { let _ = 1; }")],
        )?;
        let (restarted, _) = session.restarted()?;
        // Nobody has asked for `hits` in the second process; it is there in the third.
        ensure!(names(&restarted, "kept")? == ["world"], "{restarted}");
        expect_answer(session, "step", "new 5")?;
        expect_answer(session, "hit", "102")?;
        session.stop().map(drop)
    })
}

#[test]
fn what_no_longer_fits_is_named_and_begins_anew() -> Result<()> {
    let project = program("keeper", "unfit")?;
    with_session(&project, &restarting(), |session| {
        session.ready(FIRST_BUILD)?;
        expect_answer(session, "step", "base 1")?;
        expect_answer(session, "hit", "101")?;
        add_field(&project, "")?;
        expect_refusal(session, "HP0101")?;
        let (restarted, mut between) = session.restarted()?;
        ensure!(
            names(&restarted, "kept")? == ["hits", "world"],
            "{restarted}"
        );
        expect_answer(session, "step", "base 51")?;
        expect_answer(session, "hit", "102")?;
        if between.is_empty() {
            between.push(session.expect("lost")?);
        }
        ensure!(between.len() == 1, "{between:?}");
        ensure!(names(&between[0], "names")? == ["world"], "{}", between[0]);
        let message = "missing field `name`; it begins anew";
        ensure!(between[0].text("message") == message, "{}", between[0]);
        let said = format!("lost `world`: {message}\n");
        wait_until("the report", || Ok(session.stderr().contains(&said)))?;
        session.stop().map(drop)
    })
}

#[test]
fn a_build_that_fails_leaves_the_program_and_its_patches() -> Result<()> {
    let project = program("keeper", "manifest")?;
    with_session(&project, &restarting(), |session| {
        session.ready(FIRST_BUILD)?;
        expect_answer(session, "step", "base 1")?;
        expect_confirmed_patch(session, &project, "base", "patched")?;
        for (file, good, broken) in [
            (
                "Cargo.toml",
                "[dependencies]\n",
                "[dependencies]\nno-such-package = { path = \"nowhere\" }\n",
            ),
            ("Cargo.toml", "[dependencies]\n", "[dependencies\n"),
            ("Cargo.toml", "\"derive\"", "\"no-such-feature\""),
            ("Cargo.lock", "version = 4\n", "version = 99\n"),
        ] {
            project.replace(file, good, broken)?;
            let failed = session.expect("broken").context(broken)?;
            ensure!(!failed.text("rendered").is_empty(), "{failed}");
            session.check_alive()?;
            project.replace(file, broken, good)?;
            ensure!(session.verdict()?.name() == "unchanged", "{broken}");
        }
        expect_answer(session, "step", "patched 2")?;
        expect_patch(session, &project, "patched", "again")?;
        expect_answer(session, "step", "again 3")?;
        session.stop().map(drop)
    })
}

#[test]
fn a_program_that_does_not_come_up_costs_no_state() -> Result<()> {
    let project = program("keeper", "crash")?;
    with_session(&project, &restarting(), |session| {
        session.ready(FIRST_BUILD)?;
        expect_answer(session, "step", "base 1")?;
        crash(session, &project)?;
        // Once more: what is kept outlives any number of failures.
        edit(&project, "\"no luck\"", "\"no luck either\"")?;
        session.wait_for("restarted")?;
        session.wait_for("exited")?;
        edit(&project, "{ panic!(\"no luck either\") }", "{}")?;
        let (restarted, _) = session.restarted()?;
        ensure!(names(&restarted, "kept")? == ["world"], "{restarted}");
        expect_answer(session, "step", "base 2")?;
        session.stop().map(drop)
    })
}

/// Restarts a program into one that crashes when it starts.
fn crash(session: &mut Session, project: &Project) -> Result<()> {
    edit_and_be_refused(
        session,
        project,
        &[("fn boot() {}", "fn boot() { panic!(\"no luck\") }")],
    )?;
    session.wait_for("restarted")?;
    let (exited, _) = session.wait_for("exited")?;
    ensure!(exited.number("code")? == 101, "{exited}");
    Ok(())
}

#[test]
fn a_damaged_file_is_said_and_everything_begins_anew() -> Result<()> {
    let project = program("keeper", "damage")?;
    let runtime = tempfile::tempdir()?;
    let mut options = restarting();
    options
        .env
        .push(("XDG_RUNTIME_DIR".to_owned(), runtime.path().into()));
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        expect_answer(session, "step", "base 1")?;
        crash(session, &project)?;
        let file = snapshot(runtime.path())?;
        let whole = fs::read(&file)?;
        fs::write(&file, &whole[..whole.len() - 1])?;
        edit(&project, "{ panic!(\"no luck\") }", "{}")?;
        let (_, mut between) = session.restarted()?;
        if between.is_empty() {
            between.push(session.expect("lost")?);
        }
        ensure!(names(&between[0], "names")? == ["world"], "{}", between[0]);
        let message = between[0].text("message");
        ensure!(
            message.contains("it ends early; it begins anew"),
            "{message}"
        );
        expect_answer(session, "step", "base 1")?;
        session.stop().map(drop)
    })?;
    let left: Vec<_> = fs::read_dir(runtime.path())?.collect();
    ensure!(left.is_empty(), "the session left {left:?}");
    Ok(())
}

/// The file with what was kept.
fn snapshot(runtime: &Path) -> Result<PathBuf> {
    for folder in fs::read_dir(runtime)? {
        let file = folder?.path().join(env!("CARGO_PKG_VERSION"));
        if file.is_file() {
            return Ok(file);
        }
    }
    anyhow::bail!("nothing was kept in `{}`", runtime.display())
}

/// How many processes run this program.
fn processes_of(program: &Path) -> usize {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let programs = processes.filter_map(|process| fs::read_link(process.path().join("exe")).ok());
    programs.filter(|other| other == program).count()
}

#[test]
fn a_guard_that_is_held_puts_the_restart_off() -> Result<()> {
    let project = program("keeper", "guard")?;
    with_session(&project, &restarting(), |session| {
        session.ready(FIRST_BUILD)?;
        expect_answer(session, "step", "base 1")?;
        expect_answer(session, "hit", "101")?;
        expect_answer(session, "hold", "held")?;
        edit_and_be_refused(
            session,
            &project,
            &[("fn boot() {}", "fn boot() { let _ = 1; }")],
        )?;
        let put_off = session.expect("not_restarted")?;
        ensure!(names(&put_off, "names")? == ["world"], "{put_off}");
        let message = put_off.text("message");
        ensure!(
            message.starts_with("`world`: a guard taken at src/main.rs:")
                && message.ends_with(" is still held"),
            "{message}"
        );
        // The new process has ended before it began.
        let program = fs::read_link(format!("/proc/{}/exe", session.pid()?))?;
        wait_until("one process", || Ok(processes_of(&program) == 1))?;
        // Everything goes on: also what was not held.
        expect_answer(session, "hit", "102")?;
        expect_answer(session, "release", "released")?;
        expect_answer(session, "step", "base 2")?;
        // What was refused is still in the source, so no edit is patched before it restarts.
        edit(&project, "let _ = 1;", "let _ = 2;")?;
        expect_refusal(session, "HP0103")?;
        let (restarted, _) = session.restarted()?;
        ensure!(
            names(&restarted, "kept")? == ["hits", "world"],
            "{restarted}"
        );
        expect_answer(session, "step", "base 3")?;
        expect_answer(session, "hit", "103")?;
        session.stop().map(drop)
    })
}

#[test]
fn a_toolchain_file_is_for_the_next_session() -> Result<()> {
    if std::env::var_os("RUSTUP_TOOLCHAIN").is_none() {
        eprintln!("skipped: rustup did not start this test, and nothing else reads such a file");
        return Ok(());
    }
    let project = program("server", "toolchain")?;
    with_session(&project, &restarting(), |session| {
        session.ready(FIRST_BUILD)?;
        // With a toolchain that nobody has a restart can only work if it goes on with its own.
        let file = project.root().join("rust-toolchain.toml");
        fs::write(file, "[toolchain]\nchannel = \"1.0.0-nobodys\"\n")?;
        expect_refusal(session, "HP0402")?;
        session.restarted()?;
        let words =
            "   = a new session uses it, this restart does not; `cargo hotpatch explain HP0402`\n";
        ensure!(session.stderr().contains(words), "{}", session.stderr());
        expect_patch(session, &project, "base", "one")?;
        expect_answer(session, "x", "one x")?;
        session.stop().map(drop)
    })
}

#[test]
fn nothing_happens_between_the_save_and_the_end() -> Result<()> {
    let project = program("keeper", "count")?;
    with_session(&project, &restarting(), |session| {
        session.ready(FIRST_BUILD)?;
        let mut last: u64 = 100;
        for _ in 0..4 {
            session.talk.say("count")?;
            // What the process before this one said comes first.
            loop {
                let line = session.talk.hear()?;
                if let Some(from) = line.strip_prefix("from ") {
                    ensure!(from == last.to_string(), "after {last}: {line}");
                    break;
                }
                ensure!(line == (last + 1).to_string(), "after {last}: {line}");
                last += 1;
            }
            edit_and_be_refused(session, &project, &[])?;
            let (restarted, _) = session.restarted()?;
            ensure!(
                names(&restarted, "kept")?.contains(&"hits".to_owned()),
                "{restarted}"
            );
        }
        ensure!(last > 103, "nothing was counted");
        session.stop().map(drop)
    })
}

#[test]
fn what_cannot_be_read_back_is_found_out_in_time() -> Result<()> {
    let project = program("keeper", "one_way")?;
    // What is skipped is missing when it is read.
    add_field(&project, "#[serde(skip_serializing)] ")?;
    with_session(&project, &restarting(), |session| {
        session.ready(FIRST_BUILD)?;
        expect_answer(session, "step", "base 51")?;
        edit_and_be_refused(
            session,
            &project,
            &[("fn boot() {}", "fn boot() { let _ = 1; }")],
        )?;
        let put_off = session.expect("not_restarted")?;
        ensure!(names(&put_off, "names")? == ["world"], "{put_off}");
        let message = "`world`: what serde writes cannot be read back: missing field `name`";
        ensure!(put_off.text("message") == message, "{put_off}");
        session.check_alive()?;
        expect_answer(session, "step", "base 52")?;
        session.stop().map(drop)
    })
}

#[test]
fn a_program_that_ends_well_begins_anew_and_one_that_fails_does_not() -> Result<()> {
    let project = program("keeper", "ends")?;
    with_session(&project, &restarting(), |session| {
        session.ready(FIRST_BUILD)?;
        expect_answer(session, "step", "base 1")?;
        edit_and_be_refused(
            session,
            &project,
            &[("fn boot() {}", "fn boot() { let _ = 1; }")],
        )?;
        session.restarted()?;
        expect_answer(session, "step", "base 2")?;
        for (code, kept, next) in [(3, &["world"][..], "base 2"), (0, &[], "base 1")] {
            session.talk.say(&format!("exit {code}"))?;
            let exited = session.expect("exited")?;
            ensure!(exited.number("code")? == code, "{exited}");
            edit(&project, "let _ = 1;", "let _ = 0; let _ = 1;")?;
            let (restarted, _) = session.restarted()?;
            ensure!(names(&restarted, "kept")? == kept, "{restarted}");
            expect_answer(session, "step", next)?;
        }
        session.stop().map(drop)
    })
}
