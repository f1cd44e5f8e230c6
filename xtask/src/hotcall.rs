//! Times a call of a hot function beside a direct call of the same body, in an optimised build,
//! before and after a patch. The program measures itself; this file collects its lines.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::child::{Seen, Session, Start};
use crate::generate::{FIRST_MARKER, Program};
use crate::project::Project;
use crate::statistics::Samples;
use crate::workplace::{Workplace, WorkplaceOpts};
use crate::{command, page, report};

#[derive(Debug, Args)]
pub struct CallOpts {
    /// Measurements of 100 million calls each, before and after the patch.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    #[command(flatten)]
    workplace: WorkplaceOpts,
    /// Also write the results into this page.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The folder of the `hotpatch-rt` that the program depends on.
    #[arg(long, hide = true)]
    runtime: Option<PathBuf>,
}

/// Nanoseconds a call took.
#[derive(Debug, Default)]
pub struct Calls {
    pub direct: Samples,
    pub hot: Samples,
}

/// The calls before and after the patch, and why there are no more.
#[derive(Debug, Default)]
pub struct Measured {
    pub before: Calls,
    pub after: Calls,
    pub failure: Option<String>,
}

pub fn run(opts: &CallOpts) -> Result<()> {
    let workplace = Workplace::new(&opts.workplace)?;
    let work = workplace.folder();
    let mut measured = Measured::default();
    if let Err(error) = measure(opts, &workplace.tool, work, &mut measured) {
        measured.failure = Some(format!("{error:#}"));
    }
    let part = report::calls(&measured);
    report::print(&part);
    match &opts.out {
        Some(path) => page::write_part(path, report::CALLS_HEADING, &part),
        None => Ok(()),
    }
}

fn measure(opts: &CallOpts, tool: &Path, work: &Path, measured: &mut Measured) -> Result<()> {
    let runtime = opts
        .runtime
        .clone()
        .unwrap_or_else(|| command::workspace().join("hotpatch-rt"));
    let runtime = runtime
        .canonicalize()
        .context("failed to resolve the runtime's folder")?;
    let program = Program {
        files: vec![("main.rs".into(), include_str!("hotcall.tpl").to_owned())],
        step: "main.rs".into(),
    };
    let project = Project::write(&work.join("call"), "bench_call", &program, Some(&runtime))?;
    let mut session = Session::start(&Start {
        tool,
        manifest: &project.manifest(),
        target: &work.join("call-target"),
        cache: &work.join("cache"),
        profile: "release",
        logs: &work.join("logs"),
        limit: Duration::from_secs(600),
    })?;
    collect(
        &mut session,
        FIRST_MARKER,
        opts.rounds,
        &mut measured.before,
    )?;
    report::progress("measured before the patch");
    project.save_marker(FIRST_MARKER + 1, || ())?;
    collect(
        &mut session,
        FIRST_MARKER + 1,
        opts.rounds,
        &mut measured.after,
    )
}

/// Takes `rounds` lines `call MARKER DIRECT HOT` with this marker.
fn collect(session: &mut Session, marker: u64, rounds: usize, calls: &mut Calls) -> Result<()> {
    let limit = Duration::from_secs(120 + 30 * rounds as u64);
    session.wait("the measured calls", limit, |_, seen| {
        let Seen::Line(line) = seen else {
            return Ok(None);
        };
        let fields: Vec<f64> = line
            .split(' ')
            .filter_map(|field| field.parse().ok())
            .collect();
        match fields[..] {
            [shown, direct, hot] if shown == marker as f64 => {
                calls.direct.push(direct);
                calls.hot.push(hot);
            }
            [shown, ..] if shown > marker as f64 => bail!("unexpected marker {shown}"),
            _ => {}
        }
        Ok((calls.hot.len() >= rounds).then_some(()))
    })
}
