//! Times edits of generated programs: from the save to the first output of the new code under
//! `cargo hotpatch`, in turns with `cargo build` of the same edit. It judges nothing; a size that
//! fails keeps what was measured until then.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::child::{Memory, Patched, Session, Start};
use crate::generate::{self, FIRST_MARKER, Program};
use crate::project::Project;
use crate::statistics::Samples;
use crate::workplace::{Workplace, WorkplaceOpts};
use crate::{command, page, report};

#[derive(Debug, Args)]
pub struct BenchOpts {
    /// Sizes of the generated programs.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 40_000, 100_000])]
    lines: Vec<usize>,
    /// Edits of each program.
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// Builds and starts with an empty target folder.
    #[arg(long, default_value_t = 1)]
    cold_runs: usize,
    /// Starts of the built, unchanged program.
    #[arg(long, default_value_t = 5)]
    starts: usize,
    /// The cargo profile of both builds, such as `dev` or `release`.
    #[arg(long, default_value = "dev")]
    profile: String,
    #[command(flatten)]
    workplace: WorkplaceOpts,
    /// Rest between measurements, in milliseconds.
    #[arg(long, default_value_t = 300)]
    pause: u64,
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Also write the results into this page.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The folder of the `hotpatch-rt` that the programs depend on.
    #[arg(long, hide = true)]
    runtime: Option<PathBuf>,
}

/// All that was measured with one generated program.
#[derive(Debug, Default)]
pub struct Measured {
    pub lines: usize,
    pub files: usize,
    /// `cargo build` into an empty target folder.
    pub cold_build: Samples,
    /// `cargo hotpatch run` with an empty target folder, until the program's first output.
    pub cold_program: Samples,
    pub cold_ready: Samples,
    /// Until the first output as well, but no agent is kept from an earlier project.
    pub first_of_all: Samples,
    /// The same with everything built.
    pub warm_program: Samples,
    pub warm_ready: Samples,
    /// From the program's first output to `ready`, everything built.
    pub ready_after_program: Samples,
    pub edits: Vec<Patched>,
    /// `cargo build` of the same edits.
    pub builds: Samples,
    /// `cargo build` of an edited one-line program.
    pub one_line: Samples,
    pub memory: Option<(Memory, Memory)>,
    pub failure: Option<String>,
}

impl Measured {
    pub fn latency(&self) -> Samples {
        self.edits.iter().map(|edit| edit.latency).collect()
    }

    /// The tool's own figure for one phase, in milliseconds.
    pub fn phase(&self, name: &str) -> Samples {
        self.edits
            .iter()
            .filter_map(|edit| edit.phases.get(name).copied())
            .collect()
    }

    pub fn bytes(&self) -> Samples {
        self.edits.iter().filter_map(|edit| edit.bytes).collect()
    }

    /// Kilobytes that each patch added to the running program.
    pub fn growth(&self, of: impl Fn(&Memory) -> f64) -> Option<f64> {
        let (before, after) = self.memory.as_ref()?;
        (!self.edits.is_empty()).then(|| (of(after) - of(before)) / self.edits.len() as f64)
    }
}

pub fn run(opts: &BenchOpts) -> Result<()> {
    let workplace = Workplace::new(&opts.workplace)?;
    let runtime = opts
        .runtime
        .clone()
        .unwrap_or_else(|| command::workspace().join("hotpatch-rt"));
    let work = workplace.folder();
    let runtime = runtime
        .canonicalize()
        .context("failed to resolve the runtime's folder")?;
    let mut all = Vec::new();
    for &lines in &opts.lines {
        let folder = work.join(format!("{lines}-{}", opts.profile));
        let program = generate::program(lines, opts.seed);
        let mut measured = Measured {
            lines: program.lines(),
            files: program.files.len(),
            ..Measured::default()
        };
        let size = Size {
            opts,
            tool: &workplace.tool,
            runtime: &runtime,
            folder: &folder,
        };
        if let Err(error) = size.measure(&program, &mut measured) {
            report::progress(&format!("{lines} lines: {error:#}"));
            measured.failure = Some(format!("{error:#}"));
        }
        if opts.workplace.keep.is_none() {
            // What cannot be removed goes with the temporary folder.
            let _ = fs::remove_dir_all(&folder);
        }
        all.push(measured);
    }
    let part = report::edits(&all, &opts.profile);
    report::print(&part);
    match &opts.out {
        Some(path) => page::write_part(path, &report::edits_heading(&opts.profile), &part),
        None => Ok(()),
    }
}

/// One size on its way.
struct Size<'a> {
    opts: &'a BenchOpts,
    tool: &'a Path,
    runtime: &'a Path,
    folder: &'a Path,
}

impl Size<'_> {
    fn measure(&self, program: &Program, measured: &mut Measured) -> Result<()> {
        let runtime = Some(self.runtime);
        let hot = Project::write(&self.folder.join("hot"), "bench_app", program, runtime)?;
        let plain = Project::write(&self.folder.join("plain"), "bench_app", program, runtime)?;
        let one_line =
            Project::write(&self.folder.join("one_line"), "one_line", &one_line(), None)?;
        self.build(&one_line, "one_line-target")?;
        let mut session = None;
        for _ in 0..self.opts.cold_runs.max(1) {
            drop(session.take());
            self.empty("plain-target")?;
            measured
                .cold_build
                .push(self.build(&plain, "plain-target")?);
            self.progress(&format!("cold build {}", last(&measured.cold_build)));
            self.empty("cache")?;
            self.empty("hot-target")?;
            let started = self.start(&hot)?;
            measured.first_of_all.push(started.program_after);
            self.progress(&format!(
                "first start of all {}",
                last(&measured.first_of_all)
            ));
            drop(started);
            self.pause();
            self.empty("hot-target")?;
            let started = self.start(&hot)?;
            measured.cold_program.push(started.program_after);
            measured.cold_ready.push(started.ready_after);
            self.progress(&format!(
                "cold start, ready after {}",
                last(&measured.cold_ready)
            ));
            session = Some(started);
        }
        for _ in 0..self.opts.starts {
            drop(session.take());
            self.pause();
            let started = self.start(&hot)?;
            measured.warm_program.push(started.program_after);
            measured.warm_ready.push(started.ready_after);
            let after = started.ready_after - started.program_after;
            measured.ready_after_program.push(after.max(0.0));
            session = Some(started);
        }
        self.progress(&format!(
            "start when built, ready after {}",
            last(&measured.warm_ready)
        ));
        let session = session.as_mut().context("no session was started")?;
        self.pause();
        let before = session.memory();
        for run in 0..self.opts.runs {
            let marker = FIRST_MARKER + 1 + run as u64;
            let done = self.edit_both(session, [&hot, &plain], run, marker, measured);
            self.pause();
            measured.memory = before.zip(session.memory());
            done?;
            self.pause();
            one_line.save_marker(marker, || ())?;
            measured
                .one_line
                .push(self.build(&one_line, "one_line-target")?);
            self.progress(&format!(
                "edit {} of {}: patched {}, cargo build {}",
                run + 1,
                self.opts.runs,
                last(&measured.latency()),
                last(&measured.builds)
            ));
        }
        Ok(())
    }

    /// The same edit both ways, in turns which goes first.
    fn edit_both(
        &self,
        session: &mut Session,
        [hot, plain]: [&Project; 2],
        run: usize,
        marker: u64,
        measured: &mut Measured,
    ) -> Result<()> {
        for way in [run, run + 1] {
            self.pause();
            if way % 2 == 0 {
                measured.edits.push(session.edit(hot, marker)?);
            } else {
                plain.save_marker(marker, || ())?;
                measured.builds.push(self.build(plain, "plain-target")?);
            }
        }
        Ok(())
    }

    fn start(&self, project: &Project) -> Result<Session> {
        Session::start(&Start {
            tool: self.tool,
            manifest: &project.manifest(),
            target: &self.folder.join("hot-target"),
            cache: &self.folder.join("cache"),
            profile: &self.opts.profile,
            logs: &self.folder.join("logs"),
            limit: Duration::from_secs(600),
        })
    }

    fn build(&self, project: &Project, target: &str) -> Result<f64> {
        command::time_build(
            &project.manifest(),
            &self.folder.join(target),
            &self.opts.profile,
        )
    }

    fn empty(&self, target: &str) -> Result<()> {
        let path = self.folder.join(target);
        if path.exists() {
            fs::remove_dir_all(&path)
                .with_context(|| format!("failed to empty `{}`", path.display()))?;
        }
        Ok(())
    }

    fn pause(&self) {
        thread::sleep(Duration::from_millis(self.opts.pause));
    }

    fn progress(&self, text: &str) {
        let name = self
            .folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        report::progress(&format!("{name}: {text}"));
    }
}

fn last(samples: &Samples) -> String {
    samples
        .last()
        .map_or_else(|| "?".to_owned(), |value| format!("{value:.3} s"))
}

fn one_line() -> Program {
    let text =
        format!("fn main() {{ let marker: u64 = {FIRST_MARKER}; println!(\"{{marker}}\"); }}\n");
    Program {
        files: vec![("main.rs".into(), text)],
        step: "main.rs".into(),
    }
}
