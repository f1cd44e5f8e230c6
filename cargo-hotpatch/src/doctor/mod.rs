//! `cargo hotpatch doctor`: what keeps edits from being patched on this machine and in this project. Runs no `main` of the
//! user's and changes none of their files.

pub mod checks;
pub mod commits;
pub mod facts;
pub mod history;
mod profile;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use anyhow::{Context, Result};

use self::checks::Level;
use self::facts::Facts;
use self::history::Sums;
use crate::args::DoctorArgs;
use crate::build::project::Project;
use crate::command::CancelToken;
use crate::run::child::ExitHow;
use crate::run::signals::Interrupts;
use crate::ui::doctor::Account;

/// Exit status when a check found an error.
const UNWELL: u8 = 1;

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
    if let Some(count) = args.history {
        let mut sums = Sums::default();
        history::play(project, &args.build, count, cancel, |tried| {
            sums.count(&tried.verdict);
            account.tried(&tried);
        })?;
        account.history(&sums);
        if cancel.is_cancelled() {
            return Ok(UNWELL);
        }
    }
    Ok(0)
}
