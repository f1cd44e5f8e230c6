//! What came of a run, in numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::outcome::Outcome;

/// The counts of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Programs that were started.
    pub programs: u64,
    /// Edits that were saved.
    pub edits: u64,
    /// How often a kind got a verdict.
    pub verdicts: BTreeMap<(String, String), u64>,
    /// Codes of notes.
    pub notes: BTreeMap<String, u64>,
    /// Replies that were compared with a fresh build's.
    pub compared: u64,
    /// Replies that a note excused.
    pub excused: u64,
    /// Why edits were refused.
    pub reasons: BTreeMap<String, u64>,
    /// Seconds until the verdicts, and until they were judged.
    pub took: (f64, f64),
    /// What was wrong.
    pub findings: Vec<String>,
    /// Edits that do not compile though they should; these say something about the generator only.
    pub invalid: u64,
}

impl Report {
    /// Counts an edit.
    pub fn count(&mut self, kind: &str, outcome: &Outcome) {
        if outcome.verdict == "no change" {
            return;
        }
        self.edits += 1;
        // Edits made of several have a line of their own, whatever they are.
        let kind = if kind.contains('+') { "several" } else { kind };
        *self
            .verdicts
            .entry((kind.to_owned(), outcome.verdict.clone()))
            .or_default() += 1;
        for code in &outcome.notes {
            *self.notes.entry(code.clone()).or_default() += 1;
        }
        if !outcome.reason.is_empty() {
            let reason = format!("{}: {}", outcome.verdict, outcome.reason);
            *self.reasons.entry(reason).or_default() += 1;
        }
        self.took.0 += outcome.took.0;
        self.took.1 += outcome.took.1;
        self.compared += u64::from(outcome.compared.0);
        self.excused += u64::from(outcome.compared.1);
        self.invalid += u64::from(outcome.invalid.is_some());
    }

    /// How often a verdict came.
    pub fn verdict(&self, verdict: &str) -> u64 {
        self.verdicts
            .iter()
            .filter(|((_, name), _)| name == verdict)
            .map(|(_, count)| count)
            .sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdicts: BTreeSet<&String> =
            self.verdicts.keys().map(|(_, verdict)| verdict).collect();
        let kinds: BTreeSet<&String> = self.verdicts.keys().map(|(kind, _)| kind).collect();
        write!(out, "{:22}", "kind")?;
        for verdict in &verdicts {
            write!(out, "{verdict:>10}")?;
        }
        for kind in kinds {
            write!(out, "\n{kind:22}")?;
            for verdict in &verdicts {
                let key = (kind.clone(), (*verdict).clone());
                match self.verdicts.get(&key) {
                    Some(count) => write!(out, "{count:>10}")?,
                    None => write!(out, "{:>10}", "")?,
                }
            }
        }
        write!(out, "\n{:22}", "all")?;
        for verdict in &verdicts {
            write!(out, "{:>10}", self.verdict(verdict))?;
        }
        writeln!(
            out,
            "\n{} edits of {} programs; {} replies compared, {} excused by notes {:?}; {} invalid",
            self.edits, self.programs, self.compared, self.excused, self.notes, self.invalid
        )?;
        let each = |seconds: f64| seconds / self.edits.max(1) as f64;
        writeln!(
            out,
            "{:.2} s an edit until the verdict, {:.2} s to judge it",
            each(self.took.0),
            each(self.took.1)
        )?;
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (reason, count) in reasons.iter().take(40) {
            writeln!(out, "{count:>6} {reason}")?;
        }
        for finding in &self.findings {
            writeln!(out, "FINDING {finding}")?;
        }
        Ok(())
    }
}
