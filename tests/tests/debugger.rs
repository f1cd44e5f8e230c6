//! gdb stops at a breakpoint in patched code, attached to a program that runs or started with it.

use std::cell::RefCell;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use hotpatch_tests::programs::{FIRST_BUILD, expect_answer, expect_patch, program, with_session};
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
        expect_patch(session, &project, "base", "patched")?;
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
            .args(["-ex", "continue", "-ex", "backtrace 2", "-ex", "detach"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("failed to start gdb")?;
        let gdb = RefCell::new(gdb);
        let set = project.beside("set");
        let waited = hotpatch_tests::programs::wait_until("gdb has set its breakpoint", || {
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
            said.contains("::_::"),
            "the stop is not in the patch:\n{said}"
        );
        session.stop().map(drop)
    })
}
