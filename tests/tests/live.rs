//! What is said of the calls of new code: the functions that were called since a patch, and those that were not.

use anyhow::{Result, ensure};
use hotpatch_tests::programs::{
    FIRST_BUILD, expect_answer, expect_patch, program, wait_until, with_session,
};
use hotpatch_tests::session::{Options, Session};

fn names(session: &mut Session, generation: u64) -> Result<(Vec<String>, Vec<String>)> {
    let live = session.live(generation)?;
    Ok((live.list("called", None)?, live.list("not_called", None)?))
}

#[test]
fn a_function_that_is_called_is_told_from_one_that_is_not() -> Result<()> {
    let project = program("keeper", "live")?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        let (step, boot) = ("errors_live::step", "errors_live::boot");
        expect_patch(session, &project, "base", "one")?;
        expect_answer(session, "step", "one 1")?;
        ensure!(names(session, 1)? == (vec![step.to_owned()], vec![]));
        wait_until("the report", || {
            Ok(session.stderr().contains("        Live step (gen 1)\n"))
        })?;
        // It ran when the program began, and does not run again.
        project.replace(
            "src/main.rs",
            "fn boot() {}",
            "fn boot() { println!(\"booted\") }",
        )?;
        let verdict = session.verdict()?;
        ensure!(verdict.name() == "patched", "{verdict}");
        ensure!(names(session, 2)? == (vec![], vec![boot.to_owned()]));
        let said = "  Not called since it is live: boot (gen 2)\n";
        wait_until("the report", || Ok(session.stderr().contains(said)))?;
        // The slots lead to the bodies by now, and the next patch is told as well.
        expect_answer(session, "step", "one 2")?;
        expect_patch(session, &project, "one", "two")?;
        expect_answer(session, "step", "two 3")?;
        ensure!(names(session, 3)? == (vec![step.to_owned()], vec![]));
        session.stop().map(drop)
    })
}
