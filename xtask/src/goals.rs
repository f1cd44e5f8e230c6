//! The figures that the project set itself, and whether the measured ones keep within them.

use crate::bench::Measured;
use crate::statistics::{Samples, ratio};

/// One figure beside its limit.
#[derive(Debug)]
pub struct Goal {
    pub name: String,
    pub limit: f64,
    pub measured: Option<f64>,
    pub unit: &'static str,
}

impl Goal {
    pub fn verdict(&self) -> &'static str {
        match self.measured {
            None => "not measured",
            Some(value) if value <= self.limit => "pass",
            Some(_) => "**miss**",
        }
    }
}

/// The goals for edits; those of sizes that were not run come out as not measured.
pub fn of_edits(all: &[Measured]) -> Vec<Goal> {
    let size = |lines: usize| {
        all.iter()
            .find(|one| one.lines.abs_diff(lines) * 10 < lines)
    };
    let (small, large, huge) = (size(1_000), size(40_000), size(100_000));
    let latency = |one: Option<&Measured>| one.and_then(|one| one.latency().median());
    let median = |one: Option<&Measured>, of: fn(&Measured) -> &Samples| {
        one.and_then(|one| of(one).median())
    };
    let goal = |name: &str, limit: f64, unit, measured| Goal {
        name: name.to_owned(),
        limit,
        measured,
        unit,
    };
    let growth = large.and_then(|one| one.growth(|memory| memory.proportional));
    let mut goals = vec![
        goal(
            "1 k lines: save to new code, in `cargo build`s of an edited one-line program",
            1.4,
            "×",
            ratio(latency(small), median(small, |one| &one.one_line)),
        ),
        goal(
            "40 k lines: save to new code, in `cargo build`s of the same edit",
            0.125,
            "×",
            ratio(latency(large), median(large, |one| &one.builds)),
        ),
        goal(
            "40 k lines beside 1 k lines",
            2.0,
            "×",
            ratio(latency(large), latency(small)),
        ),
        goal(
            "100 k lines beside 1 k lines",
            2.5,
            "×",
            ratio(latency(huge), latency(small)),
        ),
        goal(
            "40 k lines: patch file",
            300.0,
            "kB",
            large
                .and_then(|one| one.bytes().median())
                .map(|bytes| bytes / 1e3),
        ),
        goal(
            "40 k lines: growth of the program for each patch",
            500.0,
            "kB",
            growth.map(|kib| kib * 1.024),
        ),
    ];
    for one in all {
        let lines = one.lines;
        let ready = one.ready_after_program.median();
        goals.push(goal(
            &format!("{lines} lines: `ready` after the start of the built program"),
            0.5,
            "s",
            ready,
        ));
        for (what, start) in [
            ("a project's first start", &one.cold_program),
            ("the first start of all", &one.first_of_all),
        ] {
            let first = ratio(start.median(), one.cold_build.median());
            goals.push(goal(
                &format!("{lines} lines: {what} until the program runs, in cold `cargo build`s"),
                1.1,
                "×",
                first,
            ));
        }
    }
    goals
}
