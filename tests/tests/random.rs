//! Random edits of random programs, judged by fresh builds; see `hotpatch_tests::random`.
//!
//! `HOTPATCH_TEST_RANDOM_EDITS` and `HOTPATCH_TEST_RANDOM_SEED` change how many there are and which; `cargo xtask random`
//! has more to choose from.

use anyhow::{Context, Result, ensure};
use hotpatch_tests::random::{RandomOptions, run};

fn number(name: &str, default: u64) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is `{text}`")),
        Err(_) => Ok(default),
    }
}

#[test]
fn random_edits_do_what_a_fresh_build_does() -> Result<()> {
    let options = RandomOptions {
        seed: number("HOTPATCH_TEST_RANDOM_SEED", 1)?,
        edits: number("HOTPATCH_TEST_RANDOM_EDITS", 500)?,
        each: 40,
        jobs: 2,
        valgrind: 0,
        kinds: Vec::new(),
        // What no hot function leads to is not compiled before a patch; that is an open question, not an accident.
        without: vec!["broken-elsewhere".to_owned()],
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
