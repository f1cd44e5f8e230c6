//! gdb stops at a breakpoint in patched code, attached to a program that runs or as the runner that starts it.

use std::cell::RefCell;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use hotpatch_tests::programs::{
    FIRST_BUILD, expect_answer, expect_confirmed_patch, expect_patch, host, program, wait_until,
    with_session,
};
use hotpatch_tests::session::Options;
use hotpatch_tests::skip;

/// The line of the server's hot function that makes the answer.
fn line_of_answer(source: &str) -> Result<usize> {
    let index = source.lines().position(|line| line.contains("format!"));
    Ok(index.context("the server makes no answer")? + 1)
}

#[test]
fn an_attached_debugger_stops_in_patched_code() -> Result<()> {
    if Command::new("gdb").arg("--version").output().is_err() {
        return skip("gdb is not installed");
    }
    let project = program("server", "debugger")?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        expect_answer(session, "a", "base a")?;
        expect_confirmed_patch(session, &project, "base", "patched")?;
        let source = std::fs::read_to_string(project.root().join("src/main.rs"))?;
        let line = line_of_answer(&source)?;
        let pid = session.pid()?.to_string();
        let gdb = Command::new("gdb")
            .args(["-q", "-nx", "-batch", "-p", &pid])
            .args(["-ex", "set breakpoint pending on"])
            .args(["-ex", &format!("break main.rs:{line}")])
            // Said once the breakpoint is set: the question below must not come too early.
            .args([
                "-ex",
                &format!("shell touch {}", project.beside("set").display()),
            ])
            .args(["-ex", "continue", "-ex", "backtrace 2"])
            .args(["-ex", "info symbol $pc", "-ex", "detach"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("failed to start gdb")?;
        let gdb = RefCell::new(gdb);
        let set = project.beside("set");
        let waited = wait_until("gdb has set its breakpoint", || {
            Ok(set.exists() || gdb.borrow_mut().try_wait()?.is_some())
        });
        let answer = waited.and_then(|()| session.ask("b"));
        if answer.is_err() {
            // It would hold the program for ever.
            gdb.borrow_mut().kill()?;
        }
        let output = gdb.into_inner().wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !said.contains("Breakpoint 1")
            && String::from_utf8_lossy(&output.stderr).contains("ptrace")
        {
            return skip("this system does not let gdb attach");
        }
        ensure!(
            answer? == "patched b",
            "the program's answer changed under the debugger"
        );
        let stop = format!("main.rs:{line}");
        ensure!(
            said.lines()
                .any(|text| text.starts_with("#0") && text.contains(&stop)),
            "gdb did not stop at {stop}:\n{said}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        ensure!(
            said.contains("patch-"),
            "the stop is not in the patch:\n{said}"
        );
        session.stop().map(drop)
    })
}

#[test]
fn a_debugger_that_starts_the_program_stops_in_patched_code() -> Result<()> {
    if Command::new("gdb").arg("--version").output().is_err() {
        return skip("gdb is not installed");
    }
    let project = program("server", "debugger_start")?;
    let line = line_of_answer(&std::fs::read_to_string(
        project.root().join("src/main.rs"),
    )?)?;
    // What gdb says goes to a file, as the program answers on the standard output.
    let log = project.beside("gdb.log");
    let script = project.beside("script");
    let text = format!(
        "set logging file {}\nset logging redirect on\nset logging enabled on\n\
         set breakpoint pending on\nbreak main.rs:{line}\n\
         commands\nbacktrace 2\ninfo symbol $pc\ncontinue\nend\nrun\n",
        log.display()
    );
    std::fs::write(&script, text)?;
    // As a user has it: cargo's own setting for what starts programs.
    let config = project.root().join(".cargo/config.toml");
    std::fs::create_dir_all(config.parent().context("a file")?)?;
    let runner = format!(
        "[target.{}]\nrunner = [\"gdb\", \"-q\", \"-nx\", \"-batch\", \"-x\", \"{}\", \"--args\"]\n",
        host()?,
        script.display()
    );
    std::fs::write(&config, runner)?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        expect_answer(session, "a", "base a")?;
        let said = std::fs::read_to_string(&log)?;
        let stop = format!("main.rs:{line}");
        let stops = |said: &str| -> Vec<String> {
            let first = said.lines().filter(|text| text.starts_with("#0"));
            first
                .filter(|text| text.contains(&stop))
                .map(str::to_owned)
                .collect()
        };
        ensure!(
            stops(&said).len() == 1,
            "gdb did not stop at {stop}:\n{said}"
        );
        expect_patch(session, &project, "base", "patched")?;
        expect_answer(session, "b", "patched b")?;
        let said = std::fs::read_to_string(&log)?;
        let found = stops(&said);
        ensure!(
            found.len() == 2,
            "gdb did not stop at {stop} again:\n{said}"
        );
        ensure!(said.contains("patch-"), "not in the patch:\n{said}");
        session.stop().map(drop)
    })
}

#[test]
fn a_runner_is_honoured_as_cargo_run_honours_it() -> Result<()> {
    let project = program("server", "runner")?;
    let runner = project.beside("runner");
    std::fs::write(&runner, "#!/bin/sh\necho \"$1 $2\"\nshift\nexec \"$@\"\n")?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&runner, mode)?;
    let runner = format!("{} word", runner.display());
    let variable = format!(
        "CARGO_TARGET_{}_RUNNER",
        host()?.to_uppercase().replace('-', "_")
    );
    let by_variable = Options {
        env: vec![(variable, runner.clone().into())],
        ..Options::default()
    };
    let by_option = Options {
        options: vec![format!("--config=target.{}.runner='{runner}'", host()?)],
        ..Options::default()
    };
    for (options, from, to) in [(by_variable, "base", "one"), (by_option, "one", "two")] {
        with_session(&project, &options, |session| {
            session.ready(FIRST_BUILD)?;
            let heard = session.talk.hear()?;
            ensure!(
                heard.starts_with("word ") && heard.ends_with("/errors_runner"),
                "the runner said `{heard}`"
            );
            expect_patch(session, &project, from, to)?;
            expect_answer(session, "x", &format!("{to} x"))?;
            session.stop().map(drop)
        })?;
    }
    Ok(())
}

/// Whether a thread of the process runs while another process traces it.
fn is_traced_and_runs(pid: &str) -> Result<bool> {
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = std::fs::read_to_string(thread?.path().join("status"))?;
        let field = |name: &str| {
            let mut lines = status.lines();
            lines.find_map(|line| Some(line.strip_prefix(name)?.trim()))
        };
        if field("State:").is_some_and(|state| state.starts_with('R'))
            && field("TracerPid:").is_some_and(|tracer| tracer != "0")
        {
            return Ok(true);
        }
    }
    Ok(false)
}

#[test]
fn a_stack_that_a_debugger_holds_may_hold_any_value() -> Result<()> {
    if Command::new("gdb").arg("--version").output().is_err() {
        return skip("gdb is not installed");
    }
    let project = program("spinner", "debugger_holds")?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        expect_answer(session, "abc", "3")?;
        let pid = session.pid()?.to_string();
        let set = project.beside("set");
        let mut gdb = Command::new("gdb")
            .args(["-q", "-nx", "-batch", "-p", &pid])
            // All threads stand still when this is said.
            .args(["-ex", &format!("shell touch {}", set.display())])
            .args(["-ex", "continue"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("failed to start gdb")?;
        let refused = wait_until("gdb lets the program go on", || {
            Ok(set.exists() && is_traced_and_runs(&pid)?)
        })
        .and_then(|()| project.replace("src/main.rs", "    x: usize,", "    y: u8,\n    x: usize,"))
        .and_then(|()| project.replace("src/main.rs", "Point { x:", "Point { y: 0, x:"));
        let verdict = refused.and_then(|()| session.verdict());
        gdb.kill()?;
        gdb.wait()?;
        let verdict = verdict?;
        ensure!(
            verdict.name() == "refused" && verdict.text("code") == "HP0101",
            "the edit was not refused: {verdict}"
        );
        expect_answer(session, "abcd", "4")?;
        session.stop().map(drop)
    })
}
