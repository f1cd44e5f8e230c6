//! Random edits of random programs, judged by fresh builds; see `hotpatch_tests::random`.
//!
//! `HOTPATCH_TEST_RANDOM_EDITS` and `HOTPATCH_TEST_RANDOM_SEED` change how many there are and which; `cargo xtask random`
//! has more to choose from.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use hotpatch_tests::random::{RandomOptions, run};
use hotpatch_tests::skip;

fn number(name: &str, default: u64) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is `{text}`")),
        Err(_) => Ok(default),
    }
}

/// So many of the programs run under valgrind, which looks for what was read and written wrongly.
fn under_valgrind() -> Result<u64> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        skip("valgrind is not installed, the random programs run without it")?;
        return Ok(0);
    }
    Ok(1)
}

fn run_edits(edits: u64) -> Result<()> {
    let options = RandomOptions {
        seed: number("HOTPATCH_TEST_RANDOM_SEED", 1)?,
        first: 0,
        edits,
        each: 40,
        jobs: 2,
        valgrind: under_valgrind()?,
        kinds: Vec::new(),
        without: Vec::new(),
        keep: std::env::temp_dir().join("hotpatch-random"),
    };
    let report = run(&options, &|line| println!("{line}"))?;
    println!("{report}");
    ensure!(
        report.findings.is_empty(),
        "{} findings:\n{report}",
        report.findings.len()
    );
    ensure!(
        report.invalid == 0,
        "the generator made what does not compile:\n{report}"
    );
    let patched = report.verdict("patched");
    ensure!(
        patched * 3 > report.edits,
        "only {patched} edits were patched:\n{report}"
    );
    Ok(())
}

#[test]
fn random_edits_do_what_a_fresh_build_does() -> Result<()> {
    run_edits(number("HOTPATCH_TEST_RANDOM_EDITS", 150)?)
}
