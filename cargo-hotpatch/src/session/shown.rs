//! What the session knows, in the words of the report and of the events. Pure but for reading an excerpt.

use std::path::Path;
use std::time::Duration;

use super::outcome::{Lane, Patched};
use crate::build::diagnostics::Diagnostic;
use crate::plan::verdict::{Note, Refusal};
use crate::ui::events::{self, Coded, Confirmed, Milliseconds, Phases};
use crate::ui::report;

pub(super) fn phases(patched: &Patched, settle: Duration, total: Duration) -> Phases {
    let times = patched.times;
    let others = times.compile + times.check + times.link + times.load;
    Phases {
        settle,
        plan: total.saturating_sub(settle + others),
        compile: times.compile,
        check: times.check,
        link: times.link,
        load: times.load,
        total,
    }
}

/// What `patched` says.
pub(super) fn patched_event(patched: Patched, ms: Phases) -> events::Patched {
    events::Patched {
        generation: patched.generation,
        notes: patched.notes.iter().map(coded_note).collect(),
        functions: patched.functions,
        included: patched.included,
        bytes: patched.bytes,
        ms,
        lane: patched.lane.map(Lane::name).map(str::to_owned),
        aside: patched.aside,
        preparing: patched.preparing,
    }
}

/// What `confirmed` says of what the exact lane has beside the patch.
pub(super) fn confirmed_event(patched: &Patched, total: Duration) -> Confirmed {
    Confirmed {
        generation: patched.generation,
        functions: patched.functions.clone(),
        notes: patched.notes.iter().map(coded_note).collect(),
        ms: Milliseconds(total),
        preparing: patched.preparing,
    }
}

/// A path as the user would type it from here.
pub(super) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here)
        .unwrap_or(path)
        .display()
        .to_string()
}

pub(super) fn place(file: &Path, line: usize, column: usize) -> Option<report::Place> {
    if file.as_os_str().is_empty() {
        return None;
    }
    Some(report::Place {
        file: shown(file),
        line: u32::try_from(line).unwrap_or(0),
        column: u32::try_from(column).ok().filter(|column| *column > 0),
    })
}

pub(super) fn shown_refusal(refusal: &Refusal) -> report::Refusal {
    let line = refusal.place.line;
    let text = std::fs::read_to_string(&refusal.file).unwrap_or_default();
    let excerpt = line
        .checked_sub(1)
        .and_then(|index| text.lines().nth(index));
    report::Refusal {
        code: refusal.code.to_string(),
        message: refusal.message.clone(),
        place: place(&refusal.file, line, refusal.place.column),
        excerpt: excerpt.map(|text| report::Excerpt {
            line: u32::try_from(line).unwrap_or(0),
            text: text.to_owned(),
        }),
        reasons: refusal.reasons.clone(),
        for_next_session: refusal.for_next_session,
    }
}

/// What an editor shows of a diagnostic. That rustc gives up is said of no place.
pub(super) fn shown_problem(diagnostic: &Diagnostic) -> Option<report::Problem> {
    let place = diagnostic.places.first();
    if place.is_none() && diagnostic.code.is_none() && diagnostic.message.starts_with("aborting ") {
        return None;
    }
    let at =
        |(file, line): &(String, usize)| self::place(Path::new(file), *line, diagnostic.column);
    Some(report::Problem {
        is_error: diagnostic.error,
        message: diagnostic.message.clone(),
        code: diagnostic.code.clone(),
        place: place.and_then(at),
    })
}

pub(super) fn shown_note(note: &Note) -> report::Note {
    report::Note {
        code: note.code.to_string(),
        message: note.message.clone(),
        place: place(&note.file, note.line, 0),
    }
}

pub(super) fn coded_note(note: &Note) -> Coded {
    let on_stack = note.on_stack.as_ref();
    Coded {
        thread: on_stack.map(|of| of.thread.clone()),
        function: on_stack.map(|of| of.function.clone()),
        code: note.code.to_string(),
        message: note.message.clone(),
        file: Some(note.file.display().to_string()),
        line: u32::try_from(note.line).ok(),
        reasons: Vec::new(),
    }
}
