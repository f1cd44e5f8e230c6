//! `cargo hotpatch doctor`: what it finds, in which words, and with which exit status.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use hotpatch_tests::programs::{Shim, is_running, program, wait_until};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::{interrupt, signal};
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
        "          Ok debug info: full in profile `dev`\n",
        "          Ok profile: `dev`, which does not optimise\n",
        "          Ok hot functions: the workspace depends on `hotpatch-rt`\n",
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
    let args = ["--functions", "--message-format=json", "--config", config];
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
    ensure!(events(&stdout, "function")?.is_empty(), "{stdout}");
    Ok(())
}

#[test]
fn every_function_is_tried() -> Result<()> {
    let project = program("several", "doctor_functions")?;
    let source = std::fs::read_to_string(project.root().join("src/main.rs"))?;
    let (code, stdout, stderr) = output(doctor(&project, &["--functions"])?)?;
    ensure!(code == Some(0), "{code:?}\n{stdout}{stderr}");
    let (_, said) = stdout.split_once("       Tried ").context(stdout.clone())?;
    let (head, said) = said.split_once('\n').context(stdout.clone())?;
    ensure!(head.starts_with("7 functions of 1 crate in "), "{stdout}");
    let wanted = [
        "   Patchable 5 functions (83.3 %)",
        "     No code in 1 function: generic ones that nothing uses, for instance",
        "     Refused 1 function, by reason:",
        "",
        "HP0001: a change to the body of a function with two statics of one name is not supported yet (1)",
        "  --> src/main.rs:28:4 `errors_doctor_functions::ambiguous`",
        "",
    ]
    .join("\n");
    ensure!(said == wanted, "{said}");

    // The same for programs, with nothing in between.
    let args = ["--functions", "--message-format=json", "-j1"];
    let (code, stdout, stderr) = output(doctor(&project, &args)?)?;
    ensure!(code == Some(0), "{code:?}\n{stdout}{stderr}");
    let functions = events(&stdout, "function")?;
    let mut results: Vec<String> = functions
        .iter()
        .map(|function| {
            let name = function["name"].as_str().unwrap_or_default();
            let name = name.rsplit("::").next().unwrap_or_default();
            format!("{name} {}", function["result"].as_str().unwrap_or_default())
        })
        .collect();
    results.sort();
    let wanted = [
        "added patchable",
        "ambiguous refused",
        "answer patchable",
        "main patchable",
        "never_used no_code",
        "next patchable",
        "twice patchable",
    ];
    ensure!(results == wanted, "{results:?}");
    let refused = functions
        .iter()
        .find(|function| function["result"] == "refused");
    ensure!(
        refused.is_some_and(|refused| refused["code"] == "HP0001" && refused["line"] == 28),
        "{refused:?}"
    );
    let summary = events(&stdout, "summary")?;
    ensure!(
        summary.len() == 1 && summary[0]["functions"] == 7 && summary[0]["patchable"] == 5,
        "{summary:?}"
    );
    ensure!(
        std::fs::read_to_string(project.root().join("src/main.rs"))? == source,
        "the source was changed"
    );
    Ok(())
}

#[test]
fn it_can_be_interrupted() -> Result<()> {
    let project = program("several", "doctor_interrupted")?;
    let shim = Shim::new(&project, Path::new(env!("CARGO_BIN_EXE_tool-shim")))?;
    let functions = || -> Result<Command> {
        let mut called = doctor(&project, &["--functions", "--message-format=json", "-j1"])?;
        called.envs(shim.env());
        Ok(called)
    };
    // Afterwards all is built, and the compiler hangs over the doctor's own work.
    let (_, stdout, stderr) = output(functions()?)?;
    ensure!(events(&stdout, "summary")?.len() == 1, "{stdout}{stderr}");
    shim.set("rustc hang")?;
    let mut child = functions()?
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let hanging = shim.folder().join("hanging");
    wait_until("the compiler hangs", || Ok(hanging.exists()))?;
    let compiler = std::fs::read_to_string(&hanging)?.parse()?;
    let sent = interrupt()?;
    signal(child.id(), sent);
    for line in BufReader::new(child.stdout.take().context("no output")?).lines() {
        ensure!(!line?.contains("\"summary\""), "it went on to its end");
    }
    let status = child.wait()?;
    ensure!(status.code() == Some(128 + sent.as_raw()), "{status}");
    wait_until("the compiler is gone", || Ok(!is_running(compiler)))
}

#[test]
fn a_project_that_does_not_build_says_so_itself() -> Result<()> {
    let project = program("server", "doctor_broken")?;
    project.replace("src/main.rs", "fn main() {", "fn main() { no_such_thing();")?;
    let (code, stdout, stderr) = output(doctor(&project, &["--functions"])?)?;
    ensure!(code == Some(101), "{code:?}\n{stdout}{stderr}");
    ensure!(
        stderr.contains("cannot find function `no_such_thing`"),
        "{stderr}"
    );
    ensure!(!stdout.contains("Tried"), "{stdout}");
    Ok(())
}
