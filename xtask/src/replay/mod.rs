//! `cargo xtask replay`: the commits of a repository as saves under the tool, each beside a `cargo build` of the same
//! tree, whose program answers the same lines.
//!
//! The repository is only read. Two copies of its trees are written to, one under the tool and one for the builds, so
//! that neither changes a file or a lock under the other; the two never work at the same time.

mod copy;
mod history;
mod hunks;
mod live;
mod plain;
mod player;
mod row;
mod steps;
mod stop;
mod summary;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::json;

use crate::replay::copy::{Overlay, WorkCopy};
use crate::replay::history::History;
use crate::replay::plain::Builder;
use crate::replay::player::Player;
use crate::replay::row::Row;
use crate::replay::stop::Stop;
use crate::replay::summary::Summary;
use crate::workplace::{Workplace, WorkplaceOpts};
use crate::{machine, report};

#[derive(Debug, Args)]
pub struct ReplayOpts {
    /// A git repository, with a work tree or bare. It is only read.
    repo: PathBuf,
    /// The commits, as `A..B`.
    #[arg(long, default_value = "HEAD")]
    range: String,
    /// Only the last so many of them.
    #[arg(long)]
    last: Option<usize>,
    /// Further paths whose commits count, as git's pathspecs.
    #[arg(long)]
    path: Vec<String>,
    /// Save each hunk by itself.
    #[arg(long)]
    hunks: bool,
    /// Files laid over every tree. The text of `NAME.append` is appended to the tree's NAME.
    #[arg(long)]
    overlay: Option<PathBuf>,
    /// The lines that the program is asked; it answers each with one line.
    #[arg(long)]
    ask: PathBuf,
    /// Options of both `cargo hotpatch run` and `cargo build`, such as `--example driver`.
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    options: String,
    /// The manifest, from the tree's top.
    #[arg(long, default_value = "Cargo.toml")]
    manifest: String,
    #[command(flatten)]
    workplace: WorkplaceOpts,
    /// How long a verdict may take, in seconds.
    #[arg(long, default_value_t = 180)]
    limit: u64,
    /// How long a session may take to start, in seconds.
    #[arg(long, default_value_t = 1800)]
    start_limit: u64,
    /// Rest between measurements, in milliseconds.
    #[arg(long, default_value_t = 300)]
    pause: u64,
    /// Also write the results as JSON into this file.
    #[arg(long)]
    out: Option<PathBuf>,
}

pub fn run(opts: &ReplayOpts) -> Result<()> {
    let history = History::open(&opts.repo)?;
    let commits = history.commits(&opts.range, opts.last, &opts.path)?;
    ensure!(!commits.is_empty(), "no commit in {}", opts.range);
    let overlay = Overlay::read(opts.overlay.as_deref())?;
    let lines = fs::read_to_string(&opts.ask)
        .with_context(|| format!("failed to read `{}`", opts.ask.display()))?;
    let lines: Vec<String> = lines
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(str::to_owned)
        .collect();
    ensure!(!lines.is_empty(), "no line in `{}`", opts.ask.display());
    let workplace = Workplace::new(&opts.workplace)?;
    let work = workplace.folder();
    fs::create_dir_all(work.join("logs"))
        .with_context(|| format!("failed to make `{}`", work.display()))?;
    let live = WorkCopy::empty(work.join("live"))?;
    let fresh = WorkCopy::empty(work.join("fresh"))?;
    let builder = |copy: &WorkCopy, target: &str| Builder {
        folder: copy.folder().to_owned(),
        manifest: opts.manifest.clone(),
        target: work.join(target),
        options: opts.options.split_whitespace().map(str::to_owned).collect(),
    };
    let mut player = Player {
        live_builder: builder(&live, "live-target"),
        fresh_builder: builder(&fresh, "fresh-target"),
        live,
        fresh,
        history: &history,
        overlay: &overlay,
        lines: &lines,
        tool: &workplace.tool,
        logs: work.join("logs"),
        hunks: opts.hunks,
        paths: !opts.path.is_empty(),
        limit: Duration::from_secs(opts.limit),
        start_limit: Duration::from_secs(opts.start_limit),
        pause: Duration::from_millis(opts.pause),
        stop: Stop::on_signals()?,
        at: None,
        built: None,
        files: None,
        session: None,
        unsteady: Vec::new(),
        start_s: None,
        rows: Vec::new(),
    };
    report::progress(&format!(
        "{} commits of {}, {}",
        commits.len(),
        history.name(),
        machine::describe()
    ));
    report::print(&Row::heading());
    let played = player.play(&commits);
    player.end();
    let rows = player.rows;
    let summary = Summary::of(&rows);
    report::print(&summary.text());
    if let Some(path) = &opts.out {
        let all = json!({
            "repository": history.name(),
            "range": opts.range,
            "hunks": opts.hunks,
            "options": opts.options,
            "asked": lines,
            "tool": workplace.tool.display().to_string(),
            "machine": machine::describe(),
            "rows": rows.iter().map(Row::json).collect::<Vec<_>>(),
            "summary": summary.json(),
        });
        let text = serde_json::to_string_pretty(&all)?;
        fs::write(path, text + "\n")
            .with_context(|| format!("failed to write `{}`", path.display()))?;
    }
    played?;
    let wrong = summary.wrong().len();
    ensure!(wrong == 0, "{wrong} wrong outputs");
    Ok(())
}
