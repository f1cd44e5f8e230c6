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
