//! `--message-format short`: one line for each thing, which editors take apart with one pattern.
//!
//! A problem is `FILE:LINE:COLUMN: error[CODE]: MESSAGE` as rustc has it, with `warning` or `note` for `error`. All else that
//! the tool says begins with `hotpatch: `. Problems stand between the line `hotpatch: began ...` and the one that says what came of it.

use super::paint::Hue;
use super::report::{Note, Place, Refusal, Report, Verbosity};
use crate::args::SessionFormat;

/// Something that an editor shows at a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problem {
    /// It keeps the edit from going live.
    pub is_error: bool,
    /// One sentence.
    pub message: String,
    /// Such as `E0599` or `HP0101`.
    pub code: Option<String>,
    /// Where.
    pub place: Option<Place>,
}

impl Problem {
    /// A refusal, with what stands behind it.
    pub(super) fn of_refusal(refusal: &Refusal) -> Self {
        let reasons = refusal.reasons.iter().map(|reason| format!("; {reason}"));
        Self {
            is_error: true,
            message: refusal.message.clone() + &reasons.collect::<String>(),
            code: Some(refusal.code.clone()),
            place: refusal.place.clone(),
        }
    }

    /// What is worth knowing beside a patch.
    pub(super) fn of_note(note: &Note) -> Self {
        Self {
            is_error: false,
            message: note.message.clone(),
            code: Some(note.code.clone()),
            place: note.place.clone(),
        }
    }

    /// As rustc has it with `--error-format short`.
    #[must_use]
    pub fn line(&self) -> String {
        let place = self.place.clone().unwrap_or_default();
        let file = match place.file.as_str() {
            "" => "Cargo.toml",
            file => file,
        };
        let (line, column) = (place.line.max(1), place.column.unwrap_or(1));
        let code = self.code.as_ref().map(|code| format!("[{code}]"));
        let code = code.unwrap_or_default();
        // A message may go on over several lines; the first says what it is about.
        let message = self.message.lines().next().unwrap_or_default();
        format!(
            "{file}:{line}:{column}: {}{code}: {message}\n",
            self.severity()
        )
    }

    /// `error`, `warning` or `note`.
    #[must_use]
    pub fn severity(&self) -> &'static str {
        let is_ours = self
            .code
            .as_ref()
            .is_some_and(|code| code.starts_with("HP"));
        match (self.is_error, is_ours) {
            (true, _) => "error",
            (false, true) => "note",
            (false, false) => "warning",
        }
    }
}

/// How sentences begin that say what came of something and have no verb in front.
const ENDS: &[&str] = &["failed to ", "not restarted: ", "lost "];

/// What is said to people, as lines of one shape.
#[must_use]
pub fn short(text: &str) -> String {
    text.lines()
        .map(|line| match verb(line) {
            Some((verb, rest)) => format!("hotpatch: {} {rest}\n", verb.to_lowercase()),
            None if ENDS.iter().any(|end| line.starts_with(end)) => format!("hotpatch: {line}\n"),
            None => format!("{line}\n"),
        })
        .collect()
}

/// The verb of a line as cargo writes them, right-aligned in twelve columns, and the rest.
fn verb(line: &str) -> Option<(&str, &str)> {
    let rest = line.get(13..)?;
    let verb = line.get(..12)?.trim_start();
    let is_verb = verb.starts_with(|c: char| c.is_ascii_uppercase()) && line.as_bytes()[12] == b' ';
    is_verb.then_some((verb, rest))
}

impl Report {
    /// Problems, where they are lines of their own.
    pub(super) fn problems(&self, problems: impl IntoIterator<Item = Problem>) {
        if self.format() == SessionFormat::Short {
            let lines = problems.into_iter().map(|problem| problem.line());
            self.say(Verbosity::Quiet, &lines.collect::<String>());
        }
    }

    /// rustc says something while the program is built.
    pub fn diagnosed(&self, problem: Option<Problem>) {
        self.problems(problem);
    }

    /// Work on these files begins.
    pub fn began(&self, files: &[String]) {
        self.begins(&files.join(", "));
    }

    /// The program is about to be built.
    pub fn building(&self) {
        self.begins("to build the program");
    }

    fn begins(&self, what: &str) {
        if self.format() == SessionFormat::Short {
            self.say(
                Verbosity::Quiet,
                &self.paint().verb(Hue::Cyan, "Began", what),
            );
        }
    }

    /// The program cannot be built, and cargo has said why.
    pub fn not_built(&self) {
        if self.format() == SessionFormat::Short {
            let text = "the program does not build";
            self.say(
                Verbosity::Quiet,
                &self.paint().verb(Hue::Red, "Broken", text),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_one_line() {
        let place = Place {
            file: "src/main.rs".to_owned(),
            line: 8,
            column: Some(5),
        };
        let refusal = Refusal {
            code: "HP0101".to_owned(),
            message: "layout of `World` changed".to_owned(),
            place: Some(place.clone()),
            reasons: vec!["alive in: static `WORLD`".to_owned()],
            ..Refusal::default()
        };
        assert_eq!(
            Problem::of_refusal(&refusal).line(),
            "src/main.rs:8:5: error[HP0101]: layout of `World` changed; alive in: static `WORLD`\n"
        );
        let warning = Problem {
            message: "unused\nmore".to_owned(),
            place: Some(place),
            ..Problem::default()
        };
        assert_eq!(warning.line(), "src/main.rs:8:5: warning: unused\n");
        let note = Note {
            code: "HP0201".to_owned(),
            message: "old".to_owned(),
            place: None,
        };
        assert_eq!(
            Problem::of_note(&note).line(),
            "Cargo.toml:1:1: note[HP0201]: old\n"
        );
        assert_eq!(
            short("     Patched step (gen 1) in 84 ms\nwarning: x\n"),
            "hotpatch: patched step (gen 1) in 84 ms\nwarning: x\n"
        );
    }
}
