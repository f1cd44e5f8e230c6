//! Programs that end: each save runs them again, from a process that waits for it.

use std::fs;

use anyhow::{Context, Result, ensure};
use hotpatch_tests::events::Event;
use hotpatch_tests::programs::{FIRST_BUILD, ask_tool, wait_until};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::{Options, Session};

/// Says a number of its own and one of a static, and keeps the lines in a file.
const PROGRAM: &str = r#"use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(10);

fn answer() -> u32 {
    42
}

fn main() {
    COUNT.fetch_add(1, Ordering::Relaxed);
    let args: Vec<String> = std::env::args().skip(1).collect();
    let line = format!("{} {} {}\n", answer(), COUNT.load(Ordering::Relaxed), args.join("-"));
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open("said").unwrap();
    file.write_all(line.as_bytes()).unwrap();
}
"#;

fn project(name: &str) -> Result<Project> {
    let project = Project::empty(&format!("ending_{name}"))?;
    let manifest = format!(
        "[package]\nname = \"ending_{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n"
    );
    fs::create_dir_all(project.root().join("src"))?;
    fs::write(project.root().join("Cargo.toml"), manifest)?;
    fs::write(project.root().join("src/main.rs"), PROGRAM)?;
    Ok(project)
}

fn said(project: &Project) -> Result<Vec<String>> {
    let text = fs::read_to_string(project.root().join("said")).unwrap_or_default();
    Ok(text.lines().map(str::to_owned).collect())
}

/// Waits until the program has ended once more, and gives back what came before that.
fn ended(session: &mut Session) -> Result<Vec<Event>> {
    session.wait_for("exited").map(|(_, before)| before)
}

/// Whether a new process is among these.
fn is_restarted(events: &[Event]) -> bool {
    events.iter().any(|event| event.name() == "restarted")
}

fn with_session(project: &Project, body: impl FnOnce(&mut Session) -> Result<()>) -> Result<()> {
    let options = Options {
        options: vec!["-v".to_owned()],
        args: ["a", "b"].map(str::to_owned).to_vec(),
        ..Options::default()
    };
    let mut session = Session::start(project, &options)?;
    body(&mut session)
        .map_err(|error| error.context(format!("{}\n---- failed ----", session.report())))
}

/// The number of times that a program was built.
fn builds(session: &Session) -> usize {
    session.stderr().matches("Finished `dev` profile").count()
}

/// The next process waits: a save from now on goes into it.
fn stands_by(project: &Project, session: &Session) -> Result<()> {
    wait_until("the next process waits", || {
        let session = session.tool_pid().to_string();
        let output = ask_tool(project, &["status", "--json", "--pid", &session])?;
        Ok(String::from_utf8_lossy(&output.stdout).contains("\"state\":\"waiting\""))
    })
}

#[test]
fn each_save_runs_the_program_again_with_all_that_was_saved() -> Result<()> {
    let project = project("again")?;
    with_session(&project, |session| {
        // It has ended long before it could have been reached.
        session.event(FIRST_BUILD).context("the first event")?;
        wait_until("the first run", || Ok(said(&project)? == ["42 11 a-b"]))?;
        wait_until("its end", || {
            Ok(session.stderr().contains("Exited with status 0"))
        })?;
        let main = "src/main.rs";
        let edits: &[(&str, &str, &str)] = &[
            // A body, by the lane that is sooner.
            ("    42\n", "    43\n", "43 11 a-b"),
            // A static begins anew, with another value.
            ("AtomicU32::new(10)", "AtomicU32::new(20)", "43 21 a-b"),
            // `main` itself.
            ("fetch_add(1,", "fetch_add(2,", "43 22 a-b"),
            // A type.
            ("AtomicU32", "AtomicU64", "43 22 a-b"),
            ("    43\n", "    44\n", "44 22 a-b"),
        ];
        for (number, (from, to, line)) in edits.iter().enumerate() {
            stands_by(&project, session)?;
            let path = project.root().join(main);
            let text = fs::read_to_string(&path)?;
            ensure!(text.contains(from));
            fs::write(&path, text.replace(from, to))?;
            let place = || format!("edit {number}");
            wait_until("the next run", || Ok(said(&project)?.len() >= number + 2))
                .with_context(place)?;
            ensure!(
                said(&project)?.last().map(String::as_str) == Some(line),
                "{}",
                place()
            );
            let mut before = Vec::new();
            while !is_restarted(&before) {
                before.extend(ended(session).with_context(place)?);
            }
        }
        ensure!(builds(session) == 1, "{} builds", builds(session));
        // Nothing that runs: it is not run again. What does not compile: nor then.
        stands_by(&project, session)?;
        let path = project.root().join(main);
        let text = fs::read_to_string(&path)?;
        fs::write(&path, format!("{text}// The end.\n"))?;
        session.wait_for("unchanged")?;
        fs::write(&path, format!("{text}fn\n"))?;
        session.wait_for("broken")?;
        ensure!(said(&project)?.len() == edits.len() + 1);
        // What the system calls: the program is built anew.
        let fails = text
            .replace("fn main() {", "fn main() -> Result<(), String> {")
            .replace(
                "    file.write_all(line.as_bytes()).unwrap();\n",
                "    file.write_all(line.as_bytes()).unwrap();\n    Err(\"no\".to_owned())\n",
            );
        fs::write(&path, fails)?;
        loop {
            let (exited, _) = session.wait_for("exited")?;
            if exited.field("code") == 1 {
                break;
            }
        }
        ensure!(builds(session) == 2, "{} builds", builds(session));
        session.stop().map(drop)
    })
}

#[test]
fn somebody_may_ask_for_another_run() -> Result<()> {
    let project = project("asked")?;
    with_session(&project, |session| {
        session.event(FIRST_BUILD)?;
        wait_until("the first run", || Ok(said(&project)?.len() == 1))?;
        wait_until("its end", || {
            Ok(session.stderr().contains("Exited with status 0"))
        })?;
        stands_by(&project, session)?;
        let tool = session.tool_pid().to_string();
        let output = ask_tool(&project, &["restart", "--pid", &tool])?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        wait_until("the next run", || {
            Ok(said(&project)? == ["42 11 a-b", "42 11 a-b"])
        })?;
        ensure!(builds(session) == 1, "{} builds", builds(session));
        session.stop().map(drop)
    })
}
