//! What sessions of programs and of tests begin with alike.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::args::BuildArgs;
use crate::build::base::HOST;
use crate::build::project::Project;
use crate::run::watch::{Watched, Watcher, Watchlist};
use crate::ui::events::EventLog;

/// Refuses targets that this machine is not. `what` names what could be patched here.
pub(super) fn check_target(args: &BuildArgs, what: &str) -> Result<()> {
    match args.target.iter().find(|target| *target != HOST) {
        Some(target) => bail!("`--target {target}`: only {what} for `{HOST}` can be patched"),
        None => Ok(()),
    }
}

/// Where events are written, if anywhere.
pub(super) fn event_log(path: Option<&Path>) -> Result<EventLog> {
    match path {
        Some(path) => {
            EventLog::open(path).with_context(|| format!("failed to open `{}`", path.display()))
        }
        None => Ok(EventLog::none()),
    }
}

/// Watches a project's folders. `is_included` tells files of interest that no rule names.
pub(super) fn watch(
    project: &Project,
    is_included: impl Fn(&Path) -> bool + Send + 'static,
    tell: impl Fn(Watched) + Send + 'static,
) -> Result<Watcher> {
    let list = Watchlist {
        roots: project.folders(),
        excluded: vec![project.target_dir().to_owned()],
    };
    let project = project.clone();
    let of_interest = move |path: &Path| {
        path.extension().is_some_and(|extension| extension == "rs")
            || project.decides_the_build(path)
            || is_included(path)
    };
    Ok(Watcher::new(list, of_interest, tell)?)
}

/// Watches the folders of these files, too, where they are outside of the project's.
pub(super) fn watch_also(watcher: Option<&Watcher>, project: &Project, files: &BTreeSet<PathBuf>) {
    let Some(watcher) = watcher else {
        return;
    };
    let roots = project.folders();
    let folders: BTreeSet<&Path> = files.iter().filter_map(|file| file.parent()).collect();
    let is_outside = |folder: &&Path| !roots.iter().any(|root| folder.starts_with(root));
    folders
        .into_iter()
        .filter(is_outside)
        .for_each(|folder| watcher.also(folder));
}
