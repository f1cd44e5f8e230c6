//! `cargo hotpatch doctor`: what keeps edits from being patched on this machine, in this project and, with
//! `--functions`, function by function. Starts no program of the user's and changes none of their files.

mod functions;
pub use functions::{Tried, Verdict};
mod noop;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::args::DoctorArgs;
use crate::build::base::{self, Base, BuildError};
use crate::build::project::Project;
use crate::command::{CancelToken, Tool};
use crate::run::signals::Interrupts;
use crate::session::program::library_path;
use crate::ui::doctor::{Account, Progress};
use crate::ui::report::{Report, Verbosity};
use crate::ui::terminal::Terminal;

/// Exit status of a doctor that was ended early, as a shell has it for Ctrl-C.
const INTERRUPTED: u8 = 130;
/// Exit status when the project does not build, as `cargo build` has it.
const BUILD_FAILED: u8 = 101;

/// Runs `cargo hotpatch doctor` to its end and gives back its exit status.
///
/// # Errors
/// There is no project, or it cannot be looked at.
pub fn run(args: &DoctorArgs) -> Result<u8> {
    let project = Project::find(&args.build)?;
    let account = Account::new(Terminal::of_stderr(args.build.color), args.message_format);
    if !args.functions {
        return Ok(0);
    }
    let cancel = CancelToken::new();
    let interrupts = {
        let cancel = cancel.clone();
        Interrupts::listen(move |_| cancel.cancel()).context("failed to listen for signals")?
    };
    let status = try_functions(args, &project, &account, &cancel);
    drop(interrupts);
    if cancel.is_cancelled() {
        return Ok(INTERRUPTED);
    }
    status
}

fn try_functions(
    args: &DoctorArgs,
    project: &Project,
    account: &Account,
    cancel: &CancelToken,
) -> Result<u8> {
    let report = Report::new(
        Terminal::of_stderr(args.build.color),
        Verbosity::from_flags(args.build.quiet, args.build.verbose),
    );
    if let Some(profile) = base::profile_with_lto(project, &args.build) {
        report.lto_is_off(&profile);
    }
    let base = match base::build(project, &args.build, cancel) {
        Ok(base) => base,
        Err(BuildError::Failed { code }) => return Ok(u8::try_from(code).unwrap_or(BUILD_FAILED)),
        Err(BuildError::Unsupported(why)) => bail!("{why}"),
        Err(BuildError::Other(error)) => return Err(error),
    };
    let libraries = libraries(&base, cancel)?;
    let progress = Progress::new(Terminal::of_stderr(args.build.color), args.build.quiet);
    let tried = functions::try_all(&base, &libraries, jobs(args), cancel, &|done, of| {
        progress.at(done, of);
    })?;
    drop(progress);
    account.functions(&tried);
    Ok(0)
}

/// How many patches are made at once, as cargo understands `-j`: all cores, fewer than all where the number is
/// negative.
fn jobs(args: &DoctorArgs) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let asked = args.build.jobs.as_deref().and_then(|jobs| jobs.parse().ok());
    match asked {
        Some(jobs @ 1..) => usize::try_from(jobs).unwrap_or(cores),
        Some(jobs @ ..=-1i64) => cores.saturating_sub(usize::try_from(-jobs).unwrap_or(cores)).max(1),
        _ => cores,
    }
}

/// The loader that programs for x86-64 Linux name, by the psABI supplement for AMD64.
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// The shared libraries the program would be started with. The loader says it (`--list`, see ld.so(8)), and
/// does not run the program.
fn libraries(base: &Base, cancel: &CancelToken) -> Result<Vec<PathBuf>> {
    let Some(unit) = base.units.last() else {
        return Ok(Vec::new());
    };
    let output = Tool::new(LOADER)
        .arg("--list")
        .arg(&base.program)
        .env(
            "LD_LIBRARY_PATH",
            library_path(unit, std::env::var_os("LD_LIBRARY_PATH")),
        )
        .run_checked(cancel)
        .context("failed to find the program's shared libraries")?;
    Ok(listed(&output.stdout_text()))
}

/// The paths in `name => path (address)` and `path (address)`.
fn listed(text: &str) -> Vec<PathBuf> {
    text.lines()
        .filter_map(|line| {
            let found = line.split_once("=> ").map_or(line, |(_, found)| found);
            let path = found.trim().rsplit_once(" (")?.0;
            path.starts_with('/').then(|| Path::new(path).to_owned())
        })
        .collect()
}
