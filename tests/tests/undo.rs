//! Back to what ran before, and forth again; see `steps` for what the program does there.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hotpatch_tests::programs::{
    FIRST_BUILD, Shim, ask_tool, expect_answer, expect_confirmed_patch, program, wait_until,
    with_session,
};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::{BOTH_LANES, Options, Session};
use serde_json::Value;

/// What the session of a project answers, as JSON; the command has to end with this status.
fn ask(project: &Project, args: &[&str], status: i32) -> Result<Value> {
    let output = ask_tool(project, &[args, &["--json"]].concat())?;
    let words = String::from_utf8_lossy(&output.stderr);
    let ended = output.status.code();
    ensure!(
        ended == Some(status),
        "{args:?} ended with {ended:?}: {words}"
    );
    serde_json::from_slice(&output.stdout).with_context(|| words.into_owned())
}

/// A step, which has to end with this status; gives back the tool's words.
fn step(project: &Project, command: &str, status: i32) -> Result<String> {
    let output = ask_tool(project, &[command])?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let ended = output.status.code();
    ensure!(
        ended == Some(status),
        "{command} ended with {ended:?}: {words}"
    );
    Ok(words)
}

fn save(project: &Project, from: &str, to: &str) -> Result<()> {
    project.replace(
        "src/main.rs",
        &format!("\"{from} {{text}}"),
        &format!("\"{to} {{text}}"),
    )
}

/// Whether what is on disk is what runs, by the session's word.
fn is_on_disk(project: &Project) -> Result<bool> {
    let now = ask(project, &["status"], 0)?;
    Ok(now["revision"] == now["running"])
}

#[test]
fn what_ran_before_runs_again_and_it_is_known_what_runs() -> Result<()> {
    let project = program("server", "back")?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        let words = step(&project, "undo", 3)?;
        ensure!(words.contains("nothing was patched"), "{words}");
        save(&project, "base", "one")?;
        let one = ask(&project, &["wait"], 0)?;
        save(&project, "one", "two")?;
        let two = ask(&project, &["wait"], 0)?;
        expect_answer(session, "x", "two x")?;

        step(&project, "undo", 0)?;
        expect_answer(session, "x", "one x")?;
        let undone = ask(&project, &["wait"], 8)?;
        ensure!(undone["verdict"] == "undone", "{undone}");
        ensure!(undone["fix"]["kind"] == "redo", "{undone}");
        ensure!(undone["revision"] == two["revision"], "{undone}");
        let now = ask(&project, &["status"], 0)?;
        ensure!(now["running"] == one["revision"], "{now}");
        ensure!(now["generation"] == 3 && now["pending"] == false, "{now}");

        step(&project, "undo", 0)?;
        expect_answer(session, "x", "base x")?;
        step(&project, "undo", 3)?;
        step(&project, "redo", 0)?;
        expect_answer(session, "x", "one x")?;
        ensure!(!is_on_disk(&project)?);
        step(&project, "redo", 0)?;
        expect_answer(session, "x", "two x")?;
        let words = step(&project, "redo", 3)?;
        ensure!(words.contains("nothing was undone"), "{words}");
        ensure!(is_on_disk(&project)?);
        ensure!(ask(&project, &["wait"], 0)?["verdict"] == "patched");

        // What is on disk comes back with the next save, whatever that is about.
        step(&project, "undo", 0)?;
        project.replace(
            "src/main.rs",
            "fn main()",
            "fn other() -> u8 {\n    7\n}\n\nfn main()",
        )?;
        let all = ask(&project, &["wait"], 0)?;
        ensure!(all["verdict"] == "patched", "{all}");
        expect_answer(session, "x", "two x")?;
        ensure!(is_on_disk(&project)?);

        // A save makes an end of what was undone.
        step(&project, "undo", 0)?;
        save(&project, "two", "three")?;
        ask(&project, &["wait"], 0)?;
        step(&project, "redo", 3)?;
        expect_answer(session, "x", "three x")?;

        // Undone, and then taken out of the source: nothing is left to do.
        save(&project, "three", "four")?;
        ask(&project, &["wait"], 0)?;
        step(&project, "undo", 0)?;
        save(&project, "four", "three")?;
        let same = ask(&project, &["wait"], 0)?;
        ensure!(same["verdict"] == "unchanged", "{same}");
        ensure!(is_on_disk(&project)?);

        // A restart has what is on disk.
        save(&project, "three", "four")?;
        ask(&project, &["wait"], 0)?;
        step(&project, "undo", 0)?;
        step(&project, "restart", 0)?;
        session.wait_for("restarted")?;
        let (ready, _) = session.wait_for("ready")?;
        session.adopt(&ready)?;
        expect_answer(session, "x", "four x")?;
        ensure!(is_on_disk(&project)?);
        // Its new process can be led to what ran before, too.
        step(&project, "undo", 0)?;
        expect_answer(session, "x", "three x")?;
        step(&project, "redo", 0)?;
        expect_answer(session, "x", "four x")?;
        session.stop().map(drop)
    })
}

#[test]
fn what_the_compiler_has_not_confirmed_can_be_undone_at_once() -> Result<()> {
    let project = program("server", "hasty-undo")?;
    let shim = Shim::new(&project, Path::new(env!("CARGO_BIN_EXE_tool-shim")))?;
    let mut options = Options::default();
    options.env.extend(shim.env());
    options.env.push((BOTH_LANES.to_owned(), "1".into()));
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        expect_confirmed_patch(session, &project, "base", "one")?;
        // The crate's own compile has a folder for its next one; what the fast lane compiles has none.
        shim.set("rustc hang-on incremental=")?;
        save(&project, "one", "two")?;
        let ahead = patched_ahead(session)?;
        expect_answer(session, "x", "two x")?;
        let hanging = shim.folder().join("hanging");
        wait_until("the compiler hangs", || {
            Ok(fs::read_to_string(&hanging).is_ok_and(|pid| !pid.is_empty()))
        })?;
        step(&project, "undo", 0)?;
        let (undone, _) = session.wait_for("undone")?;
        ensure!(undone.number("generation")? == ahead + 1, "{undone}");
        expect_answer(session, "x", "one x")?;
        ensure!(!is_on_disk(&project)?);
        ask(&project, &["wait"], 8)?;

        // Forth again is a compile, as nothing is known of it yet.
        shim.set("")?;
        step(&project, "redo", 0)?;
        ask(&project, &["wait"], 0)?;
        expect_answer(session, "x", "two x")?;
        ensure!(is_on_disk(&project)?);
        session.stop().map(drop)
    })
}

/// The generation that the fast lane has made.
fn patched_ahead(session: &mut Session) -> Result<u64> {
    let (patched, _) = session.wait_for("patched")?;
    ensure!(patched.is_ahead(), "{patched}");
    patched.number("generation")
}
