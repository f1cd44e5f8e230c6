//! What `cargo hotpatch doctor` says: checks and functions, for people and as JSON lines, on standard output.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::page;
use super::terminal::Terminal;
use crate::args::MessageFormat;
use crate::doctor::{Tried, Verdict};

/// Writes the findings.
#[derive(Debug)]
pub struct Account {
    terminal: Terminal,
    format: MessageFormat,
}

impl Account {
    /// In this format.
    #[must_use]
    pub fn new(terminal: Terminal, format: MessageFormat) -> Self {
        Self { terminal, format }
    }

    /// What became of trying each function.
    pub fn functions(&self, tried: &[Tried]) {
        let mut text = String::new();
        let (mut good, mut none) = (0, 0);
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for one in tried {
            match &one.verdict {
                Verdict::Patchable => good += 1,
                Verdict::NoCode => none += 1,
                Verdict::Refused(refusal) => {
                    let why = format!("{} {}", refusal.message, refusal.reasons.join("; "));
                    groups.entry(generalised(&why)).or_default().push(format!(
                        "{}:{} {} | {why}",
                        one.file.display(),
                        one.place.line,
                        one.name
                    ));
                }
            }
        }
        let _ = writeln!(text, "good {good} none {none} of {}", tried.len());
        for (group, members) in groups {
            let _ = writeln!(text, "== {} {group}", members.len());
            for member in members {
                let _ = writeln!(text, "   {member}");
            }
        }
        page::print(&text);
    }
}

fn generalised(text: &str) -> String {
    text.split('`').step_by(2).collect::<Vec<_>>().join("`…`")
}

/// A bar while functions are tried, on a terminal only.
#[derive(Debug)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// Shows nothing until it is told where things are.
    #[must_use]
    pub fn new(terminal: Terminal, quiet: bool) -> Self {
        let bar = (terminal.is_terminal && !quiet).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let template = if terminal.color {
                "{prefix:>12.cyan.bold} [{bar:25}] {pos}/{len} {msg}"
            } else {
                "{prefix:>12} [{bar:25}] {pos}/{len} {msg}"
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix("Trying");
            bar
        });
        Self(bar)
    }

    /// So many are done, of so many.
    pub fn at(&self, done: usize, of: usize) {
        if let Some(bar) = &self.0 {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
