//! The harness of the end-to-end tests: real programs, real edits, the real tool.
//!
//! # Running
//!
//! ```text
//! cargo test -p hotpatch-tests                                 everything
//! cargo test -p hotpatch-tests --test scenarios                every scenario
//! cargo test -p hotpatch-tests --test scenarios -- --exact statics    one of them
//! cargo test -p hotpatch-tests --test scenarios -- --list
//! ```
//!
//! | variable | effect |
//! |---|---|
//! | `CARGO_HOTPATCH_BIN` | the tool to test; without it the workspace's own is built, once per test process |
//! | `HOTPATCH_TEST_RT` | the folder of the `hotpatch-rt` to use instead of the workspace's |
//! | `HOTPATCH_TEST_BOTH_LANES=0` | the lane that is sooner answers, as in users' sessions; `1`, as without it: the fast lane has all the time that it takes, so that no test depends on the machine |
//! | `HOTPATCH_TEST_STRICT=1` | a test that would be skipped fails |
//! | `HOTPATCH_TEST_ORACLE_ONLY=1` | scenarios run on fresh builds alone, to check a scenario without the tool |
//! | `HOTPATCH_WRITE_EXPECT=1` | the `expect/*.stderr` that scenarios have are written anew instead of compared |
//! | `HOTPATCH_TEST_RANDOM_EDITS`, `HOTPATCH_TEST_RANDOM_SEED` | how many random edits, and from which seed |
//! | `KEEP_TEMP_DIR=1` | the copies of the programs stay, and their place is printed |
//!
//! # What is where
//!
//! [`workspace`] knows the paths and starts every command, [`project`] copies and edits a program,
//! [`fresh`] builds and runs one plainly, [`session`] runs one under the tool, at a [`terminal`] where wanted, [`events`] reads what the tool
//! says about it, [`programs`] tells compilers to fail, [`scenario`] is the format of `scenario.toml`, [`words`] knows what the tool says word for word, and [`judge`] decides whether a scenario
//! holds. [`random`] makes programs and edits up. Nothing here waits for a fixed time: a wait ends when the thing waited for happens, or fails after
//! [`LIMIT`].

#![forbid(unsafe_code)]

use std::time::Duration;

pub mod anew;
pub mod events;
pub mod fresh;
pub mod judge;
pub mod lines;
pub mod programs;
pub mod project;
pub mod random;
pub mod scenario;
pub mod session;
pub mod steps;
pub mod terminal;
pub mod words;
pub mod workspace;

/// How long any one thing may take before the test fails.
pub const LIMIT: Duration = Duration::from_secs(120);

/// Ends a test that cannot run here: a message, or a failure where skips are not allowed.
pub fn skip(reason: &str) -> anyhow::Result<()> {
    if std::env::var_os("HOTPATCH_TEST_STRICT").is_some_and(|value| value == "1") {
        anyhow::bail!("skipped, and HOTPATCH_TEST_STRICT forbids it: {reason}");
    }
    eprintln!("skipped: {reason}");
    Ok(())
}
