//! Many steps back and forth in one process, while eight threads call what is patched.
//!
//! A few in CI; `HOTPATCH_TEST_STEPS=10000` takes so many, and says how long they took and what became of the memory.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hotpatch_tests::programs::{FIRST_BUILD, ask_tool, expect_answer, program, with_session};
use hotpatch_tests::session::Options;

/// So many versions are saved before.
const VERSIONS: u64 = 5;

/// Memory of a process in kB.
fn memory(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("no memory")?.parse()?)
}

#[test]
fn threads_go_on_while_code_goes_back_and_forth() -> Result<()> {
    let wanted = std::env::var("HOTPATCH_TEST_STEPS");
    let steps: usize = wanted.map_or(Ok(60), |steps| steps.parse())?;
    let project = program("crowd", "soak")?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        let ask = |command: &str| -> Result<Duration> {
            let begun = Instant::now();
            let output = ask_tool(&project, &[command])?;
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(output.status.success(), "{command}: {words}");
            Ok(begun.elapsed())
        };
        for version in 2..=VERSIONS {
            let version_is = |version: u64| format!("let version = {version};");
            project.replace(
                "src/main.rs",
                &version_is(version - 1),
                &version_is(version),
            )?;
            ask("wait")?;
            expect_answer(session, "version", &version.to_string())?;
        }
        let (tool, pid) = (session.tool_pid(), session.pid()?);
        let before = (memory(tool)?, memory(pid)?);
        let mut times = Vec::new();
        let (mut at, mut down) = (VERSIONS, true);
        for _ in 0..steps {
            // To the first one and back to the last, again and again.
            down = match at {
                1 => false,
                VERSIONS => true,
                _ => down,
            };
            times.push(ask(if down { "undo" } else { "redo" })?);
            at = if down { at - 1 } else { at + 1 };
            expect_answer(session, "version", &at.to_string())?;
        }
        expect_answer(session, "wrong", "0")?;
        ensure!(session.ask("calls")?.parse::<u64>()? > 0);
        let after = (memory(tool)?, memory(pid)?);
        let median = |times: &[Duration]| {
            let mut times = times.to_vec();
            times.sort_unstable();
            times.get(times.len() / 2).copied().unwrap_or_default()
        };
        let part = times.len().min(1000).div_ceil(2);
        println!(
            "{steps} steps: the first {part} at {:?} in the middle, the last at {:?}; memory of tool and program in kB \
             before {before:?}, after {after:?}",
            median(&times[..part]),
            median(&times[times.len() - part..]),
        );
        session.stop().map(drop)
    })
}
