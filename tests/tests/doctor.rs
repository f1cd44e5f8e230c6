//! `cargo hotpatch doctor`: what it finds, in which words, and with which exit status.

use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use hotpatch_tests::programs::program;
use hotpatch_tests::project::Project;
use hotpatch_tests::workspace::{cargo, command, hot_target, tool};
use serde_json::Value;

fn doctor(project: &Project, args: &[&str]) -> Result<Command> {
    let mut doctor = command(tool()?);
    doctor
        .args(["hotpatch", "doctor"])
        .args(args)
        .current_dir(project.root())
        .env("CARGO", cargo())
        .env("CARGO_TARGET_DIR", hot_target())
        .stdin(Stdio::null());
    Ok(doctor)
}

fn output(mut doctor: Command) -> Result<(Option<i32>, String, String)> {
    let Output {
        status,
        stdout,
        stderr,
    } = doctor.output()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((status.code(), text(stdout), text(stderr)))
}

/// The output as JSON lines of which each is the event that is named.
fn events(stdout: &str, wanted: &str) -> Result<Vec<Value>> {
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
        .collect::<Result<_>>()?;
    let found = lines.into_iter().filter(|line| line["event"] == wanted);
    Ok(found.collect())
}

#[test]
fn what_is_well_is_said_to_be() -> Result<()> {
    let project = program("server", "doctor_well")?;
    let (code, stdout, stderr) = output(doctor(&project, &[])?)?;
    ensure!(code == Some(0), "{code:?}\n{stdout}{stderr}");
    for line in [
        "          Ok target: x86_64-unknown-linux-gnu\n",
        "          Ok flags: none of your own for rustc\n",
        "          Ok profile: `dev`, which does not optimise\n",
    ] {
        ensure!(stdout.contains(line), "no `{line}` in\n{stdout}");
    }
    ensure!(!stdout.contains("Error"), "{stdout}");
    Ok(())
}

#[test]
fn what_keeps_edits_from_being_patched_is_an_error_with_its_way_out() -> Result<()> {
    let project = program("server", "doctor_errors")?;
    let mut called = doctor(&project, &["--quiet"])?;
    called.env("RUSTFLAGS", "-C prefer-dynamic");
    let (code, stdout, stderr) = output(called)?;
    ensure!(code == Some(1), "{code:?}\n{stdout}{stderr}");
    let wanted = "       Error flags: `-C prefer-dynamic` links the standard library as a shared library, which\n\
        \x20            patches cannot bind to\n\
        \x20            = remove it from `RUSTFLAGS` or `build.rustflags`\n";
    ensure!(stdout.contains(wanted), "{stdout}");
    ensure!(!stdout.contains("Ok "), "`--quiet` is not quiet:\n{stdout}");

    // Found in whichever place cargo takes it from, and before anything is built.
    let config = "target.x86_64-unknown-linux-gnu.linker = '/nowhere/cc'";
    let args = ["--message-format=json", "--config", config];
    let (code, stdout, stderr) = output(doctor(&project, &args)?)?;
    ensure!(code == Some(1), "{code:?}\n{stdout}{stderr}");
    let checks = events(&stdout, "check")?;
    let linker = checks.iter().find(|check| check["topic"] == "linker");
    let linker = linker.context("no linker")?;
    ensure!(linker["level"] == "error", "{linker}");
    let message = linker["message"].as_str().unwrap_or_default();
    ensure!(
        message
            == "`/nowhere/cc`, which links programs, does not run: No such file or directory (os error 2)",
        "{linker}"
    );
    Ok(())
}

/// A repository of the program, with a commit for each of these edits of `src/main.rs`.
fn with_commits(project: &Project, edits: &[(&str, &str, &str)]) -> Result<()> {
    let git = |args: &[&str]| -> Result<()> {
        let mut git = command("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@b.c"]);
        let output = git.args(args).current_dir(project.root()).output()?;
        ensure!(output.status.success(), "{args:?}: {output:?}");
        Ok(())
    };
    git(&["init", "--quiet"])?;
    let commit = |subject: &str| {
        git(&["add", "--all"])?;
        git(&["commit", "--quiet", "--allow-empty", "-m", subject])
    };
    commit("start")?;
    for (subject, from, to) in edits {
        let path = project.root().join("src/main.rs");
        let text = std::fs::read_to_string(&path)?;
        ensure!(text.contains(from), "no `{from}`");
        std::fs::write(&path, text.replacen(from, to, 1))?;
        commit(subject)?;
    }
    Ok(())
}

#[test]
fn the_history_is_tried_without_running_main() -> Result<()> {
    let project = program("history", "doctor_history")?;
    with_commits(
        &project,
        &[
            ("body", "* 10", "* 20"),
            ("comment", "// The", "// Still the"),
            ("live type", "step: u8,", "step: u16,"),
            ("typo", "* 20", "* twenty"),
            ("repaired", "* twenty", "* 30"),
        ],
    )?;
    // An edit that is no commit is nobody's history, and stays.
    let path = project.root().join("src/main.rs");
    let edited = std::fs::read_to_string(&path)? + "// not committed\n";
    std::fs::write(&path, &edited)?;

    let args = ["--message-format=json", "--history", "9"];
    let (code, stdout, stderr) = output(doctor(&project, &args)?)?;
    ensure!(code == Some(0), "{code:?}\n{stdout}{stderr}");
    let commits = events(&stdout, "commit")?;
    let told: Vec<(&str, &str, &str)> = commits
        .iter()
        .map(|commit| {
            let text = |name: &str| commit[name].as_str().unwrap_or_default();
            (text("subject"), text("verdict"), text("code"))
        })
        .collect();
    ensure!(
        told == [
            ("body", "patched", ""),
            ("comment", "unchanged", ""),
            // Nothing but the frame of `main` has such a value.
            ("live type", "refused", "HP0101"),
            ("typo", "broken", ""),
            ("repaired", "patched", ""),
        ],
        "{told:?}\n{stderr}"
    );
    let message = commits[3]["message"].as_str().unwrap_or_default();
    ensure!(message.contains("twenty"), "{message}");
    let file = commits[2]["file"].as_str().unwrap_or_default();
    ensure!(file == "src/main.rs", "{file}");
    let sums = events(&stdout, "history")?;
    ensure!(
        sums[0]["commits"] == 5 && sums[0]["patched"] == 2 && sums[0]["refused"] == 1,
        "{sums:?}"
    );
    ensure!(!stderr.contains("`main` ran"), "{stderr}");
    ensure!(std::fs::read_to_string(&path)? == edited);

    let (code, stdout, stderr) = output(doctor(&project, &["--quiet", "--history", "2"])?)?;
    ensure!(code == Some(0), "{code:?}\n{stdout}{stderr}");
    let wanted = "     History 2 commits: 1 would have gone live, 0 change nothing that runs, 1 does not compile\n";
    ensure!(stdout.ends_with(wanted), "{stdout}");
    Ok(())
}

#[test]
fn a_project_without_a_history_is_told() -> Result<()> {
    let project = program("history", "doctor_no_history")?;
    let mut called = doctor(&project, &["--quiet", "--history", "3"])?;
    // The test's own folder may lie in a repository.
    called.env(
        "GIT_CEILING_DIRECTORIES",
        project.root().parent().context("no parent")?,
    );
    let (code, stdout, stderr) = output(called)?;
    ensure!(code == Some(101), "{code:?}\n{stdout}{stderr}");
    ensure!(stderr.contains("has no history in git"), "{stderr}");
    Ok(())
}
