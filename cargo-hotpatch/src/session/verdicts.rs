//! What came of a save: said, written down, and followed by what was chosen for it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anstream::adapter::strip_str;
use anyhow::Result;

use super::outcome::{Outcome, Patched};
use super::program::Stranger;
use super::restart::{About, With};
use super::shown::{
    coded_note, confirmed_event, patched_event, phases, shown, shown_note, shown_problem,
    shown_refusal,
};
use super::worker::Verdict;
use super::{BUILD_FAILED, Next, Session};
use crate::args::OnRefuse;
use crate::build::diagnostics::Diagnostic;
use crate::control::{Judged, Kind};
use crate::plan::codes::Code;
use crate::plan::verdict::Refusal;
use crate::source::file::Place;
use crate::ui::events::{Broken, Coded, Diagnosed, Event};
use crate::ui::report;

impl Session<'_> {
    /// The exact lane agrees with what runs ahead of it.
    pub(super) fn confirmed(&mut self, patched: Patched, total: Duration, revision: String) {
        let notes: Vec<report::Note> = patched.notes.iter().map(shown_note).collect();
        let event = confirmed_event(&patched, total);
        self.report.confirmed(&event, &notes);
        self.write_of(Event::Confirmed(event), revision);
    }

    pub(super) fn verdict(&mut self, verdict: Verdict) -> Result<Next> {
        let files: Vec<String> = verdict.files.iter().map(|path| shown(path)).collect();
        let revision = verdict.revision;
        match verdict.outcome {
            Ok(Outcome::Unchanged) => {
                self.report.unchanged(&files);
                self.write_of(Event::Unchanged {}, revision);
            }
            Ok(Outcome::Patched(patched)) => {
                let phases = phases(&patched, verdict.settle, verdict.total);
                let notes: Vec<report::Note> = patched.notes.iter().map(shown_note).collect();
                let event = patched_event(patched, phases);
                self.report.patched(&event, &notes);
                self.write_of(Event::Patched(event), revision);
            }
            Ok(Outcome::Broken(found)) => {
                let (rendered, problems, broken) = self.broken(&found);
                self.report
                    .broken(&rendered, &problems, &files, !self.is_waiting());
                self.write_of(Event::Broken(broken), revision);
            }
            Ok(Outcome::Refused(refusal)) => return self.refused(&refusal, Some(revision)),
            Err(error) => {
                self.report.setback("patch the edit", error.as_ref());
                self.write_of(Event::Refused(failed(&error)), revision);
            }
        }
        Ok(Next::GoOn)
    }

    /// What an edit that does not compile has to say: for the terminal, for editors, and as an event.
    pub(super) fn broken(&self, found: &[Diagnostic]) -> (String, Vec<report::Problem>, Broken) {
        let rendered: String = found.iter().map(|d| d.rendered.as_str()).collect();
        let plain = strip_str(&rendered).to_string();
        let unsaid = found.iter().filter(|diagnostic| !diagnostic.is_said);
        let unsaid: String = unsaid.map(|d| d.rendered.as_str()).collect();
        let problems: Vec<report::Problem> = found.iter().filter_map(shown_problem).collect();
        let mut errors = found.iter().filter(|diagnostic| diagnostic.error);
        let place = errors.next().and_then(|error| error.places.first());
        let diagnostics = problems.iter().map(|problem| {
            let place = problem.place.as_ref();
            Diagnosed {
                severity: problem.severity().to_owned(),
                message: problem.message.clone(),
                code: problem.code.clone(),
                file: place.map(|place| self.absolute(&place.file)),
                line: place.map(|place| place.line),
                column: place.and_then(|place| place.column),
            }
        });
        let broken = Broken {
            diagnostics: diagnostics.collect(),
            file: place.map(|(file, _)| self.absolute(file)),
            line: place.and_then(|(_, line)| u32::try_from(*line).ok()),
            rendered: plain,
        };
        let words = match self.report.paint().color {
            true => unsaid,
            false => strip_str(&unsaid).to_string(),
        };
        (words, problems, broken)
    }

    /// A verdict that nobody has to hear but who asked what it would be.
    pub(super) fn judged(&self, verdict: Verdict) -> Judged {
        let judged = Judged {
            revision: Some(verdict.revision),
            generation: self.ledger.generation(),
            ..Judged::default()
        };
        match verdict.outcome {
            Ok(Outcome::Unchanged) => judged,
            Ok(Outcome::Patched(patched)) => Judged {
                verdict: Kind::Patched,
                ms: Some(phases(&patched, verdict.settle, verdict.total)),
                notes: patched.notes.iter().map(coded_note).collect(),
                functions: patched.functions,
                ..judged
            },
            Ok(Outcome::Refused(refusal)) => Judged {
                verdict: Kind::Refused,
                refusal: Some(coded(&refusal)),
                ..judged
            },
            Ok(Outcome::Broken(found)) => {
                let (_, _, broken) = self.broken(&found);
                Judged {
                    verdict: Kind::Broken,
                    rendered: Some(broken.rendered),
                    diagnostics: broken.diagnostics,
                    file: broken.file,
                    line: broken.line,
                    ..judged
                }
            }
            Err(error) => Judged {
                verdict: Kind::Refused,
                refusal: Some(failed(&error)),
                ..judged
            },
        }
    }

    /// The worker gives up: nothing more becomes of edits in this process.
    pub(super) fn lost(&mut self, error: &anyhow::Error, is_held: bool) -> Result<Next> {
        let Some(program) = self.program.as_mut() else {
            return Ok(Next::GoOn);
        };
        if !program.running.child.is_running() {
            return Ok(Next::GoOn);
        }
        if is_held {
            // Nobody can let it go: another process runs without a tool that knows it.
            let base = program.base.clone();
            let running = self.launch(&base, false)?;
            self.ledger.started(running.child.pid());
            if let Some(program) = self.program.as_mut() {
                program.running = running;
            }
        }
        self.report.not_ready(error.as_ref());
        let Some(program) = self.program.as_mut() else {
            return Ok(Next::GoOn);
        };
        program.lost = Some(match error.downcast_ref::<Stranger>() {
            Some(stranger) => (Code::HP0403, stranger.to_string()),
            None => (
                Code::HP0001,
                format!("this run cannot be patched: {error:#}"),
            ),
        });
        // What it had at hand has its verdict with that.
        match self.ledger.is_pending() {
            true => self.refused_as_lost(&BTreeSet::new()),
            false => {
                self.answer_all();
                Ok(Next::GoOn)
            }
        }
    }

    /// The verdict of a save whose program cannot be patched.
    pub(super) fn refused_as_lost(&mut self, files: &BTreeSet<PathBuf>) -> Result<Next> {
        let program = self.program.as_ref();
        let Some((code, why)) = program.and_then(|program| program.lost.clone()) else {
            return Ok(Next::GoOn);
        };
        let file = files.first().cloned().unwrap_or_default();
        let refusal = Refusal::new(code, why, file, Place::default());
        let next = self.refused(&refusal, None);
        self.ledger.settled();
        self.answer_all();
        next
    }

    /// rustc names files as it was told of them, relative to where it ran.
    fn absolute(&self, file: &str) -> String {
        let cwd = self
            .program
            .as_ref()
            .and_then(|p| p.base.units.last())
            .map(|unit| &unit.cwd);
        cwd.map_or_else(
            || file.to_owned(),
            |cwd| cwd.join(file).display().to_string(),
        )
    }

    pub(super) fn refused(&mut self, refusal: &Refusal, revision: Option<String>) -> Result<Next> {
        let decided = self.decided.get(&refusal.code);
        let on_refuse = match refusal.code {
            // A restart would bring what was taken back, and nobody has asked for that.
            Code::HP0208 => OnRefuse::Stay,
            _ => *decided.unwrap_or(&self.on_refuse),
        };
        let reader = (on_refuse == OnRefuse::Ask)
            .then(|| self.reader())
            .flatten();
        let next = match on_refuse {
            OnRefuse::Ask if reader.is_some() => report::Next::Ask,
            OnRefuse::Ask => report::Next::Elsewhere,
            OnRefuse::Restart => report::Next::Restart,
            OnRefuse::Stay => report::Next::Stay,
            OnRefuse::Quit => report::Next::Quit,
        };
        self.report.refused(&shown_refusal(refusal), next);
        let refused = Event::Refused(coded(refusal));
        self.write_at(refused, revision);
        match on_refuse {
            OnRefuse::Stay => {}
            OnRefuse::Quit => return Ok(Next::End(BUILD_FAILED)),
            OnRefuse::Restart => {
                self.restart(With::AllThatIsKept)?;
            }
            OnRefuse::Ask => {
                if let Some(reader) = reader {
                    self.ask(About::Refusal(refusal.code), reader);
                }
            }
        }
        Ok(Next::GoOn)
    }
}

fn coded(refusal: &Refusal) -> Coded {
    Coded {
        code: refusal.code.to_string(),
        message: refusal.message.clone(),
        file: Some(refusal.file.display().to_string()),
        line: u32::try_from(refusal.place.line).ok(),
        reasons: refusal.reasons.clone(),
        ..Coded::default()
    }
}

/// What failed beside any edit.
fn failed(error: &anyhow::Error) -> Coded {
    Coded {
        code: Code::HP0001.to_string(),
        message: format!("{error:#}"),
        ..Coded::default()
    }
}
