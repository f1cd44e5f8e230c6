//! What `cargo hotpatch doctor` says, on standard output: checks, for people or as JSON lines.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};

use serde::Serialize;

use super::page;
use super::paint::{Hue, Paint};
use super::terminal::use_color;
use super::wrap::wrapped;
use crate::args::{Color, MessageFormat};
use crate::doctor::checks::{Finding, Level};
use crate::doctor::commits::Commit;
use crate::doctor::history::{Sums, Tried, Verdict};

/// Where the text of a line begins: behind the verb and a space.
const INDENT: usize = 13;

/// The width assumed where there is no terminal to ask.
const DEFAULT_WIDTH: usize = 100;

/// Writes the findings.
#[derive(Debug)]
pub struct Account {
    format: MessageFormat,
    style: Style,
    quiet: bool,
}

/// How a text for people looks.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Its colours.
    pub paint: Paint,
    /// Columns.
    pub width: usize,
}

impl Account {
    /// In this format; `quiet` leaves out what is well.
    #[must_use]
    pub fn new(format: MessageFormat, color: Option<Color>, quiet: bool) -> Self {
        Self {
            format,
            style: style_of_stdout(color),
            quiet,
        }
    }

    /// What was found by looking around.
    pub fn findings(&self, found: &[Finding]) {
        match self.format {
            MessageFormat::Human => {
                for finding in found.iter().filter(|f| !self.quiet || f.level != Level::Ok) {
                    page::print(&render_finding(self.style, finding));
                }
            }
            MessageFormat::Json => found.iter().for_each(|finding| line(&Line::of(finding))),
        }
    }

    /// What a commit would have led to.
    pub fn tried(&self, tried: &Tried) {
        match self.format {
            MessageFormat::Human => {
                let is_well = matches!(tried.verdict, Verdict::Live(_) | Verdict::Unchanged);
                if !self.quiet || !is_well {
                    page::print(&render_tried(self.style, tried));
                }
            }
            MessageFormat::Json => line(&Line::of_commit(tried)),
        }
    }

    /// What all of them came to.
    pub fn history(&self, sums: &Sums) {
        match self.format {
            MessageFormat::Human => {
                let text = wrapped(&history(sums), self.style.width, INDENT);
                page::print(&self.style.paint.verb(Hue::Cyan, "History", &text));
            }
            MessageFormat::Json => line(&Line::History {
                commits: sums.commits(),
                patched: sums.live,
                unchanged: sums.unchanged,
                refused: sums.refusals(),
                broken: sums.broken,
                untried: sums.untried,
            }),
        }
    }
}

/// A line of the report for programs.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    Check {
        topic: &'a str,
        level: &'static str,
        message: &'a str,
        advice: &'a str,
    },
    Commit {
        commit: &'a str,
        subject: &'a str,
        verdict: &'static str,
        functions: usize,
        code: Option<String>,
        message: Option<&'a str>,
        file: Option<String>,
        line: Option<usize>,
        ms: Option<f64>,
    },
    History {
        commits: usize,
        patched: usize,
        unchanged: usize,
        refused: usize,
        broken: usize,
        untried: usize,
    },
}

impl<'a> Line<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self::Check {
            topic: finding.topic,
            level: word(finding.level),
            message: &finding.text,
            advice: &finding.advice,
        }
    }

    fn of_commit(tried: &'a Tried) -> Self {
        let mut functions = 0;
        let (mut code, mut message, mut file, mut line) = (None, None, None, None);
        let verdict = match &tried.verdict {
            Verdict::Live(count) => {
                functions = *count;
                "patched"
            }
            Verdict::Unchanged => "unchanged",
            Verdict::Refused(refusal) => {
                code = Some(refusal.code.to_string());
                message = Some(refusal.message.as_str());
                file = Some(refusal.file.display().to_string());
                line = Some(refusal.place.line).filter(|line| *line > 0);
                "refused"
            }
            Verdict::Broken(error) => {
                message = Some(error);
                "broken"
            }
            Verdict::Untried(why) => {
                message = Some(why);
                "untried"
            }
        };
        Self::Commit {
            commit: &tried.commit.id,
            subject: &tried.commit.subject,
            verdict,
            functions,
            code,
            message,
            file,
            line,
            ms: tried.took.map(|took| took.as_secs_f64() * 1e3),
        }
    }
}

fn line(line: &Line<'_>) {
    // Nothing in a line is a map with keys that JSON cannot have.
    if let Ok(text) = serde_json::to_string(line) {
        page::print(&(text + "\n"));
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Ok => "ok",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

/// `      Ok toolchain: rustc 1.95.0`, and below what to do.
#[must_use]
pub fn render_finding(style: Style, finding: &Finding) -> String {
    let (hue, verb) = match finding.level {
        Level::Ok => (Hue::Green, "Ok"),
        Level::Warning => (Hue::Yellow, "Warning"),
        Level::Error => (Hue::Red, "Error"),
    };
    let text = format!("{}: {}", finding.topic, finding.text);
    let mut out = style
        .paint
        .verb(hue, verb, &wrapped(&text, style.width, INDENT));
    if !finding.advice.is_empty() {
        let advice = wrapped(&finding.advice, style.width, INDENT + 2);
        let _ = writeln!(out, "{:INDENT$}= {advice}", "");
    }
    out
}

/// `        Live 3f2a1b4c9 Fix the parser: 3 functions, 0.8 s`.
fn render_tried(style: Style, tried: &Tried) -> String {
    let (hue, verb, what) = match &tried.verdict {
        Verdict::Live(functions) => {
            let took = tried.took.unwrap_or_default().as_secs_f64();
            let what = format!("{}, {took:.1} s", counted(*functions, "function"));
            (Hue::Green, "Live", what)
        }
        Verdict::Unchanged => (
            Hue::Cyan,
            "Unchanged",
            "nothing that runs differs".to_owned(),
        ),
        Verdict::Refused(refusal) => {
            let mut place = refusal.file.display().to_string();
            if refusal.place.line > 0 {
                let _ = write!(place, ":{}", refusal.place.line);
            }
            let what = format!("{} {}, {place}", refusal.code, refusal.message);
            (Hue::Yellow, "Refused", what)
        }
        Verdict::Broken(error) => (Hue::Red, "Broken", error.clone()),
        Verdict::Untried(why) => (Hue::Red, "Not tried", why.clone()),
    };
    let Commit { id, subject } = &tried.commit;
    let text = format!("{} {subject}: {what}", id.get(..9).unwrap_or(id));
    let text = wrapped(&text, style.width, INDENT);
    style.paint.verb(hue, verb, &text)
}

/// `40 commits: 31 would have gone live, 6 change nothing that runs, 3 would have been refused (HP0101 2, HP0401 1)`.
fn history(sums: &Sums) -> String {
    let mut text = format!(
        "{}: {} would have gone live, {} nothing that runs",
        counted(sums.commits(), "commit"),
        sums.live,
        match sums.unchanged {
            1 => "1 changes".to_owned(),
            count => format!("{count} change"),
        },
    );
    if sums.refusals() > 0 {
        let codes: Vec<String> = sums
            .refused
            .iter()
            .map(|(code, count)| format!("{code} {count}"))
            .collect();
        let _ = write!(
            text,
            ", {} would have been refused ({})",
            sums.refusals(),
            codes.join(", ")
        );
    }
    if sums.broken > 0 {
        let verb = if sums.broken == 1 { "does" } else { "do" };
        let _ = write!(text, ", {} {verb} not compile", sums.broken);
    }
    if sums.untried > 0 {
        let _ = write!(text, ", {} could not be tried", sums.untried);
    }
    text
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// How text on standard output looks best.
fn style_of_stdout(choice: Option<Color>) -> Style {
    let env = |name: &str| std::env::var_os(name);
    let stdout = io::stdout();
    let dumb = env("TERM").is_some_and(|term| term == "dumb");
    let is_terminal = stdout.is_terminal();
    let color = use_color(
        choice,
        env("CARGO_TERM_COLOR").as_deref(),
        env("NO_COLOR").as_deref(),
        is_terminal && !dumb,
    );
    let size = rustix::termios::tcgetwinsize(&stdout).ok();
    let columns = size.map(|size| usize::from(size.ws_col));
    Style {
        paint: Paint { color },
        width: columns
            .filter(|columns| *columns > 0)
            .unwrap_or(DEFAULT_WIDTH),
    }
}
