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
