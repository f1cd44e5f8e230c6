//! A disk that is full: the tool says what failed, and goes on when there is space again.
//!
//! What stands in for the full disk is a limit on the size of the files that the tool, and the compilers and linkers it
//! starts, may write; it needs no rights and fails the same calls. Without the signal that comes with it, those see an
//! error as on a full disk. The program under the tool was started before and has no limit.

use std::fs;

use anyhow::{Context, Result, ensure};
use hotpatch_tests::LIMIT;
use hotpatch_tests::events::Event;
use hotpatch_tests::programs::{
    FIRST_BUILD, expect_answer, expect_confirmed_patch, program, wait_until, with_session,
};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::{Options, Session};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// A session whose files can be limited.
fn options() -> Options {
    let script = "trap '' XFSZ; exec \"$0\" \"$@\"";
    Options {
        before: ["sh", "-c", script].map(Into::into).into(),
        ..Options::default()
    }
}

/// Limits the files that the tool and what it starts from now on may write to this many bytes.
fn limit(session: &Session, bytes: Option<u64>) -> Result<()> {
    let tool = Pid::from_raw(i32::try_from(session.tool_pid())?).context("a process")?;
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(Some(tool), Resource::Fsize, limit)?;
    Ok(())
}

/// Room for some more events, and for little else.
fn room_for_events(project: &Project) -> Result<u64> {
    Ok(fs::metadata(project.beside("events"))?.len() + 3000)
}

/// What the exact lane says of a save that the fast one may have patched.
fn last_word(session: &mut Session, verdict: Event) -> Result<Event> {
    let mut last = verdict;
    while last.is_ahead() || !(last.is_verdict() || last.name() == "confirmed") {
        last = session.event(LIMIT)?;
    }
    Ok(last)
}

#[test]
fn no_space_for_a_patch() -> Result<()> {
    let project = program("server", "full_patches")?;
    with_session(&project, &options(), |session| {
        session.ready(FIRST_BUILD)?;
        expect_confirmed_patch(session, &project, "base", "try0")?;
        let mut said = Vec::new();
        // A little more space each time, so that one thing after the other is what fails.
        for step in 0.. {
            let (old, new) = (format!("\"try{step} "), format!("\"try{} ", step + 1));
            limit(session, Some(room_for_events(&project)? + 2000 * step))?;
            project.replace("src/main.rs", &old, &new)?;
            let verdict = session.verdict()?;
            let verdict = last_word(session, verdict)?;
            if matches!(verdict.name(), "patched" | "confirmed") {
                expect_answer(session, "x", &format!("try{} x", step + 1))?;
                break;
            }
            let text = verdict.text("message").to_owned();
            ensure!(text.contains("File too large"), "no reason in: {text}");
            ensure!(text.contains("\n  command: /"), "no command in: {text}");
            expect_answer(session, "x", "try0 x")?;
            said.push(text);
        }
        // Which of its files rustc comes to first is its own matter: objects are written on threads beside the rest.
        ensure!(!said.is_empty(), "there was space for everything");
        session.stop().map(drop)
    })
}

#[test]
fn what_there_was_no_space_for_comes_with_the_next_save() -> Result<()> {
    let project = program("server", "full_scope")?;
    let added = "struct Pair(u8, u8);\n\nimpl Pair {\n    fn sum(&self) -> u8 {\n        self.0 + self.1\n    }\n}\n";
    with_session(&project, &options(), |session| {
        session.ready(FIRST_BUILD)?;
        limit(session, Some(room_for_events(&project)?))?;
        let path = project.root().join("src/main.rs");
        let text = fs::read_to_string(&path)?;
        let old = "\"base {text}\"";
        let new = "\"{}{}\", &text[..0], Pair(3, 4).sum()";
        fs::write(path, format!("{}\n{added}", text.replace(old, new)))?;
        let verdict = session.verdict()?;
        ensure!(verdict.name() == "refused", "{verdict}");
        let said = verdict.text("message");
        for part in ["command: /", "File too large"] {
            ensure!(said.contains(part), "no `{part}` in: {said}");
        }
        expect_answer(session, "x", "base x")?;
        limit(session, None)?;
        project.replace("src/main.rs", "(3, 4)", "(3, 5)")?;
        let verdict = session.verdict()?;
        ensure!(verdict.name() == "patched", "{verdict}");
        expect_answer(session, "x", "8")?;
        session.stop().map(drop)
    })
}

#[test]
fn no_space_for_anything() -> Result<()> {
    let project = program("server", "full_events")?;
    with_session(&project, &options(), |session| {
        session.ready(FIRST_BUILD)?;
        expect_confirmed_patch(session, &project, "base", "one")?;
        limit(session, Some(0))?;
        project.replace("src/main.rs", "\"one ", "\"two ")?;
        wait_until("the tool says that it cannot write events", || {
            Ok(session.stderr().contains("write to the events file"))
        })?;
        expect_answer(session, "x", "one x")?;
        limit(session, None)?;
        project.replace("src/main.rs", "\"two ", "\"three ")?;
        // The verdict that could not be written comes first.
        let verdict = session.verdict()?;
        ensure!(verdict.name() == "refused", "{verdict}");
        let verdict = session.verdict()?;
        ensure!(verdict.name() == "patched", "{verdict}");
        expect_answer(session, "x", "three x")?;
        session.stop().map(drop)
    })
}
