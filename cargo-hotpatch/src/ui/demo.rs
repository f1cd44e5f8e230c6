//! What `cargo hotpatch demo` says, beside what the session itself says.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::paint::{Hue, Paint};
use super::report::{Report, Verbosity, time};
use super::terminal::Terminal;

/// Where text stands that belongs to the line above it.
const INDENT: &str = "             ";

/// A piece of an edit: lines that go and lines that come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The line before, where it says what the others are part of.
    pub inside: Option<String>,
    /// Lines that are gone.
    pub old: Vec<String>,
    /// Lines that are new.
    pub new: Vec<String>,
}

impl Step {
    /// The difference of two texts, without the lines they begin and end with alike.
    #[must_use]
    pub fn new(from: &str, to: &str) -> Self {
        let mut old: Vec<&str> = from.lines().collect();
        let mut new: Vec<&str> = to.lines().collect();
        let mut inside = None;
        while !old.is_empty() && old.first() == new.first() {
            inside = Some(old.remove(0)).filter(|line| line.ends_with('{'));
            new.remove(0);
        }
        while !old.is_empty() && old.last() == new.last() {
            old.pop();
            new.pop();
        }
        let owned = |lines: Vec<&str>| lines.into_iter().map(str::to_owned).collect();
        Self {
            inside: inside.map(str::to_owned),
            old: owned(old),
            new: owned(new),
        }
    }
}

/// The lines of an edit, old before new.
#[must_use]
pub fn render_edit(paint: Paint, number: usize, of: usize, what: &str, steps: &[Step]) -> String {
    let mut text = String::from("\n");
    text += &paint.verb(Hue::Cyan, "Edit", &format!("{number} of {of}: {what}"));
    for step in steps {
        let lines = || {
            step.inside
                .iter()
                .chain(&step.old)
                .chain(&step.new)
                .filter(|line| !line.trim().is_empty())
        };
        let indent = lines()
            .map(|line| line.len() - line.trim_start().len())
            .min()
            .unwrap_or(0);
        // Blank lines around a new function say nothing here.
        let shown = |lines: &[String], sign: &str| -> String {
            let lines = lines.iter().filter(|line| !line.trim().is_empty());
            let lines = lines.map(|line| line.get(indent..).unwrap_or_default());
            let lines = lines.map(|line| match sign {
                "-" => paint.colored(Hue::Red, &format!("- {line}")),
                "+" => paint.colored(Hue::Green, &format!("+ {line}")),
                _ => format!("  {line}"),
            });
            lines.map(|line| format!("{INDENT}{line}\n")).collect()
        };
        text += &shown(step.inside.as_slice(), " ");
        text += &shown(&step.old, "-");
        text += &shown(&step.new, "+");
    }
    text
}

/// `84 ms, 80 ms and 95 ms`.
fn enumerate(times: &[Duration]) -> String {
    let words: Vec<String> = times.iter().map(|duration| time(*duration)).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => "no time".to_owned(),
    }
}

/// Prints the demo.
#[derive(Debug)]
pub struct Show {
    report: Report,
}

impl Show {
    /// Prints to standard error, and the program's lines to standard output.
    #[must_use]
    pub fn new(terminal: Terminal) -> Self {
        Self {
            report: Report::new(terminal, Verbosity::Normal),
        }
    }

    fn verb(&self, hue: Hue, verb: &str, text: &str) {
        self.report.text(&self.report.paint().verb(hue, verb, text));
    }

    /// A line of the program.
    pub fn program(&self, line: &str) {
        let mut stdout = io::stdout().lock();
        let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    }

    /// The example was copied.
    pub fn copied(&self, source: &Path) {
        let text = format!("the example `counter` to {}", source.display());
        self.verb(Hue::Green, "Copied", &text);
        self.verb(Hue::Green, "Starting", "it with `cargo hotpatch run`");
    }

    /// An edit was made.
    pub fn edit(&self, number: usize, of: usize, what: &str, steps: &[Step]) {
        self.report
            .text(&render_edit(self.report.paint(), number, of, what, steps));
    }

    /// The program went on where it was; each state is the ticks and the total.
    pub fn kept(&self, before: (u64, u64), now: (u64, u64), pid: u32) {
        let text = format!(
            "its state: tick {} → {}, total {} → {}, still process {pid}",
            before.0, now.0, before.1, now.1
        );
        self.verb(Hue::Green, "Kept", &text);
    }

    /// All edits went live, and there is nobody to invite.
    pub fn done(&self, times: &[Duration], ticks: u64) {
        let text = format!(
            "{} edits went live, in {}; the counter is at tick {ticks} and was never started anew",
            times.len(),
            enumerate(times)
        );
        self.report.text("\n");
        self.verb(Hue::Green, "Done", &text);
    }

    /// The person may edit now.
    pub fn invite(&self, source: &Path) {
        self.report.text("\n");
        self.verb(
            Hue::Cyan,
            "Your turn",
            "Open this file in an editor, change it and save:",
        );
        let paint = self.report.paint();
        let path = paint.colored(Hue::Cyan, &source.display().to_string());
        self.report.text(&format!(
            "{INDENT}{path}\n\
             {INDENT}Try what `step` prints, or what `points` gives. An error is fine as well: the old code\n\
             {INDENT}runs on until the next good save. Ctrl-C ends the demo.\n\n"
        ));
    }

    /// The invitation has scrolled away.
    pub fn remind(&self, source: &Path) {
        let text = format!("{INDENT}edit {} (Ctrl-C ends the demo)\n", source.display());
        self.report.text(&self.report.paint().dim(&text));
    }

    /// It is over; `kept` is the folder if it stays, `by_hand` whether somebody's `^C` stands in the line.
    pub fn ended(&self, kept: Option<&Path>, by_hand: bool) {
        if by_hand {
            self.report.text("\n");
        }
        match kept {
            Some(folder) => {
                self.verb(
                    Hue::Green,
                    "Left",
                    &format!("the copy in {}", folder.display()),
                );
            }
            None => self.verb(Hue::Green, "Removed", "the copy (`--keep` leaves it)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_shows_what_differs() {
        let steps = [
            Step::new(
                "    a();\n    b();\n",
                "    a();\n    let x = 1;\n    c(x);\n",
            ),
            Step::new("fn one() {\n    1\n}\n", "fn one() {\n    2\n}\n"),
            Step::new("}\n", "}\n\nfn new() {}\n"),
        ];
        assert_eq!(
            render_edit(Paint { color: false }, 1, 3, "a helper", &steps),
            "\n        Edit 1 of 3: a helper
             - b();
             + let x = 1;
             + c(x);
               fn one() {
             -     1
             +     2
             + fn new() {}\n"
        );
    }

    #[test]
    fn times_are_enumerated() {
        let times: Vec<_> = [84, 80, 95].map(Duration::from_millis).into();
        assert_eq!(enumerate(&times), "84 ms, 80 ms and 95 ms");
        assert_eq!(enumerate(&times[..1]), "84 ms");
    }
}
