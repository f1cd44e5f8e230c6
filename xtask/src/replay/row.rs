//! What one save came to: a row of the table.

use serde_json::{Value, json};

use crate::replay::plain::Answer;
use crate::statistics;

/// What became of a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Patched,
    Unchanged,
    Refused,
    Broken,
    /// Nothing was said within the limit.
    Silent,
    /// The program or the tool ended instead.
    Died,
    /// No session could be had for it.
    NotRun,
    /// It touches nothing that the program is made of.
    Outside,
}

impl Verdict {
    pub fn of(event: &str) -> Option<Self> {
        Some(match event {
            "patched" => Self::Patched,
            "unchanged" => Self::Unchanged,
            "refused" => Self::Refused,
            "broken" => Self::Broken,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Patched => "patched",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Broken => "broken",
            Self::Silent => "no-verdict",
            Self::Died => "died",
            Self::NotRun => "not-run",
            Self::Outside => "outside",
        }
    }

    /// Whether the program is said to be what the source is.
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Patched | Self::Unchanged)
    }

    /// Whether the save was made while a program ran.
    pub fn is_replayed(self) -> bool {
        !matches!(self, Self::NotRun | Self::Outside)
    }
}

/// A line that is answered in two ways.
#[derive(Debug, Clone)]
pub struct Difference {
    pub line: String,
    pub live: Answer,
    pub fresh: Answer,
}

#[derive(Debug, Clone)]
pub struct Row {
    pub commit: String,
    pub subject: String,
    /// File and number, where hunks are saved one by one.
    pub hunk: Option<String>,
    pub verdict: Verdict,
    /// A refusal's code.
    pub code: String,
    /// What was said about it.
    pub message: String,
    /// Milliseconds from the save to the verdict.
    pub wall_ms: Option<f64>,
    /// The tool's own account of them.
    pub total_ms: Option<f64>,
    /// Milliseconds from the save until the exact lane confirmed a patch of the fast one.
    pub confirmed_ms: Option<f64>,
    /// Milliseconds of the `cargo build` beside it, if the tree builds.
    pub build_ms: Option<f64>,
    /// Whether the tree builds, if that is known.
    pub builds: Option<bool>,
    /// Whether that build came right after one of the tree before.
    pub is_warm: bool,
    /// The lines that are answered otherwise, if answers were compared.
    pub differences: Option<Vec<Difference>>,
    /// Seconds that a session took to start, if one was started for this row.
    pub start_s: Option<f64>,
    /// The tool's event.
    pub event: Value,
}

impl Row {
    pub fn new(commit: &str, subject: &str, hunk: Option<String>, verdict: Verdict) -> Self {
        Self {
            commit: commit.to_owned(),
            subject: subject.to_owned(),
            hunk,
            verdict,
            code: String::new(),
            message: String::new(),
            wall_ms: None,
            total_ms: None,
            confirmed_ms: None,
            build_ms: None,
            builds: None,
            is_warm: false,
            differences: None,
            start_s: None,
            event: Value::Null,
        }
    }

    /// Which lane made the patch; nothing if that was not said.
    pub fn lane(&self) -> &str {
        self.event["lane"].as_str().unwrap_or_default()
    }

    /// Save to verdict, divided by the build.
    pub fn ratio(&self) -> Option<f64> {
        statistics::ratio(self.wall_ms, self.build_ms.filter(|_| self.is_warm))
    }

    pub fn is_wrong(&self) -> bool {
        self.differences
            .as_ref()
            .is_some_and(|list| !list.is_empty())
    }

    pub fn short(&self) -> &str {
        self.commit.get(..9).unwrap_or(&self.commit)
    }

    /// The commit, and the hunk if there is one.
    pub fn place(&self) -> String {
        match &self.hunk {
            Some(hunk) => format!("{} {hunk}", self.short()),
            None => self.short().to_owned(),
        }
    }

    pub fn heading() -> String {
        format!(
            "{:<9} {:<16} {:>8} {:>8} {:>6}  {:<9} subject",
            "commit", "verdict", "ms", "build ms", "ratio", "output"
        )
    }

    pub fn line(&self) -> String {
        let verdict = format!("{} {}", self.verdict.name(), self.code);
        let output = match (&self.differences, self.builds) {
            (Some(list), _) if list.is_empty() => "same",
            (Some(_), _) => "DIFFERENT",
            (None, Some(false)) => "no build",
            (None, _) => "-",
        };
        let ratio = self.ratio().map(|ratio| format!("{ratio:.3}"));
        let hunk = self.hunk.as_ref().map(|hunk| format!("{hunk}: "));
        format!(
            "{:<9} {:<16} {:>8} {:>8} {:>6}  {output:<9} {}{}",
            self.short(),
            verdict.trim_end(),
            number(self.wall_ms),
            number(self.build_ms),
            ratio.as_deref().unwrap_or("-"),
            hunk.unwrap_or_default(),
            self.subject
        )
    }

    pub fn json(&self) -> Value {
        let differences = self.differences.as_ref().map(|list| {
            let list = list.iter().map(|difference| {
                json!({
                    "line": difference.line,
                    "live": text(&difference.live),
                    "fresh": text(&difference.fresh),
                })
            });
            list.collect::<Vec<_>>()
        });
        json!({
            "commit": self.commit,
            "subject": self.subject,
            "hunk": self.hunk,
            "verdict": self.verdict.name(),
            "code": self.code,
            "message": self.message,
            "wall_ms": self.wall_ms,
            "total_ms": self.total_ms,
            "confirmed_ms": self.confirmed_ms,
            "build_ms": self.build_ms,
            "ratio": self.ratio(),
            "builds": self.builds,
            "same_output": self.differences.as_ref().map(Vec::is_empty),
            "differences": differences,
            "session_start_s": self.start_s,
            "event": self.event,
        })
    }
}

/// A reply, or in brackets why there is none.
pub fn text(answer: &Answer) -> String {
    match answer {
        Ok(reply) => reply.clone(),
        Err(reason) => format!("[{reason}]"),
    }
}

pub fn number(ms: Option<f64>) -> String {
    ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0}"))
}
