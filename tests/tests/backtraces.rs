//! What a panic prints under `RUST_BACKTRACE=1`, before and after patches.

use anyhow::{Result, ensure};
use hotpatch_tests::programs::{
    FIRST_BUILD, expect_answer, expect_patch, program, wait_until, with_session,
};
use hotpatch_tests::session::{Options, Session};

/// Makes the program panic and returns what it prints about that: its message and the frames under it.
fn panic(session: &mut Session, message: &str) -> Result<String> {
    let question = message.split_once(' ').map_or("", |(_, question)| question);
    expect_answer(session, question, "panicked")?;
    let last_line = "note: Some details are omitted";
    wait_until("the program prints the backtrace", || {
        let said = session.stderr();
        Ok(said
            .split_once(message)
            .is_some_and(|(_, rest)| rest.contains(last_line)))
    })?;
    let said = session.stderr();
    let (_, rest) = said.split_once(message).unwrap_or_default();
    let (frames, _) = rest.split_once(last_line).unwrap_or_default();
    Ok(frames.to_owned())
}

#[test]
fn a_panic_after_the_first_names_patched_code() -> Result<()> {
    let project = program("backtraces", "backtraces")?;
    let mut options = Options::default();
    options.env.push(("RUST_BACKTRACE".to_owned(), "1".into()));
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        // From now on std has its list of libraries.
        let frames = panic(session, "base panic 1")?;
        ensure!(frames.contains("src/main.rs:16:5"), "{frames}");
        expect_patch(session, &project, "base", "one")?;
        let frames = panic(session, "one panic 2")?;
        ensure!(!frames.contains("<unknown>"), "not the patch:\n{frames}");
        ensure!(frames.contains("src/main.rs:16:5"), "{frames}");
        ensure!(!frames.contains("<unknown>"), "{frames}");
        let (old, new) = (
            "    let word = format!(\"one",
            "\n\n    let word = format!(\"two",
        );
        project.replace("src/main.rs", old, new)?;
        let verdict = session.verdict()?;
        ensure!(verdict.name() == "patched", "{verdict}");
        let frames = panic(session, "two panic 3")?;
        ensure!(frames.contains("src/main.rs:18:5"), "{frames}");
        expect_answer(session, "x", "two x")?;
        session.stop().map(drop)
    })
}
