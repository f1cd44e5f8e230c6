//! `cargo xtask random`: random edits of random programs, as many as one likes.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;
use hotpatch_tests::random::{self, RandomOptions, edit::KINDS};

#[derive(Debug, Args)]
pub struct RandomOpts {
    /// Everything follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The number of the first program, to come back to one
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// How many edits in all.
    #[arg(long, default_value_t = 500)]
    edits: u64,
    /// How many edits one program lives through.
    #[arg(long, default_value_t = 40)]
    each: u64,
    /// How many programs run at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// How many programs run under valgrind.
    #[arg(long, default_value_t = 0)]
    valgrind: u64,
    /// Only these kinds of edits.
    #[arg(long, value_delimiter = ',')]
    kinds: Vec<String>,
    /// All kinds but these.
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Where findings are kept.
    #[arg(long, default_value = "target/random-findings")]
    keep: PathBuf,
    /// Tell each edit.
    #[arg(long, short)]
    verbose: bool,
    /// List the kinds of edits.
    #[arg(long)]
    list: bool,
    /// Only write the program of this seed into the folder of `--keep`.
    #[arg(long)]
    write: Option<u64>,
}

pub fn run(opts: &RandomOpts) -> Result<()> {
    if opts.list {
        for kind in KINDS {
            println!("{}", kind.name);
        }
        return Ok(());
    }
    if let Some(seed) = opts.write {
        return random::write_program(&opts.keep, seed);
    }
    let options = RandomOptions {
        seed: opts.seed,
        first: opts.first,
        edits: opts.edits,
        each: opts.each,
        jobs: opts.jobs,
        valgrind: opts.valgrind,
        kinds: opts.kinds.clone(),
        without: opts.without.clone(),
        keep: opts.keep.clone(),
    };
    let start = Instant::now();
    let verbose = opts.verbose;
    let tell = |line: &str| {
        if verbose || line.starts_with("FINDING") {
            println!("{line}");
        }
    };
    let report = random::run(&options, &tell)?;
    println!("{report}in {:.0} s", start.elapsed().as_secs_f64());
    ensure!(
        report.findings.is_empty(),
        "{} findings",
        report.findings.len()
    );
    Ok(())
}
