//! Back to what ran before an edit, and forth again, each judged by the fresh build of that source.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use fastrand::Rng;

use super::model::Model;
use super::oracle::State;
use super::outcome::Outcome;
use super::trial::{Trial, VERDICT};
use crate::programs::ask_tool;

impl Trial {
    /// Leads the program back to the source before, and forth again. A step may be refused: then nothing may have changed.
    pub(super) fn back_and_forth(
        &mut self,
        out: &mut Outcome,
        (before, program): (Model, PathBuf),
        rng: &mut Rng,
    ) -> Result<Option<String>> {
        let now = (self.model.clone(), self.program.clone());
        for (step, (model, program)) in [("undo", (before, program)), ("redo", now)] {
            let state = State::of(&mut self.session.talk)?;
            if !self.step_to(step, &model)? {
                out.notes.push(format!("{step} refused"));
                let after = State::of(&mut self.session.talk)?;
                return Ok((after != state)
                    .then(|| format!("a {step} that was refused changed {state:?} to {after:?}")));
            }
            out.notes.push(step.to_owned());
            (self.model, self.program) = (model, program);
            let after =
                State::of(&mut self.session.talk).with_context(|| format!("after the {step}"))?;
            let problem = match self.continues(&state, &after)? {
                Some(problem) => Some(problem),
                None => self.compare(out, rng, &after)?,
            };
            if let Some(problem) = problem {
                return Ok(Some(format!("{step}: {problem}")));
            }
        }
        Ok(None)
    }

    /// Asks for a step; gives back whether it was taken.
    fn step_to(&mut self, step: &str, model: &Model) -> Result<bool> {
        let tool = self.session.tool_pid().to_string();
        let output = ask_tool(&self.project, &[step, "--pid", &tool])?;
        let words = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(0) => {}
            Some(3) if words.contains("HP0") => return Ok(false),
            status => bail!("{step} ended with {status:?}: {words}"),
        }
        loop {
            let event = self.session.event(VERDICT)?;
            if event.name() != "undone" {
                continue;
            }
            for note in event.field("notes").as_array().into_iter().flatten() {
                let message = note["message"].as_str().context("a note without message")?;
                self.taint.add(&self.model, model, message);
            }
            return Ok(true);
        }
    }
}
