//! Which tests are run next, and what came of those that were.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::output::Output;
use super::program::{Process, Tested};
use super::{FAILED, Next, Session};
use crate::build::base;
use crate::run::child::{ExitHow, TERM_GRACE};
use crate::session::exact::Reach;
use crate::session::program::Running;
use crate::ui::events::{self, Event, Milliseconds, Tests};
use crate::ui::tests::Tally;

/// A run of tests in one process.
pub(super) struct Run {
    pub(super) program: usize,
    pub(super) running: Arc<Running>,
    pub(super) number: u64,
    pub(super) kind: Kind,
    pub(super) output: Output,
    pub(super) began: Instant,
    pub(super) exit: Option<ExitHow>,
    pub(super) has_written_all: bool,
    /// It was ended because of a save.
    pub(super) is_ended: bool,
}

/// Which tests are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// All of the program.
    All,
    /// Those that lead to what has changed, and those that failed.
    Reached,
    /// The others.
    Others,
}

/// What became of a save so far.
pub(super) struct Round {
    pub(super) at: Instant,
    /// It is one of a start, or somebody asked for it: all tests are run at once.
    pub(super) is_of_all: bool,
    pub(super) reached: Tally,
    pub(super) others: Tally,
    pub(super) told_of_reached: bool,
    pub(super) told_of_all: bool,
    pub(super) differs: bool,
    pub(super) has_failed_to_compile: bool,
    /// What was said of it, as several programs have the same crates.
    pub(super) said: BTreeSet<String>,
}

impl Round {
    pub(super) fn new(at: Instant) -> Self {
        Self {
            at,
            is_of_all: false,
            reached: Tally::default(),
            others: Tally::default(),
            told_of_reached: false,
            told_of_all: false,
            differs: false,
            has_failed_to_compile: false,
            said: BTreeSet::new(),
        }
    }
}

impl Session<'_> {
    /// Does what can be done now.
    pub(super) fn go_on(&mut self) -> Result<Next> {
        if let Some(run) = &self.run {
            if run.exit.is_none() || !run.has_written_all {
                return Ok(Next::GoOn);
            }
            if let Some(run) = self.run.take() {
                self.take_results(&run);
            }
        }
        // A worker has let a process go just now.
        if self.desk().is_busy {
            return Ok(Next::GoOn);
        }
        if let Some(index) = self.todo.pop_front() {
            self.start(index)?;
            return Ok(Next::GoOn);
        }
        let is_pending = self.programs.iter().any(|program| program.is_pending);
        if self.needs_build.is_some() && !is_pending {
            return self.build_anew();
        }
        if self.round.has_failed_to_compile && !is_pending {
            if !std::mem::replace(&mut self.round.told_of_all, true) {
                self.write_tested();
            }
            self.read_keys();
            return Ok(Next::GoOn);
        }
        if let Some(index) = self.ready_for(Kind::Reached) {
            self.release(index, Kind::Reached)?;
            return Ok(Next::GoOn);
        }
        let is_due = |program: &Tested| !program.due.is_empty();
        if is_pending || self.programs.iter().any(is_due) {
            return Ok(Next::GoOn);
        }
        self.tell_of_reached();
        if let Some(index) = self.ready_for(Kind::Others) {
            self.release(index, Kind::Others)?;
            return Ok(Next::GoOn);
        }
        if self.programs.iter().any(|program| program.is_rest_due) {
            return Ok(Next::GoOn);
        }
        Ok(self.tell_of_all())
    }

    /// A program that can run tests of this kind now.
    pub(super) fn ready_for(&mut self, kind: Kind) -> Option<usize> {
        let affected = self.args.affected && !self.round.is_of_all;
        for program in &mut self.programs {
            // Of a program that is not libtest's nothing is known of its tests.
            if program.known.is_none() && !program.due.is_empty() {
                program.due.clear();
            }
            if program.is_rest_due && affected && program.known.is_some() {
                program.is_rest_due = false;
            }
        }
        // What is being made ready reads what cargo would write.
        let is_making = |program: &Tested| matches!(program.process, Process::Making(..));
        let must_wait = self.are_programs_stale && self.programs.iter().any(is_making);
        self.programs.iter().position(|program| {
            if program.starts_programs && must_wait {
                return false;
            }
            let is_due = match kind {
                Kind::Reached => !program.due.is_empty(),
                Kind::All | Kind::Others => program.is_rest_due,
            };
            is_due && !program.is_pending && matches!(program.process, Process::Ready(..))
        })
    }

    /// Lets the process of a program run tests.
    pub(super) fn release(&mut self, index: usize, kind: Kind) -> Result<()> {
        if self.programs[index].starts_programs && self.are_programs_stale && !self.build_programs()
        {
            self.programs[index].due.clear();
            self.programs[index].is_rest_due = false;
            return Ok(());
        }
        let program = &self.programs[index];
        let is_all_done = program
            .known
            .as_ref()
            .is_some_and(|known| kind == Kind::Others && known.is_subset(&program.done));
        if is_all_done && !program.done.is_empty() {
            self.programs[index].is_rest_due = false;
            return self.go_on().map(drop);
        }
        let words = self.words(kind, index);
        let program = &mut self.programs[index];
        let Process::Ready(running, number) =
            std::mem::replace(&mut program.process, Process::None)
        else {
            return Ok(());
        };
        let released = match &program.worker {
            Some(worker) => worker.release(Some(words)),
            None => return Ok(()),
        };
        match released {
            Ok(()) => self.begin_run(index, running, number, kind),
            // It was ended: there will be another one.
            Err(_) => self.stand_by(index),
        }
        Ok(())
    }

    /// Has cargo build what tests may start. Says itself why that is not possible.
    pub(super) fn build_programs(&mut self) -> bool {
        self.report.programs_are_built();
        let built = base::build_programs(&self.project, &self.args.build, self.args, &self.ending);
        match built {
            Ok(()) => {
                self.are_programs_stale = false;
                true
            }
            Err(error) => {
                self.report
                    .setback("build the programs that tests may start", &error);
                self.round.has_failed_to_compile = true;
                false
            }
        }
    }

    /// Takes in what came of a run.
    pub(super) fn take_results(&mut self, run: &Run) {
        self.desk().is_busy = false;
        let program = &mut self.programs[run.program];
        if let Some(worker) = &program.worker {
            worker.halt();
        }
        program.process = Process::None;
        let counts = run.output.counts();
        let failed = run.output.failed();
        let seen: BTreeSet<String> = run.output.ended.keys().cloned().collect();
        program.failed.retain(|name| !seen.contains(name));
        program
            .failed
            .extend(failed.iter().map(|test| test.name.clone()));
        if let Some(known) = &mut program.known {
            known.extend(seen.iter().cloned());
        }
        program.done.extend(seen.iter().cloned());
        program.due.retain(|name| !seen.contains(name));
        let exit = run.exit.unwrap_or(ExitHow::Code(1));
        let has_libtest = program.known.is_some();
        let ended = match exit {
            _ if run.is_ended => None,
            ExitHow::Code(0) => None,
            ExitHow::Code(code) if has_libtest && code == i32::from(FAILED) => None,
            ExitHow::Code(code) => Some(format!("ended with status {code}")),
            ExitHow::Signal(signal) => Some(format!("was ended by signal {signal}")),
        };
        if !run.is_ended {
            program.has_crashed = ended.is_some();
            match run.kind {
                Kind::Reached => {
                    let gone = std::mem::take(&mut program.due);
                    // Names that are no tests, or no more; unless the program has not come to them.
                    if ended.is_none() {
                        if let Some(known) = &mut program.known {
                            known.retain(|name| !gone.contains(name));
                        }
                        program.failed.retain(|name| !gone.contains(name));
                    }
                }
                Kind::All | Kind::Others => program.is_rest_due = false,
            }
            let tally = match run.kind {
                Kind::Reached => &mut self.round.reached,
                Kind::All | Kind::Others => &mut self.round.others,
            };
            let own = usize::from(!has_libtest);
            tally.run += counts.passed + counts.failed + counts.ignored + own;
            tally.passed += counts.passed + own * usize::from(ended.is_none());
            tally
                .failed
                .extend(failed.iter().map(|test| test.name.clone()));
            tally.took += run.began.elapsed();
            if let Some(ended) = &ended {
                self.report
                    .test_program_ended(&program.program.title, ended);
                tally.failed.push(program.program.title.clone());
            }
            let count = program.count();
            let event = Tests {
                program: program.program.title.clone(),
                package: program.program.package.name.to_string(),
                affected: run.kind == Kind::Reached,
                run: seen.into_iter().collect(),
                passed: counts.passed,
                ignored: counts.ignored,
                skipped: count.saturating_sub(counts.passed + counts.failed + counts.ignored),
                failed,
                ended,
                ms: Milliseconds(run.began.elapsed()),
                since_save: Some(Milliseconds(self.round.at.elapsed())),
            };
            self.write(Event::Tests(event));
        }
        let program = &self.programs[run.program];
        let fails_fast = self.args.once && !self.args.no_fail_fast && !program.is_well();
        if fails_fast {
            self.todo.clear();
        }
        if !self.args.once {
            self.stand_by(run.program);
        }
    }

    pub(super) fn write(&self, event: Event) {
        if let Err(error) = self.log.write(event, None) {
            self.report.setback("write to the events file", &error);
        }
    }

    /// All that was due was run, or does not compile.
    pub(super) fn write_tested(&self) {
        let failing = self.programs.iter().flat_map(|program| {
            let title = program.has_crashed.then(|| program.program.title.clone());
            program.failed.iter().cloned().chain(title)
        });
        self.write(Event::Tested(events::Tested {
            reached: self.round.reached.run,
            others: self.round.others.run,
            failing: failing.collect(),
            broken: self.round.has_failed_to_compile,
            since_save: Milliseconds(self.round.at.elapsed()),
        }));
    }

    pub(super) fn tell_of_reached(&mut self) {
        if self.round.is_of_all || std::mem::replace(&mut self.round.told_of_reached, true) {
            return;
        }
        let all = self.programs.iter().map(Tested::count).sum();
        if self.round.reached.run > 0 {
            self.report
                .tests_reached(&self.round.reached, all, self.round.at.elapsed());
        } else if self.round.differs {
            self.report.no_tests_reached(all);
        } else {
            self.report.nothing_to_test();
        }
    }

    pub(super) fn tell_of_all(&mut self) -> Next {
        if std::mem::replace(&mut self.round.told_of_all, true) {
            return Next::GoOn;
        }
        if self.round.is_of_all {
            self.report.all_tests(&self.round.others);
        } else if self.round.others.run > 0 {
            self.report.other_tests(&self.round.others);
        }
        self.write_tested();
        if self.args.once {
            return Next::End(self.status());
        }
        self.read_keys();
        if !std::mem::replace(&mut self.told_of_doc_tests, true) {
            let mut targets = self.project.members().flat_map(|package| &package.targets);
            let has_doc_tests =
                !self.args.selects_targets() && targets.any(|of| of.doctest && of.is_lib());
            self.report.tests_wait(has_doc_tests, self.keys.is_some());
        }
        Next::GoOn
    }
}

impl Tested {
    /// Takes in what differs since its tests were run last.
    pub(super) fn take_reach(&mut self, reach: Reach, round: &mut Round) {
        round.differs |= reach.differs;
        self.is_rest_due |= reach.differs;
        let Some(known) = &self.known else {
            return;
        };
        let is_test = |name: &String| known.contains(name) || reach.added.contains(name);
        self.due
            .extend(reach.functions.iter().filter(|name| is_test(name)).cloned());
        if reach.differs {
            self.due.extend(self.failed.iter().cloned());
        }
    }
}

/// Has a process ended that still waits when the session ends.
impl Drop for Tested {
    fn drop(&mut self) {
        // The worker goes first: it works on the process.
        self.worker = None;
        if let Process::Making(running, _) | Process::Ready(running, _) | Process::Runs(running) =
            &self.process
        {
            running
                .child
                .terminate(TERM_GRACE.min(Duration::from_millis(500)));
        }
    }
}
