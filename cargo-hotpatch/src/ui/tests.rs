//! What a session with tests says.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::paint::Hue;
use super::report::{Report, Verbosity, time};

/// How tests ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many were run.
    pub run: usize,
    /// How many of these passed.
    pub passed: usize,
    /// Those that failed.
    pub failed: Vec<String>,
    /// How long the programs ran.
    pub took: Duration,
}

/// Names that are listed.
const NAMED: usize = 5;

impl Report {
    /// A program with tests begins.
    pub fn runs_tests(&self, title: &str, program: &Path) {
        let here = std::env::current_dir().unwrap_or_default();
        let program = program.strip_prefix(&here).unwrap_or(program);
        let text = format!("{title} ({})", program.display());
        self.say(
            Verbosity::Normal,
            &self.paint().verb(Hue::Green, "Running", &text),
        );
    }

    /// What the test programs write goes where `cargo test` has it.
    #[expect(clippy::unused_self, reason = "it says what is said")]
    pub fn tests_say(&self, bytes: &[u8]) {
        let mut out = io::stdout().lock();
        // Nobody may read it.
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    }

    /// All tests were run.
    pub fn all_tests(&self, tally: &Tally) {
        self.tested(&format!("all {}", tally.run), tally, None);
    }

    /// Those were run that lead to what has changed.
    pub fn tests_reached(&self, tally: &Tally, all: usize, since_save: Duration) {
        let what = format!("{} of {all} that reach the change", tally.run);
        self.tested(&what, tally, Some(since_save));
    }

    /// The others were run.
    pub fn other_tests(&self, tally: &Tally) {
        self.tested(&format!("the other {}", tally.run), tally, None);
    }

    fn tested(&self, what: &str, tally: &Tally, since_save: Option<Duration>) {
        let mut text = format!("{what}: {} passed", tally.passed);
        if !tally.failed.is_empty() {
            text += &format!(", {} failed", tally.failed.len());
        }
        text += &format!(" in {}", time(tally.took));
        if let Some(since) = since_save {
            text += &format!(" (saved to result {})", time(since));
        }
        let line = match tally.failed.is_empty() {
            true => self.paint().verb(Hue::Green, "Tested", &text),
            false => self.paint().verb(Hue::Red, "Tested", &text),
        };
        self.headline(Some(&line));
        self.say(Verbosity::Quiet, &line);
        if !tally.failed.is_empty() {
            let mut names = tally.failed.clone();
            let more = names.len().saturating_sub(NAMED);
            names.truncate(NAMED);
            let mut text = names.join(", ");
            if more > 0 {
                text += &format!(" and {more} more");
            }
            self.say(
                Verbosity::Quiet,
                &self.paint().verb(Hue::Red, "Failed", &text),
            );
        }
    }

    /// A program with tests ended otherwise than libtest has it.
    pub fn test_program_ended(&self, title: &str, how: &str) {
        let text = format!("{title} {how}");
        self.say(
            Verbosity::Quiet,
            &self.paint().verb(Hue::Red, "Failed", &text),
        );
    }

    /// A save leads to no test.
    pub fn no_tests_reached(&self, all: usize) {
        let text = format!("0 of {all} that reach the change");
        self.say(
            Verbosity::Normal,
            &self.paint().verb(Hue::Green, "Tested", &text),
        );
    }

    /// Nothing that is tested is different.
    pub fn nothing_to_test(&self) {
        let text = "nothing: no code is different";
        self.say(
            Verbosity::Normal,
            &self.paint().verb(Hue::Green, "Tested", text),
        );
    }

    /// Nothing is run again.
    pub fn no_test_failed(&self) {
        let text = "nothing: no test failed when it was run last";
        self.say(
            Verbosity::Normal,
            &self.paint().verb(Hue::Green, "Tested", text),
        );
    }

    /// An edit does not compile: nothing is run.
    pub fn tests_broken(&self, rendered: &str) {
        self.words(&format!("{}\n\n", rendered.trim_end()));
        let line = self
            .paint()
            .verb(Hue::Red, "Broken", "no test runs until it compiles");
        self.headline(Some(&line));
        self.say(Verbosity::Quiet, &line);
    }

    /// The programs are built anew.
    pub fn tests_are_built(&self, why: &str) {
        let text = format!("the tests, as {why}");
        self.say(
            Verbosity::Normal,
            &self.paint().verb(Hue::Cyan, "Building", &text),
        );
    }

    /// Cargo builds the programs that tests start.
    pub fn programs_are_built(&self) {
        let text = "the programs that tests may start";
        self.say(
            Verbosity::Normal,
            &self.paint().verb(Hue::Cyan, "Building", text),
        );
    }

    /// What a session with tests does not do, and what it waits for.
    pub fn tests_wait(&self, has_doc_tests: bool, keys: bool) {
        if has_doc_tests {
            let text = "doc tests: `cargo test --doc` runs them";
            self.say(
                Verbosity::Normal,
                &self.paint().verb(Hue::Cyan, "Skipped", text),
            );
        }
        let text = match keys {
            true => "for the next save; `a` runs all, `f` those that failed, `q` or Ctrl-C ends",
            false => "for the next save, or for Ctrl-C",
        };
        self.say(
            Verbosity::Normal,
            &self.paint().verb(Hue::Cyan, "Waiting", text),
        );
    }
}
