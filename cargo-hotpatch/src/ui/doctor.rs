//! What `cargo hotpatch doctor` says, on standard output: checks and functions, for people or as JSON lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::page;
use super::paint::{Hue, Paint};
use super::report::time;
use super::terminal::{Terminal, use_color};
use super::wrap::wrapped;
use crate::args::{Color, MessageFormat};
use crate::doctor::checks::{Finding, Level};
use crate::doctor::functions::{Tried, Verdict};

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

    /// What became of trying a function; people read it in the end.
    pub fn function(&self, one: &Tried) {
        if self.format == MessageFormat::Json {
            line(&Line::tried(one));
        }
    }

    /// What became of trying each function of so many crates, in this time.
    pub fn functions(&self, tried: &[Tried], crates: usize, took: Duration) {
        match self.format {
            MessageFormat::Human => {
                let here = std::env::current_dir().unwrap_or_default();
                page::print(&render_functions(self.style, tried, crates, took, &here));
            }
            MessageFormat::Json => {
                let count = Count::of(tried);
                line(&Line::Summary {
                    functions: tried.len(),
                    patchable: count.patchable,
                    refused: count.refused,
                    no_code: count.no_code,
                });
            }
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
    Function {
        name: &'a str,
        file: &'a Path,
        line: usize,
        result: &'static str,
        code: Option<String>,
        message: Option<&'a str>,
        reasons: &'a [String],
    },
    Summary {
        functions: usize,
        patchable: usize,
        refused: usize,
        no_code: usize,
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

    fn tried(one: &'a Tried) -> Self {
        let refusal = match &one.verdict {
            Verdict::Refused(refusal) => Some(refusal),
            _ => None,
        };
        Self::Function {
            name: &one.name,
            file: &one.file,
            line: one.place.line,
            result: match &one.verdict {
                Verdict::Patchable => "patchable",
                Verdict::NoCode => "no_code",
                Verdict::Refused(_) => "refused",
            },
            code: refusal.map(|refusal| refusal.code.to_string()),
            message: refusal.map(|refusal| refusal.message.as_str()),
            reasons: refusal.map_or(&[], |refusal| refusal.reasons.as_slice()),
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

/// How many functions came to which end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    patchable: usize,
    refused: usize,
    no_code: usize,
}

impl Count {
    fn of(tried: &[Tried]) -> Self {
        let mut count = Self::default();
        for one in tried {
            match one.verdict {
                Verdict::Patchable => count.patchable += 1,
                Verdict::Refused(_) => count.refused += 1,
                Verdict::NoCode => count.no_code += 1,
            }
        }
        count
    }
}

/// The numbers, then what cannot be patched, by reason.
#[must_use]
pub fn render_functions(
    style: Style,
    tried: &[Tried],
    crates: usize,
    took: Duration,
    here: &Path,
) -> String {
    let count = Count::of(tried);
    let verb = |hue, verb: &str, text: &str| {
        style
            .paint
            .verb(hue, verb, &wrapped(text, style.width, INDENT))
    };
    let (functions, crates) = (plural(tried.len(), "function"), plural(crates, "crate"));
    let mut out = verb(
        Hue::Green,
        "Tried",
        &format!("{functions} of {crates} in {}", time(took)),
    );
    let with_code = count.patchable + count.refused;
    let share = match with_code {
        0 => String::new(),
        _ => format!(" ({} %)", tenths(count.patchable, with_code)),
    };
    out += &verb(
        Hue::Green,
        "Patchable",
        &format!("{}{share}", plural(count.patchable, "function")),
    );
    if count.no_code > 0 {
        let text = format!(
            "in {}: generic ones that nothing uses, for instance",
            plural(count.no_code, "function")
        );
        out += &verb(Hue::Cyan, "No code", &text);
    }
    if count.refused > 0 {
        out += &verb(
            Hue::Yellow,
            "Refused",
            &format!("{}, by reason:", plural(count.refused, "function")),
        );
    }
    for ((code, why), members) in groups(tried) {
        let head = style.paint.bold(Hue::Red, &code);
        let text = wrapped(&why, style.width, code.len() + 2);
        let _ = write!(out, "\n{head}: {text} ({})\n", members.len());
        for one in members {
            let file = one.file.strip_prefix(here).unwrap_or(&one.file).display();
            let _ = writeln!(
                out,
                "  --> {file}:{}:{} `{}`",
                one.place.line, one.place.column, one.name
            );
            if let Some(named) = names(one) {
                let text = wrapped(&named, style.width, 6);
                let _ = writeln!(out, "    = {text}");
            }
        }
    }
    out
}

type Groups<'a> = Vec<((String, String), Vec<&'a Tried>)>;

/// Functions that cannot be patched for one reason, the most frequent reasons first.
fn groups(tried: &[Tried]) -> Groups<'_> {
    let mut groups: BTreeMap<(String, String), Vec<&Tried>> = BTreeMap::new();
    for one in tried {
        if let Verdict::Refused(refusal) = &one.verdict {
            let why = why(refusal);
            let key = (refusal.code.to_string(), without_names(why));
            groups.entry(key).or_default().push(one);
        }
    }
    let mut groups: Groups<'_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
    groups
}

/// What says most: the last reason, or else the message.
fn why(refusal: &crate::plan::verdict::Refusal) -> &str {
    refusal.reasons.last().unwrap_or(&refusal.message)
}

/// What a group's heading leaves out: the reason with its names, if there are any but the function's own.
fn names(one: &Tried) -> Option<String> {
    let Verdict::Refused(refusal) = &one.verdict else {
        return None;
    };
    let why = why(refusal);
    let others = why
        .split('`')
        .skip(1)
        .step_by(2)
        .any(|name| !one.name.ends_with(name));
    others.then(|| why.to_owned())
}

/// A reason in general: names in backticks left out.
fn without_names(text: &str) -> String {
    let mut out = String::new();
    for (number, part) in text.split('`').enumerate() {
        out += if number % 2 == 0 { part } else { "`…`" };
    }
    out.replace(" (`…`)", "")
}

/// `1 function`, `2 functions`.
fn plural(count: usize, what: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {what}{ending}")
}

/// A share in percent with one decimal, rounded down: 100.0 is all.
fn tenths(part: usize, whole: usize) -> String {
    let tenths = part * 1000 / whole;
    format!("{}.{}", tenths / 10, tenths % 10)
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
                "{prefix:>12.cyan.bold} [{bar:25}] {pos}/{len} functions, {elapsed}"
            } else {
                "{prefix:>12} [{bar:25}] {pos}/{len} functions, {elapsed}"
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix("Trying");
            bar.enable_steady_tick(Duration::from_millis(500));
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
