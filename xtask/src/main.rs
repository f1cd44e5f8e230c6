//! Tasks of the project that are no part of the tool; `cargo xtask help` lists them.

#![forbid(unsafe_code)]

mod bench;
mod child;
mod command;
mod generate;
mod goals;
mod hotcall;
mod kinds;
mod machine;
mod page;
mod project;
mod random;
mod replay;
mod report;
mod statistics;
mod workplace;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    about = "Tasks of the project that are no part of the tool"
)]
struct Opts {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Time edits of generated programs under `cargo hotpatch`, beside `cargo build`.
    Bench(bench::BenchOpts),
    /// Time edits of every kind under `cargo hotpatch`, beside `cargo build`.
    BenchKinds(kinds::KindsOpts),
    /// Time a call of a hot function beside a direct call.
    BenchCall(hotcall::CallOpts),
    /// Edit random programs at random under the tool, judged by fresh builds.
    Random(random::RandomOpts),
    /// Replay a repository's commits under the tool, beside `cargo build`.
    Replay(replay::ReplayOpts),
    /// Write one of the generated programs into a folder, to look at it.
    Generate {
        folder: PathBuf,
        #[arg(long, default_value_t = 1_000)]
        lines: usize,
        #[arg(long, default_value_t = 7)]
        seed: u64,
    },
}

fn main() -> Result<()> {
    match Opts::parse().task {
        Task::Bench(opts) => bench::run(&opts),
        Task::BenchKinds(opts) => kinds::run(&opts),
        Task::BenchCall(opts) => hotcall::run(&opts),
        Task::Random(opts) => random::run(&opts),
        Task::Replay(opts) => replay::run(&opts),
        Task::Generate {
            folder,
            lines,
            seed,
        } => {
            let program = generate::program(lines, seed);
            let runtime = command::workspace().join("hotpatch-rt");
            project::Project::write(&folder, "bench_app", &program, Some(&runtime))?;
            Ok(())
        }
    }
}
