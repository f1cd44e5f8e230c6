//! The options of `cargo hotpatch test`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::{BuildArgs, CargoArgs};

const TEST_EXAMPLES: &str = "\
Examples:
  cargo hotpatch test                      all tests, then at each save those that the edit reaches, then the others
  cargo hotpatch test --affected           after a save only those that it reaches
  cargo hotpatch test --lib parser::       those of the library with this in their names
  cargo hotpatch test -- --nocapture       what stands after `--` goes to the test programs
  cargo hotpatch test --once               run them once and end, as `cargo test` does

Test programs are built as `cargo test` builds them. Each run is a new process of what was built first, which gets what was
edited since before its `main`: nothing is left from one run to the next. Keys: `a` runs all tests, `f` those that failed,
`q` ends. Doc tests are not run.

Exit status: 0 if the last run of all tests passed, 101 if not, or if the tests do not build.";

/// The options of `cargo hotpatch test`: cargo test's own, then ours.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = TEST_EXAMPLES)]
pub struct TestArgs {
    /// Write one JSON object a line about each run to FILE
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
    /// After a save run only the tests that the edit reaches, and those that failed last
    #[arg(long)]
    pub affected: bool,
    /// Run the tests once and end
    #[arg(long)]
    pub once: bool,
    /// Build the tests and run none
    #[arg(long)]
    pub no_run: bool,
    /// Run the other test programs too when the tests of one have failed
    #[arg(long)]
    pub no_fail_fast: bool,

    /// Test only this package's library
    #[arg(long, help_heading = "Target selection")]
    pub lib: bool,
    /// Test all binaries
    #[arg(long, help_heading = "Target selection")]
    pub bins: bool,
    /// Test all examples
    #[arg(long, help_heading = "Target selection")]
    pub examples: bool,
    /// Test only the given test target; may be given several times
    #[arg(long, value_name = "NAME", action = ArgAction::Append)]
    #[arg(help_heading = "Target selection")]
    pub test: Vec<String>,
    /// Test all targets that have `test = true` set
    #[arg(long, help_heading = "Target selection")]
    pub tests: bool,
    /// Test all targets (does not include doctests)
    #[arg(long, help_heading = "Target selection")]
    pub all_targets: bool,
    /// Test all packages in the workspace
    #[arg(long, alias = "all", help_heading = "Package selection")]
    pub workspace: bool,
    /// Exclude packages from the test
    #[arg(long, value_name = "SPEC", action = ArgAction::Append, requires = "workspace")]
    #[arg(help_heading = "Package selection")]
    pub exclude: Vec<String>,

    /// What is built, and how.
    #[command(flatten)]
    pub build: BuildArgs,

    /// Only run tests containing this string in their names
    #[arg(value_name = "TESTNAME")]
    pub name: Option<String>,
    /// Arguments for the test programs
    #[arg(value_name = "ARGS", last = true)]
    pub args: Vec<String>,
}

impl TestArgs {
    /// What cargo is told of the packages and targets, beside [`BuildArgs::cargo_args`].
    #[must_use]
    pub fn selection(&self) -> Vec<OsString> {
        let mut list = CargoArgs::default();
        list.flag("--lib", self.lib);
        list.flag("--bins", self.bins);
        list.flag("--examples", self.examples);
        for name in &self.test {
            list.value("--test", Some(name));
        }
        list.flag("--tests", self.tests);
        list.flag("--all-targets", self.all_targets);
        list.flag("--workspace", self.workspace);
        for name in &self.exclude {
            list.value("--exclude", Some(name));
        }
        list.0
    }

    /// Whether only some of the targets are meant.
    #[must_use]
    pub fn selects_targets(&self) -> bool {
        let flags = [
            self.lib,
            self.bins,
            self.examples,
            self.tests,
            self.all_targets,
        ];
        flags.contains(&true)
            || !self.test.is_empty()
            || self.build.bin.is_some()
            || self.build.example.is_some()
    }
}
