//! Every sentence the user reads.
//!
//! Each `render_*` function gives the whole text of one message and touches nothing; [`Report`] prints it to standard
//! error, because standard output is the program's. Nothing else in this tool prints, and a text that cannot be printed is
//! dropped: a closed terminal must not end the session.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anstream::adapter::strip_str;

use super::events::{Patched, Phases, Ready, Undone};
use super::names::{enumerate, list_of_names};
use super::paint::{Hue, Paint};
use super::screen::Screen;
use super::short::short;
use super::terminal::Terminal;
use super::wrap::fitted;
use crate::args::SessionFormat;
use crate::command::signal_name;
use crate::run::child::ExitHow;

/// Longest piece of a source line that a refusal shows.
const EXCERPT_WIDTH: usize = 72;

/// Longest title: what there is room for in a tab or a status line.
const TITLE_WIDTH: usize = 80;

/// How much to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Problems only.
    Quiet,
    /// What happened.
    #[default]
    Normal,
    /// And how long each phase took.
    Phases,
}

impl Verbosity {
    /// From `-q` and the number of `-v`.
    #[must_use]
    pub fn from_flags(quiet: bool, verbose: u8) -> Self {
        match (quiet, verbose) {
            (true, _) => Self::Quiet,
            (false, 0) => Self::Normal,
            (false, _) => Self::Phases,
        }
    }
}

/// A place in the user's source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user would name it.
    pub file: String,
    /// The line; 0 when the file as a whole is meant.
    pub line: u32,
    /// The column, where it is known.
    pub column: Option<u32>,
}

/// A source line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// Its number.
    pub line: u32,
    /// Its text.
    pub text: String,
}

/// An edit that cannot be patched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// Such as `HP0101`.
    pub code: String,
    /// One sentence, without full stop.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// The line there.
    pub excerpt: Option<Excerpt>,
    /// Why, one fragment each, such as "alive in: static `WORLD` (src/main.rs:8)".
    pub reasons: Vec<String>,
    /// A restart does not bring the edit into the program, only a new session does.
    pub for_next_session: bool,
}

pub use super::short::Problem;

/// What follows a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A question at this terminal.
    Ask,
    /// Nothing, unless somebody restarts the program from elsewhere: its terminal is its own.
    Elsewhere,
    /// The program starts anew.
    Restart,
    /// Nothing.
    Stay,
    /// The session ends.
    Quit,
}

/// Something worth knowing beside a patch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Note {
    /// Such as `HP0202`.
    pub code: String,
    /// One sentence, without full stop.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
}

/// `Ready to patch any of 4 functions (pid 7)`.
#[must_use]
pub fn render_ready(paint: Paint, ready: &Ready) -> String {
    let pid = ready.pid;
    let count = ready.functions;
    let text = format!("to patch any of {count} functions (pid {pid})");
    paint.verb(Hue::Green, "Ready", &text)
}

/// `Patched update, World::report (gen 3) in 84 ms`, with its notes, and its phases when asked for.
#[must_use]
pub fn render_patched(paint: Paint, patched: &Patched, notes: &[Note], phases: bool) -> String {
    let names = if patched.functions.is_empty() {
        &patched.included
    } else {
        &patched.functions
    };
    let mut text = paint.verb(
        Hue::Green,
        "Patched",
        &format!(
            "{} (gen {}) in {}",
            if names.is_empty() {
                "no function".to_owned()
            } else {
                list_of_names(names)
            },
            patched.generation,
            time(patched.ms.total)
        ),
    );
    if phases {
        text += &paint.dim(&format!("{:13}{}\n", "", phase_list(&patched.ms)));
        let kilobytes = patched.bytes.div_ceil(1000);
        let included = list_of_names(&patched.included);
        text += &paint.dim(&format!("{:13}with {included}; {kilobytes} kB\n", ""));
        if let Some(aside) = &patched.aside {
            text += &paint.dim(&format!("{:13}not by the fast lane: {aside}\n", ""));
        }
    }
    for note in notes {
        text += &render_note(paint, note);
    }
    text
}

/// What a step back or forth led to: `game::update (gen 4), which is not what is on disk`.
#[must_use]
pub fn words_of_step(undone: &Undone) -> String {
    let names = match undone.functions.is_empty() {
        true => "no function".to_owned(),
        false => list_of_names(&undone.functions),
    };
    let what = match (undone.on_disk, undone.guarded) {
        (true, _) => "what is on disk is what runs",
        (false, false) => "what is on disk comes back with the next save",
        (false, true) => "what is on disk comes back once it is changed, or with `redo`",
    };
    format!(
        "{names} (gen {}) in {}; {what}",
        undone.generation,
        time(undone.ms.total)
    )
}

/// A note beside a patch.
#[must_use]
pub fn render_note(paint: Paint, note: &Note) -> String {
    let head = paint.bold(Hue::Cyan, &format!("note {}", note.code));
    format!("{head}: {}\n{}", note.message, arrow(note.place.as_ref()))
}

/// A save after which the program would do the same.
#[must_use]
pub fn render_unchanged(paint: Paint, files: &[String]) -> String {
    let files = enumerate(files, 3);
    paint.verb(
        Hue::Green,
        "Unchanged",
        &format!("{files}: nothing that runs is different"),
    )
}

/// An edit that cannot be patched, as EDITS.md shows it.
#[must_use]
pub fn render_refused(paint: Paint, refusal: &Refusal, next: Next) -> String {
    let head = paint.bold(Hue::Red, &format!("refused {}", refusal.code));
    let mut text = format!("{head}: {}\n", refusal.message);
    text += &arrow(refusal.place.as_ref());
    if let Some(Excerpt { line, text: code }) = &refusal.excerpt {
        let code = shorten(code.trim(), EXCERPT_WIDTH);
        let _ = writeln!(text, "   | {line:>3} | {code}");
    }
    for reason in &refusal.reasons {
        let _ = writeln!(text, "   = {reason}");
    }
    let later = refusal.for_next_session;
    let next = match next {
        Next::Ask if later => {
            "a new session uses it, a restart within this one does not [y/n/always/never]"
        }
        Next::Ask => "restart to use it [y/n/always/never]",
        Next::Restart if later => "a new session uses it, this restart does not",
        Next::Restart => "restarting to use it",
        Next::Stay | Next::Elsewhere if later => {
            "a new session uses it, a restart within this one does not"
        }
        Next::Stay => "restart to use it",
        Next::Elsewhere => "restart to use it: `cargo hotpatch restart` in another terminal",
        Next::Quit => "ending the session because of `--on-refuse quit`",
    };
    let _ = writeln!(
        text,
        "   = {next}; `cargo hotpatch explain {}`",
        refusal.code
    );
    text
}

/// An edit that does not compile: rustc's own words, then what becomes of the program.
#[must_use]
pub fn render_broken(paint: Paint, rendered: &str, files: &[String], runs: bool) -> String {
    let mut text = rendered.trim_end().to_owned();
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    let what = match files.len() {
        0 => "the edit does not compile".to_owned(),
        1 => format!("{} does not compile", files[0]),
        _ => format!("{} do not compile", enumerate(files, 3)),
    };
    let and = match runs {
        true => "the old code runs on",
        false => "the program waits",
    };
    text + &paint.verb(Hue::Red, "Broken", &format!("{what}; {and}"))
}

/// The program ended while the session goes on.
#[must_use]
pub fn render_exited(paint: Paint, how: ExitHow) -> String {
    let next = "the next save or Enter runs it again, Ctrl-C ends the session";
    match how {
        ExitHow::Code(code) => {
            let hue = if code == 0 { Hue::Green } else { Hue::Yellow };
            paint.verb(hue, "Exited", &format!("with status {code}; {next}"))
        }
        ExitHow::Signal(signal) => {
            let name = signal_name(signal);
            paint.verb(Hue::Red, "Killed", &format!("by {name}; {next}"))
        }
    }
}

/// A stage failed; the session goes on.
#[must_use]
pub fn render_setback(paint: Paint, what: &str, error: &(dyn Error + 'static)) -> String {
    let head = paint.bold(Hue::Red, "failed");
    format!(
        "{head} to {what}: {}\n   = the old code runs on; the next save tries again\n",
        chain(error)
    )
}

/// The session cannot start or go on.
#[must_use]
pub fn render_fatal(paint: Paint, error: &(dyn Error + 'static)) -> String {
    format!("{}: {}\n", paint.bold(Hue::Red, "error"), chain(error))
}

/// Something the user may want to change.
#[must_use]
pub fn render_warning(paint: Paint, message: &str) -> String {
    format!("{}: {message}\n", paint.bold(Hue::Yellow, "warning"))
}

/// An error and what led to it, each cause on a line of its own unless it was said already.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            let _ = write!(text, "\n  caused by: {words}");
        }
        cause = error.source();
    }
    text
}

fn arrow(place: Option<&Place>) -> String {
    let Some(place) = place else {
        return String::new();
    };
    match (place.line, place.column) {
        (0, _) => format!("  --> {}\n", place.file),
        (line, None) => format!("  --> {}:{line}\n", place.file),
        (line, Some(column)) => format!("  --> {}:{line}:{column}\n", place.file),
    }
}

fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        text.to_owned()
    } else {
        text.chars().take(width - 1).chain(['…']).collect()
    }
}

pub(super) fn time(duration: Duration) -> String {
    let milliseconds = (duration.as_micros() + 500) / 1000;
    if milliseconds < 10_000 {
        format!("{milliseconds} ms")
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

pub(super) fn phase_list(ms: &Phases) -> String {
    ms.named()
        .map(|(name, duration)| format!("{name} {}", time(duration)))
        .join(", ")
}

/// Prints messages, as many as the user asked for.
#[derive(Debug)]
pub struct Report {
    paint: Paint,
    verbosity: Verbosity,
    /// Columns, of a terminal.
    width: Option<usize>,
    format: SessionFormat,
    screen: Screen,
}

impl Report {
    /// Prints to standard error as `terminal` allows.
    #[must_use]
    pub fn new(terminal: Terminal, verbosity: Verbosity) -> Self {
        Self {
            paint: Paint {
                color: terminal.color,
            },
            verbosity,
            width: terminal.is_terminal.then_some(terminal.width),
            format: SessionFormat::Human,
            screen: Screen::of_stderr(terminal.is_terminal, terminal.takes_titles),
        }
    }

    /// Says things in another way.
    #[must_use]
    pub fn with_format(mut self, format: SessionFormat) -> Self {
        self.format = format;
        if format != SessionFormat::Human {
            self.paint.color = false;
            self.width = None;
        }
        self
    }

    /// In which way it says things.
    pub(super) fn format(&self) -> SessionFormat {
        self.format
    }

    /// What it writes to.
    #[must_use]
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    /// How text is coloured.
    #[must_use]
    pub fn paint(&self) -> Paint {
        self.paint
    }

    /// The program runs and can be patched.
    pub fn ready(&self, ready: &Ready) {
        self.say(Verbosity::Normal, &render_ready(self.paint, ready));
    }

    /// Functions run new code.
    pub fn patched(&self, patched: &Patched, notes: &[Note]) {
        let phases = self.verbosity >= Verbosity::Phases;
        let text = render_patched(self.paint, patched, notes, phases);
        self.headline(text.lines().next());
        self.problems(notes.iter().map(Problem::of_note));
        let text = match self.format {
            SessionFormat::Short => text.lines().take(1).collect(),
            SessionFormat::Human | SessionFormat::Json => text,
        };
        self.say(Verbosity::Normal, &text);
    }

    /// Somebody went back to what ran before, or forth again.
    pub fn undone(&self, undone: &Undone, notes: &[Note]) {
        let verb = if undone.redo { "Redone" } else { "Undone" };
        let mut text = self.paint.verb(Hue::Green, verb, &words_of_step(undone));
        if self.verbosity >= Verbosity::Phases {
            let phases = phase_list(&undone.ms);
            text += &self.paint.dim(&format!("{:13}{phases}\n", ""));
        }
        self.headline(text.lines().next());
        self.problems(notes.iter().map(Problem::of_note));
        for note in notes {
            text += &render_note(self.paint, note);
        }
        self.say(Verbosity::Normal, &text);
    }

    /// Nothing came of that.
    pub fn not_stepped(&self, command: &str, why: &str) {
        let text = format!("{command}: {why}");
        self.say(
            Verbosity::Normal,
            &self.paint.verb(Hue::Yellow, "Not done", &text),
        );
    }

    /// A save changed nothing that runs.
    pub fn unchanged(&self, files: &[String]) {
        let text = render_unchanged(self.paint, files);
        self.headline(text.lines().next());
        self.say(Verbosity::Normal, &text);
    }

    /// An edit cannot be patched.
    pub fn refused(&self, refusal: &Refusal, next: Next) {
        let text = render_refused(self.paint, refusal, next);
        self.headline(text.lines().next());
        if self.format == SessionFormat::Short {
            self.problems([Problem::of_refusal(refusal)]);
            let line = self.paint.verb(Hue::Red, "Refused", &refusal.code);
            return self.say(Verbosity::Quiet, &line);
        }
        self.say(Verbosity::Quiet, &text);
    }

    /// An edit does not compile; `rendered` is rustc's output, and `problems` what it is about.
    pub fn broken(&self, rendered: &str, problems: &[Problem], files: &[String], runs: bool) {
        let rendered = match self.format {
            SessionFormat::Short => "",
            SessionFormat::Human | SessionFormat::Json => rendered,
        };
        self.problems(problems.iter().cloned());
        let text = render_broken(self.paint, rendered, files, runs);
        self.headline(text.lines().last());
        self.print(Verbosity::Quiet, &text);
    }

    /// The program ended and the session waits.
    pub fn exited(&self, how: ExitHow) {
        let at_least = if how == ExitHow::Code(0) {
            Verbosity::Normal
        } else {
            Verbosity::Quiet
        };
        self.say(at_least, &render_exited(self.paint, how));
    }

    /// The program is about to be started.
    pub fn running(&self, program: &Path) {
        let program = format!("`{}`", program.display());
        self.say(
            Verbosity::Normal,
            &self.paint.verb(Hue::Green, "Running", &program),
        );
    }

    /// An edit was saved before it can be patched.
    pub fn waiting(&self) {
        let text = "for the next save or Enter, which run the program again, or for Ctrl-C";
        self.say(
            Verbosity::Normal,
            &self.paint.verb(Hue::Cyan, "Waiting", text),
        );
    }

    /// A profile's `lto` is off in this build.
    pub fn lto_is_off(&self, profile: &str) {
        let text = format!(
            "`lto` of profile `{profile}` is off in this build: it would dissolve what patches connect to"
        );
        self.say(Verbosity::Normal, &render_warning(self.paint, &text));
    }

    /// A stage failed; the session goes on. `what` completes "failed to".
    pub fn setback(&self, what: &str, error: &(dyn Error + 'static)) {
        let text = render_setback(self.paint, what, error);
        self.headline(text.lines().next());
        self.print(Verbosity::Quiet, &text);
    }

    /// The session cannot start or go on.
    pub fn fatal(&self, error: &(dyn Error + 'static)) {
        self.say(Verbosity::Quiet, &render_fatal(self.paint, error));
    }

    /// cargo's own words, which is told itself when to be quiet.
    pub fn words(&self, text: &str) {
        self.print(Verbosity::Quiet, text);
    }

    /// Plain text, printed as it is.
    pub fn text(&self, text: &str) {
        self.print(Verbosity::Normal, text);
    }

    /// Shows a line as the window's title where nothing else can be shown.
    pub(super) fn headline(&self, line: Option<&str>) {
        let line = strip_str(line.unwrap_or_default()).to_string();
        self.screen.title(&shorten(line.trim(), TITLE_WIDTH));
    }

    /// Says it in lines that the terminal does not have to break.
    pub(super) fn say(&self, at_least: Verbosity, text: &str) {
        match self.width {
            Some(width) => self.print(at_least, &fitted(text, width)),
            None => self.print(at_least, text),
        }
    }

    /// Says it as it is: what others wrote.
    fn print(&self, at_least: Verbosity, text: &str) {
        if self.verbosity < at_least {
            return;
        }
        match self.format {
            SessionFormat::Human => self.screen.write(text),
            SessionFormat::Short => self.screen.write(&short(text)),
            // Events say it.
            SessionFormat::Json => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Paint = Paint { color: false };

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn patched() -> Patched {
        let ms = |n| Duration::from_millis(n);
        Patched {
            generation: 3,
            functions: strings(&["app::update", "app::world::World::report"]),
            included: strings(&["app::helper"]),
            notes: Vec::new(),
            bytes: 12_345,
            ms: Phases {
                settle: ms(8),
                plan: ms(3),
                compile: ms(58),
                check: ms(0),
                link: ms(13),
                load: ms(1),
                total: Duration::from_micros(83_600),
            },
            ..Patched::default()
        }
    }

    fn refusal() -> Refusal {
        Refusal {
            code: "HP0101".into(),
            message: "layout of `Player` changed".into(),
            place: Some(Place {
                file: "src/player.rs".into(),
                line: 12,
                column: Some(5),
            }),
            excerpt: Some(Excerpt {
                line: 12,
                text: "    pub shield: u32,".into(),
            }),
            reasons: strings(&[
                "alive in: static `WORLD` (src/main.rs:8), argument `world` of hot fn `update` (src/game.rs:20)",
            ]),
            for_next_session: false,
        }
    }

    #[test]
    fn a_refusal_reads_as_promised() {
        assert_eq!(
            render_refused(PLAIN, &refusal(), Next::Ask),
            "\
refused HP0101: layout of `Player` changed
  --> src/player.rs:12:5
   |  12 | pub shield: u32,
   = alive in: static `WORLD` (src/main.rs:8), argument `world` of hot fn `update` (src/game.rs:20)
   = restart to use it [y/n/always/never]; `cargo hotpatch explain HP0101`
"
        );
    }

    #[test]
    fn a_refusal_says_what_happens_next() {
        let bare = Refusal {
            code: "HP0001".into(),
            message: "not supported yet".into(),
            ..Refusal::default()
        };
        let last = |on_refuse| {
            let text = render_refused(PLAIN, &bare, on_refuse);
            text.strip_prefix("refused HP0001: not supported yet\n   = ")
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            last(Next::Stay),
            "restart to use it; `cargo hotpatch explain HP0001`\n"
        );
        assert_eq!(
            last(Next::Restart),
            "restarting to use it; `cargo hotpatch explain HP0001`\n"
        );
        assert!(last(Next::Quit).starts_with("ending the session because of"));
    }

    #[test]
    fn what_a_restart_does_not_use_is_not_offered_with_one() {
        let refusal = Refusal {
            for_next_session: true,
            ..refusal()
        };
        for (on_refuse, words) in [
            (
                Next::Ask,
                "a new session uses it, a restart within this one does not [y/n/always/never]",
            ),
            (
                Next::Stay,
                "a new session uses it, a restart within this one does not",
            ),
            (
                Next::Restart,
                "a new session uses it, this restart does not",
            ),
        ] {
            let text = render_refused(PLAIN, &refusal, on_refuse);
            let last = format!("   = {words}; `cargo hotpatch explain HP0101`");
            assert_eq!(text.lines().last(), Some(last.as_str()));
        }
    }

    #[test]
    fn excerpts_are_cut() {
        let excerpt = Excerpt {
            line: 1234,
            text: "x".repeat(100),
        };
        let refusal = Refusal {
            excerpt: Some(excerpt),
            ..refusal()
        };
        let text = render_refused(PLAIN, &refusal, Next::Stay);
        let shown = format!("   | 1234 | {}…", "x".repeat(71));
        assert_eq!(text.lines().nth(2), Some(shown.as_str()));
    }

    #[test]
    fn a_patch_is_one_line() {
        assert_eq!(
            render_patched(PLAIN, &patched(), &[], false),
            "     Patched update, World::report (gen 3) in 84 ms\n"
        );
    }

    #[test]
    fn a_patch_shows_phases_and_notes() {
        let note = Note {
            code: "HP0202".into(),
            message: "`main` also calls `helper` and keeps the old code".into(),
            place: Some(Place {
                file: "src/main.rs".into(),
                line: 4,
                column: None,
            }),
        };
        assert_eq!(
            render_patched(PLAIN, &patched(), &[note], true),
            "     Patched update, World::report (gen 3) in 84 ms\n             \
             settle 8 ms, plan 3 ms, compile 58 ms, check 0 ms, link 13 ms, load 1 ms\n             \
             with helper; 13 kB\n\
             note HP0202: `main` also calls `helper` and keeps the old code\n  --> src/main.rs:4\n"
        );
    }

    #[test]
    fn many_names_are_counted() {
        let functions = ["a::f1", "a::f2", "a::f3", "a::f4", "a::f5", "a::f6"];
        let patched = Patched {
            functions: strings(&functions),
            ..patched()
        };
        assert_eq!(
            render_patched(PLAIN, &patched, &[], false),
            "     Patched f1, f2, f3, f4 and 2 more (gen 3) in 84 ms\n"
        );
    }

    #[test]
    fn verbs_are_coloured_on_request() {
        let text = render_patched(Paint { color: true }, &patched(), &[], false);
        assert!(
            text.starts_with("\x1b[1;32m     Patched\x1b[0m update, "),
            "{text:?}"
        );
        let text = render_refused(Paint { color: true }, &refusal(), Next::Ask);
        assert!(
            text.starts_with("\x1b[1;31mrefused HP0101\x1b[0m: layout"),
            "{text:?}"
        );
    }

    #[test]
    fn ready_counts_the_functions() {
        let ready = Ready {
            pid: 7,
            generation: 0,
            functions: 1234,
            listen: Vec::new(),
        };
        assert_eq!(
            render_ready(PLAIN, &ready),
            "       Ready to patch any of 1234 functions (pid 7)\n"
        );
    }

    #[test]
    fn the_other_verdicts() {
        assert_eq!(
            render_unchanged(PLAIN, &strings(&["src/main.rs"])),
            "   Unchanged src/main.rs: nothing that runs is different\n"
        );
        assert_eq!(
            render_broken(
                PLAIN,
                "error[E0308]: mismatched types\n\n",
                &strings(&["src/a.rs"]),
                true
            ),
            "error[E0308]: mismatched types\n\n      Broken src/a.rs does not compile; the old code runs on\n"
        );
        assert_eq!(
            render_broken(PLAIN, "", &strings(&["src/a.rs", "src/b.rs"]), false),
            "      Broken src/a.rs, src/b.rs do not compile; the program waits\n"
        );
    }

    #[test]
    fn the_programs_end() {
        let next = "the next save or Enter runs it again, Ctrl-C ends the session\n";
        assert_eq!(
            render_exited(PLAIN, ExitHow::Code(3)),
            format!("      Exited with status 3; {next}")
        );
        assert_eq!(
            render_exited(PLAIN, ExitHow::Signal(11)),
            format!("      Killed by SIGSEGV; {next}")
        );
        let color = render_exited(Paint { color: true }, ExitHow::Code(0));
        assert_eq!(
            color,
            format!("\x1b[1;32m      Exited\x1b[0m with status 0; {next}")
        );
    }

    #[derive(Debug, thiserror::Error)]
    #[error("failed to write {file}")]
    struct Outer {
        file: &'static str,
        source: std::io::Error,
    }

    #[test]
    fn errors_show_their_causes() {
        let error = Outer {
            file: "patch.so",
            source: std::io::Error::other("disk full"),
        };
        assert_eq!(
            render_fatal(PLAIN, &error),
            "error: failed to write patch.so\n  caused by: disk full\n"
        );
        assert_eq!(
            render_setback(PLAIN, "link the patch", &error),
            "failed to link the patch: failed to write patch.so\n  caused by: disk full\n   \
             = the old code runs on; the next save tries again\n"
        );
        assert_eq!(render_warning(PLAIN, "slow disk"), "warning: slow disk\n");
    }

    #[test]
    fn flags_choose_the_verbosity() {
        assert_eq!(Verbosity::from_flags(true, 0), Verbosity::Quiet);
        assert_eq!(Verbosity::from_flags(false, 0), Verbosity::Normal);
        assert_eq!(Verbosity::from_flags(false, 1), Verbosity::Phases);
        assert_eq!(Verbosity::from_flags(false, 3), Verbosity::Phases);
        assert!(Verbosity::Quiet < Verbosity::Normal && Verbosity::Normal < Verbosity::Phases);
    }
}
