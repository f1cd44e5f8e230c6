//! One program with tests: its worker, its process, and which of its tests are due.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::sync::Arc;

use memchr::memmem;

use crate::args::TestArgs;
use crate::build::base::TestProgram;
use crate::command::{CancelToken, Tool};
use crate::session::program::{Running, environment};
use crate::session::worker::Worker;

/// A program with tests in a session.
pub(super) struct Tested {
    pub(super) program: TestProgram,
    /// Its tests, as far as they are known; nothing of a program that is not libtest's.
    pub(super) known: Option<BTreeSet<String>>,
    /// It may start programs that cargo builds beside it.
    pub(super) starts_programs: bool,
    pub(super) worker: Option<Worker>,
    pub(super) process: Process,
    /// Tests that lead to what has changed, and have not come to their end since.
    pub(super) due: BTreeSet<String>,
    /// The others are due, too.
    pub(super) is_rest_due: bool,
    /// Tests that were run since the last save.
    pub(super) done: BTreeSet<String>,
    /// Tests that failed when they were run last.
    pub(super) failed: BTreeSet<String>,
    /// The program itself ended badly when it was run last.
    pub(super) has_crashed: bool,
    /// Its word on what was saved is still to come.
    pub(super) is_pending: bool,
    /// How many saves its worker was handed.
    pub(super) saves: u64,
    /// How often it could not be reached.
    pub(super) times_lost: u32,
}

/// Its process.
pub(super) enum Process {
    None,
    /// It is being made ready; its number.
    Making(Arc<Running>, u64),
    /// It waits before its `main`, with what is on disk.
    Ready(Arc<Running>, u64),
    /// It runs tests.
    Runs(Arc<Running>),
}

impl Tested {
    pub(super) fn new(program: TestProgram, args: &TestArgs) -> Self {
        let known = tests_of(&program, args);
        Self {
            starts_programs: starts_programs(&program),
            program,
            known,
            worker: None,
            process: Process::None,
            due: BTreeSet::new(),
            is_rest_due: false,
            done: BTreeSet::new(),
            failed: BTreeSet::new(),
            has_crashed: false,
            is_pending: false,
            saves: 0,
            times_lost: 0,
        }
    }

    /// How many tests it has, as far as that is known.
    pub(super) fn count(&self) -> usize {
        self.known.as_ref().map_or(0, BTreeSet::len)
    }

    /// Whether the last runs of it went well.
    pub(super) fn is_well(&self) -> bool {
        self.failed.is_empty() && !self.has_crashed
    }
}

/// The names of a program's tests, as it lists them itself.
fn tests_of(program: &TestProgram, args: &TestArgs) -> Option<BTreeSet<String>> {
    let unit = program.base.units.last()?;
    // Any other program would do what it does.
    if !unit.args.as_slice().iter().any(|arg| arg == "--test") {
        return None;
    }
    let mut tool = Tool::new(&program.base.program)
        .args(["--list", "--format", "terse"])
        .args(args.name.iter())
        .args(filters(&args.args))
        .current_dir(program.package.manifest_path.parent()?.as_std_path());
    for (name, value) in environment(&program.base) {
        tool = match value {
            Some(value) => tool.env(name, value),
            None => tool.env_remove(name),
        };
    }
    let output = tool.run_checked(&CancelToken::new()).ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
    Some(names.map(str::to_owned).collect())
}

/// Those of libtest's arguments that choose tests.
pub(super) fn filters(args: &[String]) -> Vec<String> {
    chosen(args, true)
}

/// Those that do not.
pub(super) fn others(args: &[String]) -> Vec<String> {
    chosen(args, false)
}

/// Options of libtest that take a value, which may be the word behind.
const WITH_VALUE: &[&str] = &[
    "--skip",
    "--test-threads",
    "--logfile",
    "--color",
    "--format",
    "--shuffle-seed",
    "-Z",
];

fn chosen(args: &[String], filters: bool) -> Vec<String> {
    let mut out = Vec::new();
    let mut words = args.iter().peekable();
    while let Some(word) = words.next() {
        let chooses = !word.starts_with('-')
            || word == "--exact"
            || word == "--skip"
            || word.starts_with("--skip=");
        // Which tests are ignored is said to whoever lists them and to whoever runs them.
        let is_of_both = word == "--ignored" || word == "--include-ignored";
        let takes = is_of_both || chooses == filters;
        if takes {
            out.push(word.clone());
        }
        if WITH_VALUE.contains(&word.as_str())
            && let Some(value) = words.next()
            && takes
        {
            out.push(value.clone());
        }
    }
    out
}

/// What says in an object that it has a program started: part of the names of the functions of the standard library.
const COMMAND: &[u8] = b"7process7Command";

/// Whether a program may start the programs of its package, which cargo builds beside it: one that is a test of its own,
/// where something starts processes in what it is linked of.
fn starts_programs(program: &TestProgram) -> bool {
    let is_unit_test = program.title.starts_with("unittests");
    let has_programs = program
        .package
        .targets
        .iter()
        .any(cargo_metadata::Target::is_bin);
    if is_unit_test || !has_programs {
        return false;
    }
    let Some(unit) = program.base.units.last() else {
        return false;
    };
    let Ok(linked) = crate::build::slotted::LinkedObjects::read(unit) else {
        return true;
    };
    let sysroot = unit.rustc.parent().and_then(|bin| bin.parent());
    let is_std = |path: &std::path::Path| {
        path.to_string_lossy().contains("/lib/rustlib/")
            || sysroot.is_some_and(|root| path.starts_with(root))
    };
    let libraries = linked.libraries.iter().filter(|path| !is_std(path));
    let objects = linked.objects.values().flatten().map(|kept| &kept.path);
    libraries.chain(objects).any(|path| {
        // What cannot be read may be anything.
        fs::read(path).map_or(true, |bytes| memmem::find(&bytes, COMMAND).is_some())
    })
}

/// What libtest is told to run these tests and no others.
pub(super) fn exactly(names: &BTreeSet<String>, options: &[String]) -> Vec<OsString> {
    let words = options.iter().cloned().chain(["--exact".to_owned()]);
    words
        .chain(names.iter().cloned())
        .map(OsString::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{filters, others};

    #[test]
    fn what_chooses_tests_is_told_apart() {
        let words = [
            "--skip",
            "slow",
            "--nocapture",
            "deep::",
            "--test-threads",
            "1",
            "--ignored",
        ];
        let words = words.map(str::to_owned);
        assert_eq!(filters(&words), ["--skip", "slow", "deep::", "--ignored"]);
        assert_eq!(
            others(&words),
            ["--nocapture", "--test-threads", "1", "--ignored"]
        );
    }
}
