//! `cargo hotpatch doctor`: what keeps edits from being patched on this machine, in this project and, with
//! `--functions`, function by function. Starts no program of the user's and changes none of their files.

pub mod checks;
pub mod facts;
pub mod functions;
mod noop;
mod profile;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use self::checks::Level;
use self::facts::Facts;
use crate::args::DoctorArgs;
use crate::build::base::{self, Base, BuildError};
use crate::build::project::Project;
use crate::command::{CancelToken, Tool};
use crate::run::child::ExitHow;
use crate::run::signals::Interrupts;
use crate::session::program::library_path;
use crate::ui::doctor::{Account, Progress};
use crate::ui::terminal::Terminal;

/// Exit status when a check found an error.
const UNWELL: u8 = 1;
/// Exit status when the project does not build, as `cargo build` has it.
const BUILD_FAILED: u8 = 101;

/// Runs `cargo hotpatch doctor` to its end and gives back its exit status.
///
/// # Errors
/// There is no project, or it cannot be looked at.
pub fn run(args: &DoctorArgs) -> Result<u8> {
    let project = Project::find(&args.build)?;
    let cancel = CancelToken::new();
    let signal = Arc::new(AtomicI32::new(0));
    let interrupts = {
        let (cancel, signal) = (cancel.clone(), signal.clone());
        Interrupts::listen(move |interrupt| {
            signal.store(interrupt.signal, Ordering::Release);
            cancel.cancel();
        })
        .context("failed to listen for signals")?
    };
    let status = examine(args, &project, &cancel);
    drop(interrupts);
    match signal.load(Ordering::Acquire) {
        0 => status,
        signal => Ok(ExitHow::Signal(signal).shell_code()),
    }
}

fn examine(args: &DoctorArgs, project: &Project, cancel: &CancelToken) -> Result<u8> {
    let account = Account::new(args.message_format, args.build.color, args.build.quiet);
    let found = checks::findings(&Facts::read(project, &args.build, cancel));
    if cancel.is_cancelled() {
        return Ok(UNWELL);
    }
    account.findings(&found);
    let worst = found.iter().map(|finding| finding.level).max();
    if worst == Some(Level::Error) {
        return Ok(UNWELL);
    }
    if let Some(part) = &args.functions {
        return try_functions(args, part, project, &account, cancel);
    }
    Ok(0)
}

fn try_functions(
    args: &DoctorArgs,
    part: &str,
    project: &Project,
    account: &Account,
    cancel: &CancelToken,
) -> Result<u8> {
    let base = match base::build(project, &args.build, cancel) {
        Ok(base) => base,
        Err(BuildError::Failed { code }) => return Ok(u8::try_from(code).unwrap_or(BUILD_FAILED)),
        Err(BuildError::Unsupported(why)) => bail!("{why}"),
        Err(BuildError::Other(error)) => return Err(error),
    };
    let began = Instant::now();
    let libraries = libraries(&base, cancel)?;
    let progress = Progress::new(Terminal::of_stderr(args.build.color), args.build.quiet);
    let heard = |one: &_, done, of| {
        account.function(one);
        progress.at(done, of);
    };
    let tried = functions::try_all(&base, &libraries, part, jobs(args), cancel, &heard)?;
    drop(progress);
    account.functions(&tried, base.units.len(), began.elapsed());
    Ok(0)
}

/// How many patches are made at once, as cargo understands `-j`: all cores, fewer than all where the number is
/// negative.
fn jobs(args: &DoctorArgs) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let asked = args
        .build
        .jobs
        .as_deref()
        .and_then(|jobs| jobs.parse().ok());
    match asked {
        Some(jobs @ 1..) => usize::try_from(jobs).unwrap_or(cores),
        Some(jobs @ ..=-1i64) => cores
            .saturating_sub(usize::try_from(-jobs).unwrap_or(cores))
            .max(1),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaders_list_is_read() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibgcc_s.so.1 => /lib/my libs/libgcc_s.so.1 (0x00007f01)\n\
                    \tlibx.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f02)\n";
        let paths = ["/lib/my libs/libgcc_s.so.1", "/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(listed(text), paths.map(PathBuf::from));
    }
}
