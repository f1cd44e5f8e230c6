//! Random programs under random edits: what a patched process prints is what a fresh build prints.
//!
//! [`grow`] makes an abstract program ([`model`]), [`edit`] changes it, [`print`](mod@print) and [`code`] write it as
//! source. A [`trial`] runs one program under `cargo hotpatch run` and saves one edit after the other; after each,
//! [`oracle`] builds the new source with rustc alone, loads the state of the patched process and gives both the
//! same commands. Notes excuse only commands that lead to what they name ([`taint`]). After some patches the program is led
//! back to the source before and forth again, each time judged in the same way.
//!
//! The programs check themselves too: their allocator ends them when a block is freed with another layout than it
//! was made with, and code that was never patched writes down the statics beside code that was.
//!
//! All of it follows from a seed. A trial's seed and the number of the edit are in the report of a finding, whose
//! folder holds the sources before and after.

pub mod code;
pub mod edit;
pub mod expr;
pub mod frame;
pub mod grow;
pub mod model;
pub mod oracle;
pub mod outcome;
pub mod print;
pub mod report;
mod steps;
pub mod taint;
pub mod trial;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use fastrand::Rng;

use edit::Edit;
use model::Model;
use oracle::State;
use report::Report;
use trial::{Setup, Trial};

/// How to run.
#[derive(Clone, Debug)]
pub struct RandomOptions {
    /// Everything follows from it.
    pub seed: u64,
    /// The number of the first program: a report of a finding names the seed and it.
    pub first: u64,
    /// How many edits in all.
    pub edits: u64,
    /// How many edits one program lives through.
    pub each: u64,
    /// How many programs run at a time.
    pub jobs: usize,
    /// How many of the first programs run under valgrind.
    pub valgrind: u64,
    /// Kinds of edits; all when empty.
    pub kinds: Vec<String>,
    /// Kinds that are left out.
    pub without: Vec<String>,
    /// Where findings are kept.
    pub keep: PathBuf,
}

/// What all programs of a run share.
struct Run<'a> {
    options: &'a RandomOptions,
    left: Mutex<u64>,
    number: AtomicU64,
    report: Mutex<Report>,
    tell: &'a (dyn Fn(&str) + Sync),
}

/// Runs random edits and reports what came of them. `tell` hears what happens meanwhile.
pub fn run(options: &RandomOptions, tell: &(dyn Fn(&str) + Sync)) -> Result<Report> {
    crate::workspace::tool()?;
    let run = Run {
        options,
        left: Mutex::new(options.edits),
        number: AtomicU64::new(options.first),
        report: Mutex::default(),
        tell,
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..options.jobs.max(1))
            .map(|slot| {
                let run = &run;
                scope.spawn(move || run.work(slot))
            })
            .collect();
        for worker in workers {
            worker
                .join()
                .expect("invariant: a worker returns its errors")?;
        }
        anyhow::Ok(())
    })?;
    Ok(run
        .report
        .into_inner()
        .expect("invariant: no worker panicked"))
}

impl Run<'_> {
    fn report(&self) -> std::sync::MutexGuard<'_, Report> {
        self.report
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes up to `most` edits from those that are left.
    fn take(&self, most: u64) -> u64 {
        let mut left = self
            .left
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let taken = most.min(*left);
        *left -= taken;
        taken
    }

    fn give_back(&self, edits: u64) {
        *self
            .left
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) += edits;
    }

    fn work(&self, slot: usize) -> Result<()> {
        loop {
            let edits = self.take(self.options.each);
            if edits == 0 {
                return Ok(());
            }
            let number = self.number.fetch_add(1, Ordering::Relaxed);
            let used = self
                .program(slot, number, edits)
                .with_context(|| format!("program {number}"))?;
            self.give_back(edits.saturating_sub(used.max(1)));
        }
    }

    /// Lets one program live through some edits; returns how many it came to.
    fn program(&self, slot: usize, number: u64, edits: u64) -> Result<u64> {
        let seed = self
            .options
            .seed
            .wrapping_mul(1_000_003)
            .wrapping_add(number);
        let mut rng = Rng::with_seed(seed);
        let name = format!("random_{slot}");
        let model = grow::program(&name, &mut rng);
        let mut setup = Setup {
            slot,
            restart: rng.u8(..5) == 0,
            valgrind: None,
        };
        if number - self.options.first < self.options.valgrind {
            std::fs::create_dir_all(&self.options.keep)?;
            setup.valgrind = Some(std::path::absolute(
                self.options.keep.join(format!("valgrind-{seed}")),
            )?);
            setup.restart = false;
        }
        (self.tell)(&format!(
            "program {number} (seed {seed}): opt-level {}, restart {}",
            model.opt_level, setup.restart
        ));
        // An edit of an optimised program takes several times as long.
        let edits = match model.opt_level {
            0 => edits,
            _ => edits.div_ceil(3),
        };
        let mut trial = Trial::start(model, &setup)?;
        self.report().programs += 1;
        trial
            .warm_up(&mut rng)
            .map_err(|error| error.context(trial.said()))?;
        let mut earlier: Vec<Model> = Vec::new();
        for at in 0..edits {
            if trial.is_spent() {
                self.finish(trial, seed)?;
                return Ok(at);
            }
            let Some((new, edit)) = self.draw(&trial, &earlier, &mut rng) else {
                continue;
            };
            let before = trial.model.clone();
            let outcome = trial.step(new.clone(), &edit, &mut rng)?;
            (self.tell)(&format!(
                "{seed}/{at} {}: {} -> {} {:?} {} {:.1?}",
                edit.kind, edit.what, outcome.verdict, outcome.notes, outcome.reason, outcome.took
            ));
            self.report().count(&edit.kind, &outcome);
            if let Some(said) = &outcome.invalid {
                self.save_case(&format!("invalid-{seed}-{at}"), &before, &new, said)?;
            }
            if let Some(finding) = &outcome.finding {
                let state = trial.state.clone();
                let said = trial.said();
                drop(trial);
                if outcome.invalid.is_none() {
                    let again = self.alone(&setup, &before, &new, &edit, state, seed);
                    let again = again.unwrap_or_else(|error| format!("{error:#}"));
                    let text = format!(
                        "seed {seed}, edit {at}, {}: {}\nverdict: {}\n\n{finding}\n\nThe edit alone, in a new session and the same state: {again}\n\n{said}",
                        edit.kind, edit.what, outcome.verdict
                    );
                    let folder = self.save_case(
                        &format!("{seed}-{at}-{}", edit.kind),
                        &before,
                        &new,
                        &text,
                    )?;
                    let line = finding.lines().next().unwrap_or_default();
                    let line = line.chars().take(300).collect::<String>();
                    (self.tell)(&format!(
                        "FINDING in {}: {line} (alone: {again})",
                        folder.display()
                    ));
                    self.report()
                        .findings
                        .push(format!("{}: {line}", folder.display()));
                }
                return Ok(at + 1);
            }
            if outcome.verdict == "patched" {
                earlier.push(before);
            }
        }
        self.finish(trial, seed)?;
        Ok(edits)
    }

    fn finish(&self, trial: Trial, seed: u64) -> Result<()> {
        if let Some(complaint) = trial.end()? {
            self.report()
                .findings
                .push(format!("seed {seed}: {complaint}"));
        }
        Ok(())
    }

    /// Draws the next edit.
    fn draw(&self, trial: &Trial, earlier: &[Model], rng: &mut Rng) -> Option<(Model, Edit)> {
        let options = self.options;
        let named =
            |name: &str| options.kinds.is_empty() || options.kinds.iter().any(|kind| kind == name);
        let wanted = |name: &str| named(name) && !options.without.iter().any(|kind| kind == name);
        let luck = rng.u8(..30);
        if luck == 0 && wanted("revert") && !earlier.is_empty() {
            let mut new = rng.choice(earlier)?.clone();
            // Numbers are never used again, so that names stay unique.
            new.next = trial.model.next;
            let edit = Edit {
                kind: "revert".to_owned(),
                what: "an earlier source".to_owned(),
            };
            return Some((new, edit));
        }
        let mut new = trial.model.clone();
        new.broken = None;
        let mut edit = edit::edit(&mut new, rng, &wanted)?;
        if luck < 4 {
            for _ in 0..rng.u8(1..3) {
                if let Some(more) = edit::edit(&mut new, rng, &wanted) {
                    edit.kind += &format!("+{}", more.kind);
                    edit.what += &format!("; {}", more.what);
                }
            }
        }
        Some((new, edit))
    }

    /// Repeats one edit in a session of its own and says what came of it.
    fn alone(
        &self,
        setup: &Setup,
        before: &Model,
        new: &Model,
        edit: &Edit,
        state: Option<State>,
        seed: u64,
    ) -> Result<String> {
        let mut rng = Rng::with_seed(seed);
        let mut trial = Trial::start(before.clone(), setup)?;
        if let Some(state) = state {
            trial.load(&state)?;
        }
        trial.warm_up(&mut rng)?;
        let outcome = trial.step(new.clone(), edit, &mut rng)?;
        Ok(match outcome.finding {
            Some(finding) => format!("{}, {finding}", outcome.verdict),
            None => format!("{}, as it should be", outcome.verdict),
        })
    }

    /// Keeps the sources of an edit.
    fn save_case(&self, name: &str, before: &Model, after: &Model, text: &str) -> Result<PathBuf> {
        let name: String = name.chars().take(100).collect();
        let folder = self.options.keep.join(name);
        let runtime = crate::workspace::runtime();
        let save = |part: &str, model: &Model| {
            let files = print::files(model, &runtime.to_string_lossy());
            oracle::write(&folder.join(part), &files)
        };
        save("before", before)?;
        save("after", after)?;
        std::fs::write(folder.join("README"), text)?;
        Ok(folder)
    }
}

/// Writes the program of a seed into a folder, to look at it.
pub fn write_program(folder: &Path, seed: u64) -> Result<()> {
    let model = grow::program("random_0", &mut Rng::with_seed(seed));
    oracle::write(
        folder,
        &print::files(&model, &crate::workspace::runtime().to_string_lossy()),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The text of a program after some edits, and the kinds of those.
    fn edited(seed: u64, edits: u32) -> (print::Files, BTreeSet<String>) {
        let mut rng = Rng::with_seed(seed);
        let mut model = grow::program("app", &mut rng);
        let made = (0..edits).filter_map(|_| edit::edit(&mut model, &mut rng, &|_| true));
        let kinds = made.map(|edit| edit.kind).collect();
        (print::files(&model, ""), kinds)
    }

    #[test]
    fn a_seed_always_gives_the_same() {
        assert_eq!(edited(7, 20), edited(7, 20));
        assert_ne!(edited(7, 20).0, edited(8, 20).0);
    }

    #[test]
    fn every_kind_of_edit_is_made() {
        let made: BTreeSet<String> = (0..30).flat_map(|seed| edited(seed, 60).1).collect();
        let missing = edit::KINDS.iter().filter(|kind| !made.contains(kind.name));
        let missing: Vec<&str> = missing.map(|kind| kind.name).collect();
        assert!(missing.is_empty(), "never made: {missing:?}");
    }

    #[test]
    fn a_note_excuses_who_leads_to_what_it_names() {
        let mut rng = Rng::with_seed(3);
        let model = grow::program("app", &mut rng);
        let commands = outcome::commands(&model);
        let command = commands.first().expect("a program has commands");
        let mut taint = taint::Taint::default();
        assert!(!taint.reaches(&model, command));
        taint.add(
            &model,
            &model,
            "calls from `app::handle` keep the old code of `app::nothing`",
        );
        assert!(!taint.reaches(&model, command));
        taint.add(
            &model,
            &model,
            &format!("calls from `app::handle` keep the old code of `app::{command}`"),
        );
        assert!(taint.reaches(&model, command));
    }
}
