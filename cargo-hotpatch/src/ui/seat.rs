//! What a session says when it is asked: by a key, or by `cargo hotpatch status` and its like.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::names::list_of_names;
use super::paint::{Hue, Paint};
use super::report::{Place, Problem, Report, Verbosity, chain, phase_list, render_warning, time};
use crate::control::{
    Function, FunctionOf, Judged, Kind, NotLive, Settled, State, Status, VariableOf,
};
use crate::remote::NoOneSession;

/// How long ago something was, to the second, then to the minute.
fn ago(when: f64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.unwrap_or_default().as_secs_f64() - when;
    let seconds = Duration::try_from_secs_f64(seconds)
        .unwrap_or_default()
        .as_secs();
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        _ => format!("{} h {} min ago", seconds / 3600, seconds / 60 % 60),
    }
}

/// A verdict in one line.
fn line(judged: &Judged) -> String {
    let took = judged
        .ms
        .as_ref()
        .map(|ms| format!(" in {}", time(ms.total)));
    match judged.verdict {
        Kind::Unchanged => "unchanged: nothing that runs is different".to_owned(),
        Kind::Undone => format!(
            "undone: {} (gen {})",
            match judged.functions.is_empty() {
                true => "what is on disk is not what runs".to_owned(),
                false => format!("{} not as on disk", list_of_names(&judged.functions)),
            },
            judged.generation
        ),
        Kind::Restarted => "restarted with the new source".to_owned(),
        Kind::Patched => {
            let confirmed = match judged.confirmed {
                true => "",
                false => ", not confirmed yet",
            };
            let functions = list_of_names(&judged.functions);
            let generation = judged.generation;
            format!(
                "patched {functions} (gen {generation}){}{confirmed}",
                took.unwrap_or_default()
            )
        }
        Kind::Refused => match &judged.refusal {
            Some(refusal) => format!("refused {}: {}", refusal.code, refusal.message),
            None => "refused".to_owned(),
        },
        Kind::Broken => {
            let line = judged.line.map(|line| format!(":{line}"));
            let file = judged.file.as_deref().unwrap_or("the edit");
            format!(
                "broken: {file}{} does not compile",
                line.unwrap_or_default()
            )
        }
    }
}

fn hue(kind: Kind) -> Hue {
    match kind {
        Kind::Unchanged | Kind::Patched | Kind::Restarted => Hue::Green,
        Kind::Undone => Hue::Yellow,
        Kind::Refused | Kind::Broken => Hue::Red,
    }
}

/// How things stand with a session.
#[must_use]
pub fn render_status(paint: Paint, status: &Status) -> String {
    let Status {
        program, session, ..
    } = status;
    let pid = status
        .pid
        .map_or_else(String::new, |pid| format!(" (pid {pid})"));
    let doing = match status.state {
        State::Building => "is built for the first time".to_owned(),
        State::Starting => format!("runs{pid} and cannot be patched yet"),
        State::Running => format!("runs{pid}, generation {}", status.generation),
        State::Restarting => format!("is built to be started anew{pid}"),
        State::Ended => "has ended; the next save starts it again".to_owned(),
        State::Waiting => "has ended; its next process waits for a save".to_owned(),
    };
    let mut text = paint.verb(
        Hue::Green,
        "Session",
        &format!("{session}: `{program}` {doing}"),
    );
    let mut say = |hue, verb: &str, what: &str| text += &paint.verb(hue, verb, what);
    say(
        Hue::Green,
        "Workspace",
        &status.workspace.display().to_string(),
    );
    let what = match (status.paused, status.pending) {
        (true, _) => "paused: saves are left alone",
        (false, true) => "at work on a save",
        (false, false) if status.revision.is_some() && status.revision == status.running => {
            "what is on disk is what runs"
        }
        (false, false) => "what is on disk is not what runs",
    };
    if matches!(status.state, State::Running) {
        say(Hue::Green, "Source", what);
    }
    if let Some(standing) = &status.standing {
        say(Hue::Red, "Stands", &line(standing));
    }
    for judged in status.verdicts.iter().take(5) {
        let what = format!("{} ({})", line(judged), ago(judged.time));
        say(hue(judged.verdict), "Verdict", &what);
    }
    for note in &status.under_way {
        say(Hue::Yellow, "Older code", &note.message);
    }
    if !status.not_called.is_empty() {
        let names = status.not_called.iter().map(|of| of.function.clone());
        let names: Vec<String> = names.collect();
        say(Hue::Yellow, "Not called", &list_of_names(&names));
    }
    text
}

/// What became of the sources on disk.
#[must_use]
pub fn render_settled(paint: Paint, settled: &Settled) -> String {
    let mut text = String::new();
    if settled.paused {
        text += &paint.verb(Hue::Yellow, "Paused", "saves are left alone");
    } else if settled.pid.is_none() {
        let what = "the next save starts the program again";
        text += &paint.verb(Hue::Yellow, "Ended", what);
    }
    text += &render_judged(paint, "Verdict", &settled.judged);
    for NotLive { why, .. } in &settled.not_live {
        text += &paint.verb(Hue::Yellow, "Not live", why);
    }
    text
}

/// What would become of them.
#[must_use]
pub fn render_tried(paint: Paint, judged: &Judged) -> String {
    let mut text = render_judged(paint, "Would be", judged);
    for note in &judged.notes {
        text += &paint.verb(Hue::Cyan, &format!("note {}", note.code), &note.message);
    }
    text
}

/// A verdict with what stands behind it.
fn render_judged(paint: Paint, verb: &str, judged: &Judged) -> String {
    let mut text = paint.verb(hue(judged.verdict), verb, &line(judged));
    if let Some(refusal) = &judged.refusal {
        if let (Some(file), Some(line)) = (&refusal.file, refusal.line) {
            let _ = writeln!(text, "  --> {file}:{line}");
        }
        for reason in &refusal.reasons {
            let _ = writeln!(text, "   = {reason}");
        }
    }
    if let Some(rendered) = &judged.rendered {
        text += rendered;
    }
    text
}

/// The same with a line for each problem, for editors.
#[must_use]
pub fn short_judged(judged: &Judged) -> String {
    let place = |file: &Option<String>, line: Option<u32>, column| {
        file.as_ref().map(|file| Place {
            file: file.clone(),
            line: line.unwrap_or_default(),
            column,
        })
    };
    let refusal = judged.refusal.as_ref().map(|refusal| Problem {
        is_error: true,
        message: [std::slice::from_ref(&refusal.message), &refusal.reasons]
            .concat()
            .join("; "),
        code: Some(refusal.code.clone()),
        place: place(&refusal.file, refusal.line, None),
    });
    let diagnostics = judged.diagnostics.iter().map(|diagnosed| Problem {
        is_error: diagnosed.severity == "error",
        message: diagnosed.message.clone(),
        code: diagnosed.code.clone(),
        place: place(&diagnosed.file, diagnosed.line, diagnosed.column),
    });
    let notes = judged.notes.iter().map(|note| Problem {
        is_error: false,
        message: note.message.clone(),
        code: Some(note.code.clone()),
        place: place(&note.file, note.line, None),
    });
    let problems = refusal.into_iter().chain(diagnostics).chain(notes);
    let lines: String = problems.map(|problem| problem.line()).collect();
    lines + &format!("hotpatch: {}\n", line(judged))
}

/// Functions with the generation of their code.
#[must_use]
pub fn render_functions(paint: Paint, functions: &[Function]) -> String {
    if functions.is_empty() {
        return paint.verb(
            Hue::Green,
            "Functions",
            "all are as the program began with them",
        );
    }
    let lines = functions.iter().map(|of| {
        let generation = format!("gen {}", of.generation);
        paint.verb(Hue::Green, &generation, &of.function)
    });
    lines.collect()
}

/// A type without the paths of what it names.
fn short_type(ty: &str) -> String {
    let mut short = String::new();
    let mut word = String::new();
    let mut rest = ty.chars().peekable();
    while let Some(next) = rest.next() {
        if next == ':' && rest.peek() == Some(&':') {
            rest.next();
            word.clear();
        } else if next.is_alphanumeric() || next == '_' {
            word.push(next);
        } else {
            short += &std::mem::take(&mut word);
            short.push(next);
        }
    }
    (short + &word).replace(", Global>", ">")
}

/// A line with the place of what the line before is about.
fn written_at(paint: Paint, file: &str, line: u32) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let file = Path::new(file);
    let file = file.strip_prefix(&here).unwrap_or(file).display();
    paint.dim(&format!("{:13}{file}:{line}\n", ""))
}

/// Functions with all that is known of them.
#[must_use]
pub fn render_all_functions(paint: Paint, functions: &[FunctionOf]) -> String {
    let mut text = String::new();
    for of in functions {
        let generation = format!("gen {}", of.generation);
        let hue = if of.generation > 0 {
            Hue::Green
        } else {
            Hue::Cyan
        };
        let called = match of.called {
            Some(false) => ", not called since",
            Some(true) | None => "",
        };
        let signature = of
            .signature
            .as_ref()
            .map(|text| format!(": {}", short_type(text)));
        let what = format!("{}{}{called}", of.function, signature.unwrap_or_default());
        text += &paint.verb(hue, &generation, &what);
        if let (Some(file), Some(line)) = (&of.file, of.line) {
            text += &written_at(paint, file, line);
        }
    }
    if text.is_empty() {
        return paint.verb(Hue::Yellow, "Functions", "none is called so");
    }
    text
}

/// Variables with their values.
#[must_use]
pub fn render_variables(paint: Paint, variables: &[VariableOf]) -> String {
    let mut text = String::new();
    for of in variables {
        let value = of.value.as_deref().unwrap_or("_");
        let what = format!("{}: {} = {value}", of.name, short_type(&of.ty));
        text += &match of.cannot_be_set {
            Some(_) => paint.verb(Hue::Cyan, "read-only", &what),
            None => paint.verb(Hue::Green, "settable", &what),
        };
        if let (Some(file), Some(line)) = (&of.file, of.line) {
            text += &written_at(paint, file, line);
        }
    }
    if text.is_empty() {
        return paint.verb(Hue::Yellow, "Variables", "the program has none");
    }
    text
}

/// How long the last edits took, and what the time went into.
#[must_use]
pub fn render_times(paint: Paint, verdicts: &[Judged]) -> String {
    let timed = verdicts
        .iter()
        .filter_map(|judged| Some((judged, judged.ms.as_ref()?)));
    let lines = timed.map(|(judged, ms)| {
        let lane = judged.lane.as_deref().unwrap_or("exact");
        let what = format!("gen {} ({lane}): {}", judged.generation, phase_list(ms));
        paint.verb(Hue::Green, &time(ms.total), &what)
    });
    let text: String = lines.collect();
    if text.is_empty() {
        return paint.verb(Hue::Green, "Times", "no edit was patched yet");
    }
    text
}

/// Why no one session is meant, and which there are.
#[must_use]
pub fn no_one_session(none: &NoOneSession) -> String {
    let mut text = match (none.sessions.is_empty(), none.are_meant) {
        (true, _) => "no session runs; `cargo hotpatch run` starts one".to_owned(),
        (false, true) => {
            "more than one session may be meant; name one by its package or a process id:"
                .to_owned()
        }
        (false, false) => {
            "no such session runs here; `cargo hotpatch run` starts one; there are:".to_owned()
        }
    };
    for status in &none.sessions {
        let Status {
            session,
            program,
            package,
            workspace,
            ..
        } = status;
        let workspace = workspace.display();
        let _ = write!(
            text,
            "\n   = {session}: `{program}` of package `{package}` in {workspace}"
        );
    }
    text
}

impl Report {
    /// There is no session, or more than one, where one is meant.
    pub fn no_one_session(&self, none: &NoOneSession) {
        let error = self.paint().bold(Hue::Red, "error");
        self.say(
            Verbosity::Quiet,
            &format!("{error}: {}\n", no_one_session(none)),
        );
    }

    /// What was asked for was done.
    pub fn done(&self, message: &str) {
        self.say(
            Verbosity::Normal,
            &self.paint().verb(Hue::Green, "Done", message),
        );
    }

    /// It was not.
    pub fn not_done(&self, message: &str) {
        let error = self.paint().bold(Hue::Red, "error");
        self.say(Verbosity::Quiet, &format!("{error}: {message}\n"));
    }

    /// There is no verdict yet.
    pub fn still_working(&self, session: u32, limit: Duration) {
        let text = format!(
            "session {session} has no verdict after {} s",
            limit.as_secs()
        );
        self.say(
            Verbosity::Quiet,
            &self.paint().verb(Hue::Yellow, "Waiting", &text),
        );
    }

    /// What is said in a session is shown here from now on.
    pub fn attached(&self, status: &Status) {
        let Status {
            session, program, ..
        } = status;
        let text = format!(
            "to session {session}, `{program}`; `?` lists its keys, `d` or Ctrl-C leaves it"
        );
        self.say(
            Verbosity::Normal,
            &self.paint().verb(Hue::Green, "Attached", &text),
        );
    }

    /// No more of it.
    pub fn detached(&self) {
        let text = "the session goes on, unless it has ended";
        self.say(
            Verbosity::Normal,
            &self.paint().verb(Hue::Cyan, "Detached", text),
        );
    }

    /// Nobody can ask this session anything.
    pub fn not_reachable(&self, error: &(dyn Error + 'static)) {
        let text = format!(
            "`cargo hotpatch status` and its like do not reach this session: {}",
            chain(error)
        );
        self.say(Verbosity::Normal, &render_warning(self.paint(), &text));
    }

    /// Saves are left alone from now on, or not any more.
    pub fn paused(&self, paused: bool) {
        let (verb, what) = match paused {
            true => (
                "Paused",
                "saves are left alone until `p` or `cargo hotpatch pause --off`",
            ),
            false => ("Resumed", "saves are taken up again"),
        };
        let text = self.paint().verb(Hue::Cyan, verb, what);
        self.headline(Some(&text));
        self.say(Verbosity::Quiet, &text);
    }

    /// Functions with the generation of their code.
    pub fn functions(&self, functions: &[Function]) {
        self.say(Verbosity::Quiet, &render_functions(self.paint(), functions));
    }

    /// How long the last edits took.
    pub fn times(&self, verdicts: &[Judged]) {
        self.say(Verbosity::Quiet, &render_times(self.paint(), verdicts));
    }

    /// The page with the times of all edits was written.
    pub fn timings(&self, path: &Path) {
        let text = self
            .paint()
            .verb(Hue::Green, "Timings", &path.display().to_string());
        self.say(Verbosity::Normal, &text);
    }

    /// What the keys do.
    pub fn help(&self, keys: &[(char, &str)]) {
        let lines = keys
            .iter()
            .map(|(key, what)| self.paint().verb(Hue::Green, &key.to_string(), what));
        self.say(Verbosity::Quiet, &lines.collect::<String>());
    }

    /// An empty screen.
    pub fn clear(&self) {
        self.text("\x1b[2J\x1b[H");
    }
}

#[cfg(test)]
mod tests {
    use super::short_type;

    #[test]
    fn types_lose_their_paths_and_nothing_else() {
        let ty = "std::sync::Mutex<alloc::vec::Vec<app::Player, alloc::alloc::Global>>";
        assert_eq!(short_type(ty), "Mutex<Vec<Player>>");
        assert_eq!(
            short_type("fn(&str, [u8; 4]) -> app::m::A"),
            "fn(&str, [u8; 4]) -> A"
        );
    }
}
