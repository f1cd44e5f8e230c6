//! What all rows come to. Shares are of the saves whose tree builds; the others are counted apart.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::replay::row::{Row, Verdict, number, text};
use crate::statistics::Samples;

fn patched(row: &Row) -> bool {
    row.verdict == Verdict::Patched
}

/// How long a message may be in the text; the JSON has all of it.
const LONGEST_MESSAGE: usize = 160;

/// Times of some rows.
#[derive(Debug, Default)]
pub struct Times {
    pub wall: Samples,
    pub total: Samples,
    pub confirmed: Samples,
    pub build: Samples,
    pub ratio: Samples,
}

#[derive(Debug)]
pub struct Summary<'a> {
    rows: &'a [Row],
    /// The saves whose tree builds, by verdict.
    pub builds: BTreeMap<Verdict, usize>,
    /// The saves whose tree does not build, by verdict.
    pub broken: BTreeMap<Verdict, usize>,
    /// What was not saved at all, by reason.
    pub left_out: BTreeMap<Verdict, usize>,
    /// The refusals' messages by code, each with how often it came.
    pub refusals: BTreeMap<&'a str, BTreeMap<&'a str, usize>>,
}

impl<'a> Summary<'a> {
    pub fn of(rows: &'a [Row]) -> Self {
        let mut summary = Self {
            rows,
            builds: BTreeMap::new(),
            broken: BTreeMap::new(),
            left_out: BTreeMap::new(),
            refusals: BTreeMap::new(),
        };
        for row in rows {
            let counts = if !row.verdict.is_replayed() {
                &mut summary.left_out
            } else if row.builds == Some(false) {
                &mut summary.broken
            } else {
                if row.verdict == Verdict::Refused {
                    let messages = summary.refusals.entry(&row.code).or_default();
                    *messages.entry(&row.message).or_default() += 1;
                }
                &mut summary.builds
            };
            *counts.entry(row.verdict).or_default() += 1;
        }
        summary
    }

    fn replayed(&self) -> usize {
        self.builds.values().sum()
    }

    fn share(&self, count: usize) -> f64 {
        count as f64 / self.replayed().max(1) as f64
    }

    /// The rows that count for times: accepted, and their tree builds.
    fn accepted(&self) -> impl Iterator<Item = &'a Row> {
        let rows = self.rows.iter();
        rows.filter(|row| row.verdict.is_accepted() && row.builds == Some(true))
    }

    pub fn times(&self, is_meant: impl Fn(&Row) -> bool) -> Times {
        let mut times = Times::default();
        for row in self.accepted().filter(|row| is_meant(row)) {
            let pairs = [
                (&mut times.wall, row.wall_ms),
                (&mut times.total, row.total_ms),
                (&mut times.confirmed, row.confirmed_ms),
                (&mut times.build, row.build_ms.filter(|_| row.is_warm)),
                (&mut times.ratio, row.ratio()),
            ];
            for (samples, value) in pairs {
                value.into_iter().for_each(|value| samples.push(value));
            }
        }
        times
    }

    fn greatest(&self) -> Option<(&'a Row, f64)> {
        let ratios = self.accepted().filter_map(|row| Some((row, row.ratio()?)));
        ratios.max_by(|(_, one), (_, other)| one.total_cmp(other))
    }

    pub fn wrong(&self) -> Vec<&'a Row> {
        self.rows.iter().filter(|row| row.is_wrong()).collect()
    }

    /// Said to run although the source does not build.
    fn accepted_broken(&self) -> Vec<&'a Row> {
        let rows = self.rows.iter();
        rows.filter(|row| row.verdict.is_accepted() && row.builds == Some(false))
            .collect()
    }

    pub fn text(&self) -> String {
        let mut out = format!(
            "\n{} saves whose tree builds, replayed in a session:\n",
            self.replayed()
        );
        for (verdict, count) in &self.builds {
            let share = self.share(*count) * 100.0;
            let name = match verdict {
                Verdict::Broken => "broken, though it builds",
                other => other.name(),
            };
            let _ = writeln!(out, "  {count:>4}  {share:>5.1} %  {name}");
        }
        if !self.broken.is_empty() {
            let _ = writeln!(out, "and whose tree does not build: {}", told(&self.broken));
        }
        if !self.left_out.is_empty() {
            let _ = writeln!(out, "left out: {}", told(&self.left_out));
        }
        for (code, messages) in &self.refusals {
            let count: usize = messages.values().sum();
            let _ = writeln!(out, "refused {code}: {count}");
            for (message, count) in messages {
                let _ = writeln!(out, "  {count:>4}  {}", shortened(message));
            }
        }
        let of_lane = |lane| self.times(move |row: &Row| row.lane() == lane);
        let groups: [(&str, Times); 4] = [
            ("patched by the fast lane", of_lane("fast")),
            ("patched by the exact lane alone", of_lane("exact")),
            ("patched", self.times(patched)),
            (
                "patched or unchanged",
                self.times(|row| row.verdict.is_accepted()),
            ),
        ];
        for (name, times) in groups {
            let name = format!("{name} ({})", times.wall.len());
            let ratio = times.ratio.median();
            let _ = writeln!(
                out,
                "{name}, medians: save to verdict {} ms (the tool's total {} ms, confirmed after {} ms), cargo build {} ms, \
                 ratio {}",
                number(times.wall.median()),
                number(times.total.median()),
                number(times.confirmed.median()),
                number(times.build.median()),
                ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}"))
            );
        }
        if let Some((row, ratio)) = self.greatest() {
            let _ = writeln!(out, "greatest ratio {ratio:.3}: {}", row.place());
        }
        for row in self.accepted_broken() {
            let _ = writeln!(
                out,
                "{} though `cargo build` fails: {}",
                row.verdict.name(),
                row.place()
            );
        }
        let wrong = self.wrong();
        let _ = writeln!(out, "wrong outputs: {}", wrong.len());
        for row in wrong {
            let _ = writeln!(out, "  {} {}", row.place(), row.subject);
            for difference in row.differences.iter().flatten() {
                let _ = writeln!(out, "    line  {}", shortened(&difference.line));
                let _ = writeln!(out, "    live  {}", shortened(&text(&difference.live)));
                let _ = writeln!(out, "    fresh {}", shortened(&text(&difference.fresh)));
            }
        }
        out
    }

    pub fn json(&self) -> Value {
        let counts = |counts: &BTreeMap<Verdict, usize>| -> BTreeMap<&str, usize> {
            let counts = counts.iter();
            counts
                .map(|(verdict, count)| (verdict.name(), *count))
                .collect()
        };
        let shares = self.builds.iter();
        let shares: BTreeMap<&str, f64> = shares
            .map(|(verdict, count)| (verdict.name(), self.share(*count)))
            .collect();
        let medians = |times: &Times| {
            json!({
                "count": times.wall.len(),
                "wall_ms": times.wall.median(),
                "total_ms": times.total.median(),
                "confirmed_ms": times.confirmed.median(),
                "build_ms": times.build.median(),
                "ratio": times.ratio.median(),
            })
        };
        json!({
            "replayed": self.replayed(),
            "counts": counts(&self.builds),
            "shares": shares,
            "tree_does_not_build": counts(&self.broken),
            "left_out": counts(&self.left_out),
            "refusals": self.refusals,
            "patched": medians(&self.times(patched)),
            "fast": medians(&self.times(|row| row.lane() == "fast")),
            "accepted": medians(&self.times(|row| row.verdict.is_accepted())),
            "greatest_ratio": self.greatest().map(|(row, ratio)| json!({"place": row.place(), "ratio": ratio})),
            "accepted_though_broken": self.accepted_broken().iter().map(|row| row.place()).collect::<Vec<_>>(),
            "wrong_outputs": self.wrong().len(),
        })
    }
}

fn told(counts: &BTreeMap<Verdict, usize>) -> String {
    let counts = counts
        .iter()
        .map(|(verdict, count)| format!("{count} {}", verdict.name()));
    counts.collect::<Vec<_>>().join(", ")
}

fn shortened(text: &str) -> String {
    let line = text.replace('\n', " ");
    match line.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::row::Difference;

    fn row(verdict: Verdict, wall: f64, build: Option<f64>) -> Row {
        Row {
            wall_ms: Some(wall),
            build_ms: build,
            builds: Some(build.is_some()),
            is_warm: true,
            ..Row::new("0123456789ab", "a subject", None, verdict)
        }
    }

    #[test]
    fn shares_are_of_trees_that_build() {
        let refused = Row {
            code: "HP0101".into(),
            message: "a type".into(),
            ..row(Verdict::Refused, 9.0, Some(1000.0))
        };
        let rows = [
            row(Verdict::Patched, 100.0, Some(1000.0)),
            row(Verdict::Patched, 300.0, Some(1000.0)),
            row(Verdict::Unchanged, 20.0, Some(400.0)),
            refused,
            row(Verdict::Broken, 50.0, None),
            Row::new("f", "docs", None, Verdict::Outside),
        ];
        let summary = Summary::of(&rows);
        assert_eq!(summary.replayed(), 4);
        assert_eq!(summary.builds[&Verdict::Patched], 2);
        assert_eq!(summary.broken[&Verdict::Broken], 1);
        assert_eq!(summary.left_out[&Verdict::Outside], 1);
        assert_eq!(summary.refusals["HP0101"]["a type"], 1);
        let patched = summary.times(patched);
        assert_eq!(patched.wall.median(), Some(200.0));
        assert_eq!(patched.ratio.median(), Some(0.2));
        let accepted = summary.times(|row| row.verdict.is_accepted());
        assert_eq!(accepted.ratio.median(), Some(0.1));
        assert_eq!(summary.greatest().map(|(_, ratio)| ratio), Some(0.3));
        let text = summary.text();
        assert!(text.contains("   2   50.0 %  patched\n"), "{text}");
        assert!(text.contains("does not build: 1 broken\n"), "{text}");
        assert!(text.contains("wrong outputs: 0\n"), "{text}");
    }

    #[test]
    fn a_cold_build_makes_no_ratio() {
        let cold = Row {
            is_warm: false,
            ..row(Verdict::Patched, 100.0, Some(9000.0))
        };
        let rows = [cold];
        let summary = Summary::of(&rows);
        assert_eq!(summary.times(|_| true).ratio.len(), 0);
        assert!(summary.greatest().is_none());
    }

    #[test]
    fn wrong_outputs_are_listed() {
        let difference = Difference {
            line: "1 + 1".into(),
            live: Ok("3".into()),
            fresh: Ok("2".into()),
        };
        let wrong = Row {
            differences: Some(vec![difference]),
            ..row(Verdict::Unchanged, 10.0, Some(100.0))
        };
        let accepted = row(Verdict::Patched, 10.0, None);
        let rows = [wrong, accepted];
        let text = Summary::of(&rows).text();
        assert!(text.contains("wrong outputs: 1\n"), "{text}");
        assert!(
            text.contains("line  1 + 1\n    live  3\n    fresh 2\n"),
            "{text}"
        );
        assert!(
            text.contains("patched though `cargo build` fails: 012345678\n"),
            "{text}"
        );
    }
}
