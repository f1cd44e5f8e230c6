//! `cargo hotpatch test`: each time it must find what `cargo test` finds on the same source.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hotpatch_tests::LIMIT;
use hotpatch_tests::events::Event;
use hotpatch_tests::programs::{FIRST_BUILD, wait_until};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::{Options, Session};
use hotpatch_tests::workspace::{cargo, command, tool};

fn project(name: &str) -> Result<Project> {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
    Project::copy(&programs.join("tested"), &format!("testing_{name}"))
}

/// With a target folder of its own: tests start the program that lies there.
fn options(project: &Project, words: &[&str]) -> Options {
    Options {
        command: "test".to_owned(),
        options: words.iter().map(|word| (*word).to_owned()).collect(),
        target: project.beside("target"),
        ..Options::default()
    }
}

/// What a session said until all that was due was run.
struct Round {
    runs: Vec<Event>,
    end: Event,
}

impl Round {
    fn of(session: &mut Session, limit: Duration) -> Result<Round> {
        let mut runs = Vec::new();
        let start = Instant::now();
        loop {
            let event = session.event(limit.saturating_sub(start.elapsed()))?;
            match event.name() {
                "tests" => runs.push(event),
                "tested" => return Ok(Round { runs, end: event }),
                _ => {}
            }
        }
    }

    /// The tests that were run first, or the others, without the ignored ones of the latter.
    fn run(&self, affected: bool) -> Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        for run in &self.runs {
            if run.field("affected") == affected {
                names.extend(run.list("run", None)?);
            }
        }
        Ok(names)
    }

    fn failing(&self) -> Result<BTreeSet<String>> {
        Ok(self.end.list("failing", None)?.into_iter().collect())
    }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The tests that fail under `cargo test`.
fn oracle(project: &Project) -> Result<BTreeSet<String>> {
    let output = command(cargo())
        .args(["test", "--tests", "--no-fail-fast"])
        .current_dir(project.root())
        .env("CARGO_TARGET_DIR", project.beside("plain"))
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        said.contains("test result: "),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let failed = said.lines().filter_map(|line| {
        let name = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
        let name = name.split(" - ").next()?;
        Some(name.to_owned())
    });
    Ok(failed.collect())
}

/// Saves an edit; what is run first must be `reached`, and what fails in the end what fails under `cargo test`.
fn expect(
    session: &mut Session,
    project: &Project,
    (file, from, to): (&str, &str, &str),
    reached: &[&str],
) -> Result<Round> {
    project.replace(file, from, to)?;
    let round = Round::of(session, LIMIT)?;
    let (found, failing) = (round.run(true)?, round.failing()?);
    ensure!(found == names(reached), "{found:?}, not {reached:?}");
    let expected = oracle(project)?;
    ensure!(
        failing == expected,
        "{failing:?} fail, under cargo {expected:?}"
    );
    Ok(round)
}

fn with_session(
    project: &Project,
    words: &[&str],
    body: impl FnOnce(&mut Session) -> Result<()>,
) -> Result<()> {
    let mut session = Session::start(project, &options(project, words))?;
    body(&mut session)
        .map_err(|error| error.context(format!("{}\n---- failed ----", session.report())))
}

#[test]
fn tests_that_reach_an_edit_are_run_first_and_then_the_others() -> Result<()> {
    let project = project("reached")?;
    with_session(&project, &[], |session| {
        let first = Round::of(session, FIRST_BUILD)?;
        ensure!(first.runs.len() == 4, "{} programs", first.runs.len());
        ensure!(first.failing()?.is_empty(), "{}", first.end);
        wait_until("a word on doc tests", || {
            Ok(session.stderr().contains("Skipped doc tests"))
        })?;
        let lib = "src/lib.rs";
        let of_mul = [
            "both",
            "tests::multiplies",
            "tests::squares_have_areas",
            "the_program_answers",
        ];
        // A body: by a call, through a trait object, from outside, and in a program that a test starts.
        let round = expect(session, &project, (lib, "a * b", "a * b + 1"), &of_mul[..3])?;
        ensure!(
            round.run(false)?.contains("the_program_answers"),
            "{:?}",
            round.run(false)?
        );
        ensure!(round.failing()? == names(&of_mul), "{}", round.end);
        let of_lib = |run: &&Event| run.text("program") == "unittests src/lib.rs";
        let of_lib = round.runs.iter().find(of_lib).context("no run of it")?;
        let failed = &of_lib.field("failed")[0];
        ensure!(failed["file"] == "src/lib.rs", "{failed}");
        ensure!(
            failed["output"]
                .as_str()
                .is_some_and(|said| said.contains("left: 7")),
            "{failed}"
        );
        expect(session, &project, (lib, "a * b + 1", "b * a"), &of_mul)?;
        // A type, with what it is made of elsewhere.
        let shape = ["tests::squares_have_areas"];
        project.replace(lib, "pub side: u32,", "pub side: u32,\n    pub more: u64,")?;
        let broken = Round::of(session, LIMIT)?;
        ensure!(broken.end.field("broken") == true, "{}", broken.end);
        let both = "Square { side: 3, more: 4 }";
        expect(session, &project, (lib, "Square { side: 3 }", both), &shape)?;
        // A static begins with what the source says, at each run: nothing is left of the run before.
        expect(
            session,
            &project,
            (lib, "AtomicU32::new(10)", "AtomicU32::new(11)"),
            &["tests::counts_from_ten"],
        )?;
        expect(
            session,
            &project,
            (lib, "count(), 10", "count(), 11"),
            &["tests::counts_from_ten"],
        )?;
        // Nothing that runs.
        project.replace(lib, "//! Something", "//! Something more")?;
        let round = Round::of(session, LIMIT)?;
        ensure!(
            round.run(true)?.is_empty() && round.run(false)?.is_empty(),
            "{}",
            round.end
        );
        session.stop().map(drop)
    })
}

#[test]
fn tests_come_and_go_with_saves() -> Result<()> {
    let project = project("come")?;
    with_session(&project, &["--lib", "--test", "outside"], |session| {
        let first = Round::of(session, FIRST_BUILD)?;
        ensure!(first.runs.len() == 2, "{} programs", first.runs.len());
        let outside = "tests/outside.rs";
        let added =
            "#[test]\nfn added() {\n    assert_eq!(add(1, 1), 3);\n}\n\n#[test]\nfn neither";
        expect(
            session,
            &project,
            (outside, "#[test]\nfn neither", added),
            &["added"],
        )?;
        // Renamed, and it still fails; one of the old name is not run any more.
        let round = expect(
            session,
            &project,
            (outside, "fn added", "fn renamed"),
            &["renamed"],
        )?;
        ensure!(round.failing()? == names(&["renamed"]), "{}", round.end);
        let ignored = "#[test]\n#[ignore = \"later\"]\nfn renamed";
        let round = expect(
            session,
            &project,
            (outside, "#[test]\nfn renamed", ignored),
            &["renamed"],
        )?;
        ensure!(round.failing()?.is_empty(), "{}", round.end);
        let lib = "src/lib.rs";
        // What is said of a test stands in the list of all: which of them it is about is not told.
        let round = expect(session, &project, (lib, "    #[should_panic]\n", ""), &[])?;
        ensure!(
            round.failing()? == names(&["tests::panics"]),
            "{}",
            round.end
        );
        let gone = "    #[test]\n    fn panics() {\n        let none: Option<u32> = None;\n        none.unwrap();\n    }\n";
        let round = expect(session, &project, (lib, gone, ""), &[])?;
        ensure!(round.failing()?.is_empty(), "{}", round.end);
        session.stop().map(drop)
    })
}

#[test]
fn a_program_that_crashes_and_one_that_does_not_end() -> Result<()> {
    let project = project("crash")?;
    with_session(&project, &["--lib"], |session| {
        Round::of(session, FIRST_BUILD)?;
        let lib = "src/lib.rs";
        project.replace(lib, "assert_eq!(add(1, 2), 3);", "std::process::abort();")?;
        let round = Round::of(session, LIMIT)?;
        let crashed = round
            .runs
            .iter()
            .find(|run| run.field("affected") == true)
            .context("nothing was run")?;
        ensure!(
            crashed.text("ended") == "was ended by signal 6",
            "{crashed}"
        );
        ensure!(!round.failing()?.is_empty(), "{}", round.end);
        // A run under way gives way to the next save.
        project.replace(lib, "std::process::abort();", "loop {}")?;
        wait_until("it runs", || {
            Ok(session.stderr().matches("Running unittests").count() >= 4)
        })?;
        project.replace(lib, "loop {}", "assert_eq!(add(1, 2), 3);")?;
        let round = Round::of(session, LIMIT)?;
        ensure!(round.failing()?.is_empty(), "{}", round.end);
        session.stop().map(drop)
    })
}

#[test]
fn what_decides_the_build_has_the_programs_built_anew() -> Result<()> {
    let project = project("manifest")?;
    with_session(&project, &["--test", "outside"], |session| {
        Round::of(session, FIRST_BUILD)?;
        project.replace(
            "Cargo.toml",
            "[workspace]",
            "[features]\nfast = []\n\n[workspace]",
        )?;
        project.replace(
            "tests/outside.rs",
            "fn neither() {}",
            "fn neither() {\n    assert!(cfg!(feature = \"fast\"));\n}",
        )?;
        let mut round = Round::of(session, FIRST_BUILD)?;
        while round.failing()?.is_empty() {
            round = Round::of(session, LIMIT)?;
        }
        ensure!(round.failing()? == names(&["neither"]), "{}", round.end);
        project.replace(
            "Cargo.toml",
            "[features]\n",
            "[features]\ndefault = [\"fast\"]\n",
        )?;
        let mut round = Round::of(session, FIRST_BUILD)?;
        while !round.failing()?.is_empty() {
            round = Round::of(session, LIMIT)?;
        }
        session.stop().map(drop)
    })
}

#[test]
fn once_is_as_cargo_test() -> Result<()> {
    let project = project("once")?;
    let run = |words: &[&str]| -> Result<(Option<i32>, String)> {
        let output = command(tool()?)
            .args(["hotpatch", "test", "--once", "--lib"])
            .args(words)
            .current_dir(project.root())
            .env("CARGO_TARGET_DIR", project.beside("target"))
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok((output.status.code(), said))
    };
    let (status, said) = run(&[])?;
    ensure!(
        status == Some(0) && said.contains("5 passed; 0 failed; 1 ignored"),
        "{said}"
    );
    let (status, said) = run(&["adds"])?;
    ensure!(
        status == Some(0) && said.contains("1 passed; 0 failed; 0 ignored"),
        "{said}"
    );
    let (status, said) = run(&["--", "--ignored"])?;
    ensure!(
        status == Some(0) && said.contains("1 passed; 0 failed; 0 ignored"),
        "{said}"
    );
    project.replace("src/lib.rs", "a + b", "a - b")?;
    let (status, said) = run(&[])?;
    ensure!(
        status == Some(101) && said.contains("4 passed; 1 failed"),
        "{said}"
    );
    project.replace("src/lib.rs", "a - b", "a -")?;
    let (status, said) = run(&[])?;
    ensure!(status == Some(101) && said.is_empty(), "{said}");
    fs::remove_file(project.root().join("src/lib.rs"))?;
    let (status, _) = run(&[])?;
    ensure!(status == Some(101) || status == Some(1), "{status:?}");
    Ok(())
}
