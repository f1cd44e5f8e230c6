//! `cargo hotpatch run --guard`: a patch whose code has a thread panic or crash is taken back.

use anyhow::{Result, ensure};
use hotpatch_tests::events::Event;
use hotpatch_tests::programs::{ask_tool, expect_answer, expect_words, with_program};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::{Options, Session};

/// What of the refusal of sources that were taken back a person reads.
const TAKEN_BACK: &str = "
refused HP0208: a thread panicked or crashed in code of these sources, and `--guard` took them back; \
`cargo hotpatch redo` brings them all the same
";

/// The body of `answer` as it is written.
const BASE: &str = "format!(\"base {text}\")";

fn guarded(
    name: &str,
    profile: &str,
    test: impl FnOnce(&Project, &mut Session) -> Result<()>,
) -> Result<()> {
    let options = Options {
        options: vec!["--guard".to_owned()],
        ..Options::default()
    };
    with_program(("fragile", name, profile), &options, test)
}

/// Saves another body of `answer`, which has to go live.
fn save(project: &Project, session: &mut Session, from: &str, to: &str) -> Result<()> {
    project.replace("src/main.rs", from, to)?;
    let verdict = session.verdict()?;
    ensure!(verdict.name() == "patched", "{verdict}");
    session.confirmed(&verdict).map(drop)
}

/// What is told of the next fall, and of the step back.
fn taken_back(session: &mut Session) -> Result<(Event, Event)> {
    let fallen = session.wait_for("fallen")?.0;
    let undone = session.wait_for("undone")?.0;
    ensure!(undone.field("guarded") == true, "{undone}");
    Ok((fallen, undone))
}

#[test]
fn a_panic_takes_the_newest_patch_back_and_it_comes_when_asked() -> Result<()> {
    guarded("guarded", "", |project, session| {
        save(project, session, BASE, "format!(\"one {text}\")")?;
        expect_answer(session, "thread x", "one x")?;
        let fails = "format!(\"two {}\", at(&[1], text.len() + 5))";
        save(project, session, "format!(\"one {text}\")", fails)?;
        // The function that panics is as old as the program; what called it is new.
        expect_answer(session, "thread x", "panicked")?;
        let (fallen, undone) = taken_back(session)?;
        ensure!(fallen.text("thread") == "other", "{fallen}");
        ensure!(fallen.text("function").ends_with("::at"), "{fallen}");
        ensure!(fallen.text("newest").ends_with("::answer"), "{fallen}");
        ensure!(undone.field("on_disk") == false, "{undone}");
        expect_answer(session, "thread x", "one x")?;
        expect_words(session, "Panicked")?;
        expect_words(session, "comes back once it is changed")?;
        // Code that is older has no part in the newest patch.
        expect_answer(session, "old x", "panicked")?;
        expect_answer(session, "x", "one x")?;

        // Another save brings other sources, and these are not brought again.
        save(project, session, fails, "format!(\"three {text}\")")?;
        expect_answer(session, "x", "three x")?;
        project.replace("src/main.rs", "format!(\"three {text}\")", fails)?;
        let refused = session.wait_for("refused")?.0;
        ensure!(refused.text("code") == "HP0208", "{refused}");
        expect_words(session, TAKEN_BACK)?;
        expect_answer(session, "x", "three x")?;
        let asked = ask_tool(project, &["redo"])?;
        ensure!(asked.status.success(), "{asked:?}");
        session.wait_for("patched")?;
        expect_answer(session, "thread x", "panicked")?;
        taken_back(session)?;
        expect_answer(session, "x", "three x")
    })
}

#[test]
fn a_program_that_ends_by_it_is_started_with_what_ran_before() -> Result<()> {
    guarded("guarded_end", "", |project, session| {
        save(project, session, BASE, "format!(\"one {text}\")")?;
        let mut now = "format!(\"one {text}\")".to_owned();
        for (body, signal) in [
            ("format!(\"two {}\", at(&[1], text.len() + 5))", None),
            ("std::process::abort()", Some(6)),
            (
                "unsafe { std::ptr::without_provenance::<u8>(8).read_volatile() }.to_string()",
                Some(11),
            ),
            // Much of the stack is of it: as much as there is.
            (
                "format!(\"{}{}\", answer(&format!(\"{text}.\")), [0_u8; 4096].len())",
                Some(11),
            ),
        ] {
            save(project, session, &now, body)?;
            session.talk.say("x")?;
            let (fallen, _) = taken_back(session)?;
            ensure!(fallen.field("signal").as_i64() == signal, "{fallen}");
            session.wait_for("exited")?;
            session.restarted()?;
            expect_answer(session, "x", "one x")?;
            now = body.to_owned();
        }
        // The next save is one like any other.
        save(project, session, &now, "format!(\"last {text}\")")?;
        expect_answer(session, "x", "last x")?;
        // What ends it by itself has nothing to do with the patch.
        Ok(())
    })
}

#[test]
fn what_cannot_go_back_in_the_process_goes_back_with_its_end() -> Result<()> {
    guarded("guarded_types", "", |project, session| {
        let keeps = "KEPT.lock().unwrap().push(Box::new(item));
    KEPT.lock().unwrap().len().to_string()";
        project.replace_all(
            "src/main.rs",
            &[
                ("    value: u32,\n", "    value: u32,\n    weight: u32,\n"),
                ("Item { value: 1 }", "Item { value: 1, weight: 2 }"),
                ("item.value.to_string()", keeps),
                (BASE, "format!(\"two {}\", at(&[1], text.len() + 5))"),
            ],
        )?;
        let verdict = session.verdict()?;
        ensure!(verdict.name() == "patched", "{verdict}");
        expect_answer(session, "keep x", "1")?;
        // A value of the newer type is alive, which older code must not meet.
        expect_answer(session, "thread x", "panicked")?;
        session.wait_for("fallen")?;
        expect_answer(session, "keep x", "2")?;
        expect_words(session, "refused HP0101")?;
        session.talk.say("x")?;
        session.wait_for("fallen")?;
        session.wait_for("exited")?;
        session.restarted()?;
        expect_answer(session, "keep x", "1")?;
        expect_answer(session, "x", "base x")
    })
}

#[test]
fn a_panic_that_aborts_is_one_too() -> Result<()> {
    let abort = "\n[profile.dev]\npanic = \"abort\"\n";
    guarded("guarded_abort", abort, |project, session| {
        save(
            project,
            session,
            BASE,
            "format!(\"two {}\", at(&[1], text.len() + 5))",
        )?;
        session.talk.say("thread x")?;
        let (fallen, _) = taken_back(session)?;
        ensure!(fallen.field("signal").as_i64() == Some(6), "{fallen}");
        session.wait_for("exited")?;
        session.restarted()?;
        expect_answer(session, "x", "base x")
    })
}
