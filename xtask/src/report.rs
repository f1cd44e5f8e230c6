//! Every line that the tasks print: progress to stderr, results as Markdown to stdout.

use std::env;
use std::fmt::Write as _;
use std::io::{self, Write};

use crate::bench::Measured;
use crate::goals::{self, Goal};
use crate::statistics::{Samples, ratio};
use crate::{hotcall, kinds, machine};

pub const CALLS_HEADING: &str = "## A call of a hot function";

const PHASES: [&str; 8] = [
    "settle", "plan", "scope", "compile", "check", "link", "load", "total",
];

pub fn progress(text: &str) {
    // Nobody is left to tell when stderr is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

pub fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

pub fn edits_heading(profile: &str) -> String {
    format!("## From save to new code, `{profile}` profile")
}

/// The part of the page about edits.
pub fn edits(all: &[Measured], profile: &str) -> String {
    let mut out = format!("{}\n\n{}", edits_heading(profile), origin());
    out.push_str(
        "\nGenerated programs (`cargo xtask generate` writes one): one hot function in the middle, \
         and all else reachable from `main`. One edit changes a number in the hot function's body. \
         `cargo build` has its own copy and target folder and gets the same edit, in turns with \
         the patch. Figures are medians; least and greatest in parentheses.\n",
    );
    out.push_str("\n### Goals\n\n");
    out.push_str(&goal_table(&goals::of_edits(all)));
    out.push_str("\n### Edits\n\n");
    out.push_str(&edit_table(all));
    out.push_str(
        "\n- **saved to new code**: from just before the rename that saves the file to the \
         program's first line of output made by the new code.\n\
         - **`cargo build`**: wall time of the same edit, program not started.\n\
         - **of it**: the first divided by the second.\n\
         - **one line**: wall time of `cargo build` for a program of one line after an edit.\n",
    );
    out.push_str("\n### Phases\n\n");
    out.push_str(&phase_table(all));
    out.push_str(
        "\nMilliseconds, as the tool reports them in its `patched` event; **rest** is what \
         saved to new code has beyond `total`: the file event, and the next call.\n",
    );
    out.push_str("\n### Starts\n\n");
    out.push_str(&start_table(all));
    out.push_str(
        "\n- **cold build**: `cargo build` with an empty target folder.\n\
         - **cold start**: `cargo hotpatch run` with an empty target folder until the program's \
         first output; **cold ready**: until an edit can be patched.\n\
         - **first of all**: a cold start by a user who never used the tool before with this compiler: it compiles the \
         agent, which later projects take from the user's cache.\n\
         - **start**, **ready**: the same with everything built and unchanged.\n\
         - **ready after start**: from the program's first output to `ready`, everything built.\n",
    );
    out.push_str("\n### Size of a patch\n\n");
    out.push_str(&size_table(all));
    out.push_str(
        "\n- **file**: the patch's library.\n\
         - **Pss**, **private**: growth of the program's proportional and private memory for each \
         patch (`smaps_rollup` before the first and after the last patch, divided by their count).\n",
    );
    let failures = all
        .iter()
        .filter_map(|one| Some((one.lines, one.failure.as_ref()?)));
    for (lines, failure) in failures {
        out.push_str(&format!(
            "\n{lines} lines ended early:\n\n```text\n{failure}\n```\n"
        ));
    }
    out
}

/// The part of the page about calls.
pub fn calls(measured: &hotcall::Measured) -> String {
    let mut out = format!("{CALLS_HEADING}\n\n{}", origin());
    out.push_str(
        "\nAn optimised build calls a `#[hot]` function and an `#[inline(never)]` one with the same \
         body, each call waiting for the one before, in alternating batches of 10 million. Figures are \
         medians of rounds of 100 million calls, in nanoseconds a call.\n\n",
    );
    let mut rows = Vec::new();
    let mut goals = Vec::new();
    for (when, calls) in [
        ("before a patch", &measured.before),
        ("after a patch", &measured.after),
    ] {
        let (direct, hot) = (calls.direct.median(), calls.hot.median());
        let difference = direct.zip(hot).map(|(direct, hot)| hot - direct);
        let figure = |value: Option<f64>| number(value, 2, "");
        rows.push(vec![
            when.to_owned(),
            figure(direct),
            figure(hot),
            figure(difference),
        ]);
        goals.push(Goal {
            name: format!("hot call over direct call, {when}"),
            limit: 2.0,
            measured: difference,
            unit: "ns",
        });
    }
    out.push_str(&table(&["", "direct", "hot", "difference"], &rows));
    out.push('\n');
    out.push_str(&goal_table(&goals));
    if let Some(failure) = &measured.failure {
        out.push_str(&format!("\nEnded early:\n\n```text\n{failure}\n```\n"));
    }
    out
}

fn origin() -> String {
    let arguments: Vec<String> = env::args().skip(1).collect();
    format!(
        "- Command: `cargo xtask {}`\n- Machine: {}\n",
        arguments.join(" "),
        machine::describe()
    )
}

fn goal_table(goals: &[Goal]) -> String {
    let rows: Vec<Vec<String>> = goals
        .iter()
        .map(|goal| {
            let unit = format!(" {}", goal.unit);
            let limit = format!("{}{unit}", goal.limit);
            vec![
                goal.name.clone(),
                limit,
                number(goal.measured, 3, &unit),
                goal.verdict().to_owned(),
            ]
        })
        .collect();
    table(&["goal", "at most", "measured", "verdict"], &rows)
}

pub fn kinds_heading(profile: &str) -> String {
    format!("## Edits of every kind, `{profile}` profile")
}

/// The part of the page about kinds of edits, by lines of the program.
pub fn kinds(all: &[(usize, Vec<kinds::Measured>)], profile: &str) -> String {
    let mut out = format!("{}\n\n{}", kinds_heading(profile), origin());
    out.push_str(
        "\nGenerated programs as above, but without a mark and with three libraries above a fourth. Each edit is made \
         several times, in turns with `cargo build` of the same edit in a copy. Figures are medians; least and greatest in \
         parentheses. The goal is that no edit takes longer than `cargo build`.\n",
    );
    for (lines, measured) in all {
        let row = |one: &kinds::Measured| {
            let name = match one.refused {
                true => format!("{} (until it is refused)", one.name),
                false => one.name.to_owned(),
            };
            let lane = match one.fast {
                0 => "exact",
                count if count == one.latency.len() => "fast",
                _ => "both",
            };
            let verdict = match (&one.failure, one.ratio()) {
                (Some(failure), _) => failure.lines().next().unwrap_or_default().to_owned(),
                (None, Some(ratio)) if ratio > 1.0 => "**miss**".to_owned(),
                _ => "pass".to_owned(),
            };
            vec![
                name,
                lane.to_owned(),
                spread(&one.latency),
                spread(&one.confirmed),
                spread(&one.builds),
                number(one.ratio(), 2, ""),
                verdict,
                one.aside.clone().unwrap_or_default(),
            ]
        };
        let head = [
            "edit",
            "lane",
            "saved to new code",
            "confirmed",
            "`cargo build`",
            "of it",
            "goal",
            "why not fast",
        ];
        let rows: Vec<_> = measured.iter().map(row).collect();
        let _ = write!(out, "\n### {lines} lines\n\n{}", table(&head, &rows));
    }
    out
}

fn edit_table(all: &[Measured]) -> String {
    let row = |one: &Measured| {
        let latency = one.latency();
        let share = ratio(latency.median(), one.builds.median());
        vec![
            one.lines.to_string(),
            one.files.to_string(),
            latency.len().to_string(),
            spread(&latency),
            spread(&one.builds),
            number(share, 3, ""),
            spread(&one.one_line),
        ]
    };
    let head = [
        "lines",
        "files",
        "edits",
        "saved to new code",
        "`cargo build`",
        "of it",
        "one line",
    ];
    table(&head, &all.iter().map(row).collect::<Vec<_>>())
}

fn phase_table(all: &[Measured]) -> String {
    let row = |one: &Measured| {
        let mut cells = vec![one.lines.to_string()];
        cells.extend(
            PHASES
                .iter()
                .map(|name| number(one.phase(name).median(), 1, "")),
        );
        let rest: Samples = one
            .edits
            .iter()
            .filter_map(|edit| Some(edit.latency * 1e3 - edit.phases.get("total")?))
            .collect();
        cells.push(number(rest.median(), 1, ""));
        cells
    };
    let head: Vec<&str> = ["lines"]
        .into_iter()
        .chain(PHASES)
        .chain(["rest"])
        .collect();
    table(&head, &all.iter().map(row).collect::<Vec<_>>())
}

fn start_table(all: &[Measured]) -> String {
    let row = |one: &Measured| {
        let columns = [
            &one.cold_build,
            &one.cold_program,
            &one.cold_ready,
            &one.first_of_all,
            &one.warm_program,
            &one.warm_ready,
            &one.ready_after_program,
        ];
        let cells = columns.into_iter().map(spread);
        [one.lines.to_string()].into_iter().chain(cells).collect()
    };
    let head = [
        "lines",
        "cold build",
        "cold start",
        "cold ready",
        "first of all",
        "start",
        "ready",
        "ready after start",
    ];
    table(&head, &all.iter().map(row).collect::<Vec<_>>())
}

fn size_table(all: &[Measured]) -> String {
    let row = |one: &Measured| {
        vec![
            one.lines.to_string(),
            number(one.bytes().median().map(|bytes| bytes / 1e3), 1, " kB"),
            number(one.growth(|memory| memory.proportional), 0, " KiB"),
            number(one.growth(|memory| memory.private), 0, " KiB"),
        ]
    };
    table(
        &["lines", "file", "Pss", "private"],
        &all.iter().map(row).collect::<Vec<_>>(),
    )
}

/// Median seconds, with the range where there is one.
fn spread(samples: &Samples) -> String {
    match (samples.median(), samples.range()) {
        (Some(median), Some((least, greatest))) if samples.len() > 1 => {
            format!("{median:.3} s ({least:.3}–{greatest:.3})")
        }
        (median, _) => number(median, 3, " s"),
    }
}

fn number(value: Option<f64>, digits: usize, unit: &str) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}{unit}"))
}

fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        out.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    out
}
