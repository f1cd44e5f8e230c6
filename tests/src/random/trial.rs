//! One program that lives through many edits, each judged by a fresh build.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fastrand::Rng;

use crate::events::Event;
use crate::project::Project;
use crate::session::{Options, Session};
use crate::workspace;

use super::edit::Edit;
use super::model::{Kind, Model, Role};
use super::oracle::{Build, Fresh, Oracle, State};
use super::outcome::{Outcome, commands, complaints, difference};
use super::print::{self, Files};
use super::taint::Taint;

/// How long a first build may take.
const FIRST_BUILD: Duration = Duration::from_secs(600);

/// How long a verdict may take.
pub(super) const VERDICT: Duration = Duration::from_secs(120);

/// How many kept closures and futures are called after an edit.
const CALLED: usize = 3;

/// A closure or future that the program keeps.
struct Kept {
    /// `call` or `poll`.
    command: &'static str,
    /// Its place in the program's list.
    index: usize,
    /// How often it was called.
    calls: u32,
}

/// How a trial is run.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Which project folder and target folder.
    pub slot: usize,
    /// Whether what is refused restarts the program.
    pub restart: bool,
    /// Where valgrind writes, when the program runs under it.
    pub valgrind: Option<PathBuf>,
}

/// A running program with its session.
pub struct Trial {
    /// The source that is live.
    pub model: Model,
    /// Sources that were live.
    pub earlier: Vec<Model>,
    /// The state before the last edit.
    pub state: Option<State>,
    setup: Setup,
    disk: Files,
    pub(super) session: Session,
    oracle: Oracle,
    pub(super) program: PathBuf,
    pub(super) taint: Taint,
    kept: Vec<Kept>,
    /// Entries of the state that were there once.
    seen: BTreeSet<String>,
    // After the session, which watches it.
    pub(super) project: Project,
}

impl Trial {
    /// Builds and starts a program.
    pub fn start(model: Model, setup: &Setup) -> Result<Trial> {
        let project = Project::empty(&format!("random-{}", setup.slot))?;
        let runtime = workspace::runtime();
        let disk = print::files(&model, &runtime.to_string_lossy());
        super::oracle::write(project.root(), &disk)?;
        let targets = workspace::root().join("target/random");
        let mut options = Options {
            target: targets.join(format!("slot-{}", setup.slot)),
            ..Options::default()
        };
        let answer = if setup.restart { "restart" } else { "stay" };
        options.options = vec!["--on-refuse".to_owned(), answer.to_owned()];
        if let Some(log) = &setup.valgrind {
            options.env = vec![("RANDOM_VALGRIND_LOG".to_owned(), log.clone().into())];
        }
        let mut session = Session::start(&project, &options)?;
        // Both build at the same time.
        let mut oracle = Oracle::new(&project.beside("fresh"), &runtime, &targets.join("plain"))?;
        let program = super::oracle::must(oracle.build(&model.name, &disk)?)?;
        let ready = session.ready(FIRST_BUILD);
        ready.map_err(|error| error.context(session.report()))?;
        Ok(Trial {
            model,
            earlier: Vec::new(),
            state: None,
            setup: setup.clone(),
            disk,
            session,
            oracle,
            program,
            taint: Taint::default(),
            kept: Vec::new(),
            seen: BTreeSet::new(),
            project,
        })
    }

    /// Puts the program into a state.
    pub fn load(&mut self, state: &State) -> Result<()> {
        state.load(&mut self.session.talk)
    }

    /// What was said so far.
    pub fn said(&self) -> String {
        self.session.report()
    }

    /// Whether notes excuse so much that a new program tells more.
    pub fn is_spent(&self) -> bool {
        let commands = commands(&self.model);
        let excused = commands
            .iter()
            .filter(|name| self.taint.reaches(&self.model, name));
        excused.count() * 4 > commands.len() * 3
    }

    /// Runs the program for a while, so that there is state.
    pub fn warm_up(&mut self, rng: &mut Rng) -> Result<()> {
        let state = State::of(&mut self.session.talk)?;
        self.seen.extend(state.entries().into_keys());
        let mut out = Outcome::new("start");
        let problem = self.compare(&mut out, rng, &state)?;
        ensure!(problem.is_none(), "at the start: {problem:?}");
        self.keep(rng)
    }

    /// Saves another source and judges what comes of it.
    pub fn step(&mut self, new: Model, edit: &Edit, rng: &mut Rng) -> Result<Outcome> {
        let files = print::files(&new, &workspace::runtime().to_string_lossy());
        let mut out = Outcome::new("no change");
        if files == self.disk {
            return Ok(out);
        }
        let before = State::of(&mut self.session.talk)?;
        self.state = Some(before.clone());
        self.save(&files)?;
        let start = Instant::now();
        let verdict = match self.verdict() {
            Ok(verdict) => verdict,
            Err(error) => {
                out.verdict = "none".to_owned();
                out.finding = Some(format!("{error:#}"));
                return Ok(out);
            }
        };
        out.verdict = verdict.name().to_owned();
        out.took.0 = start.elapsed().as_secs_f64();
        let judged = match verdict.name() {
            "patched" => self.patched(&mut out, new, &verdict, (&before, edit), &files, rng),
            "unchanged" => self.unchanged(&mut out, new, &files, (&before, edit), rng),
            "refused" => {
                out.verdict = verdict.text("code").to_owned();
                out.reason = self.reason(&verdict);
                self.refused(&mut out, new, &files, &before, edit, rng)
            }
            _ => self.broken(&mut out, &verdict, &new, &files, edit),
        };
        out.took.1 = start.elapsed().as_secs_f64() - out.took.0;
        match judged {
            Ok(finding) => out.finding = finding,
            Err(error) => out.finding = Some(format!("{error:#}")),
        }
        Ok(out)
    }

    /// Writes what differs from what is on disk, all files at once.
    fn save(&mut self, files: &Files) -> Result<()> {
        let root = self.project.root().to_owned();
        let changed: Vec<_> = files
            .iter()
            .filter(|(path, text)| self.disk.get(*path) != Some(text))
            .collect();
        // Written where nobody watches: what the tool sees is one event a file.
        let aside = self.project.beside("save");
        fs::create_dir_all(&aside)?;
        let place = |path: &str| (root.join(path), aside.join(path.replace('/', "-")));
        for (path, text) in &changed {
            let (whole, new) = place(path);
            fs::create_dir_all(whole.parent().context("a file is in a folder")?)?;
            fs::write(new, text)?;
        }
        let saved = self.session.behind_its_back(|| {
            for (path, _) in &changed {
                let (whole, new) = place(path);
                fs::rename(new, whole)?;
            }
            for path in self.disk.keys().filter(|path| !files.contains_key(*path)) {
                fs::remove_file(root.join(path))?;
            }
            Ok(())
        });
        self.disk = files.clone();
        saved.context("failed to save")
    }

    fn verdict(&mut self) -> Result<Event> {
        loop {
            let event = self
                .session
                .event(VERDICT)
                .context("waiting for a verdict")?;
            match event.name() {
                "exited" => bail!("the program ended: {event}"),
                _ if event.is_verdict() => {
                    self.session.check_alive()?;
                    return Ok(event);
                }
                _ => {}
            }
        }
    }

    fn patched(
        &mut self,
        out: &mut Outcome,
        new: Model,
        verdict: &Event,
        (before, edit): (&State, &Edit),
        files: &Files,
        rng: &mut Rng,
    ) -> Result<Option<String>> {
        let program = match self.oracle.build(&new.name, files)? {
            Build::Program(program) => program,
            Build::Broken(said) if edit.kind.contains("broken") => {
                return Ok(Some(format!("patched, but it does not compile:\n{said}")));
            }
            Build::Broken(said) => {
                out.invalid = Some(said.clone());
                return Ok(Some(format!("patched, but it does not compile:\n{said}")));
            }
        };
        let notes = verdict
            .field("notes")
            .as_array()
            .cloned()
            .unwrap_or_default();
        for note in &notes {
            let (code, message) = (note["code"].as_str(), note["message"].as_str());
            let (code, message) = code
                .zip(message)
                .context("a note without code or message")?;
            out.notes.push(code.to_owned());
            self.taint.add(&self.model, &new, message);
        }
        let was = (self.model.clone(), self.program.clone());
        self.earlier.push(std::mem::replace(&mut self.model, new));
        self.program = program;
        let after = State::of(&mut self.session.talk).context("after the patch")?;
        if let Some(problem) = self.continues(before, &after)? {
            return Ok(Some(problem));
        }
        if let Some(problem) = self.compare(out, rng, &after)? {
            return Ok(Some(problem));
        }
        if self.session.confirmed(verdict)?.is_some() {
            let state = State::of(&mut self.session.talk).context("after it was confirmed")?;
            if let Some(problem) = self.compare(out, rng, &state)? {
                return Ok(Some(format!("once it is confirmed, {problem}")));
            }
        }
        if rng.u8(..4) == 0
            && let Some(problem) = self.back_and_forth(out, was, rng)?
        {
            return Ok(Some(problem));
        }
        self.call_kept(rng)?;
        self.keep(rng)?;
        Ok(None)
    }

    fn unchanged(
        &mut self,
        out: &mut Outcome,
        new: Model,
        files: &Files,
        (before, edit): (&State, &Edit),
        rng: &mut Rng,
    ) -> Result<Option<String>> {
        match self.oracle.build(&new.name, files)? {
            Build::Program(program) => self.program = program,
            Build::Broken(said) => {
                out.invalid = (!edit.kind.contains("broken")).then(|| said.clone());
                return Ok(Some(format!("unchanged, but it does not compile:\n{said}")));
            }
        }
        self.model = new;
        let problem = self.compare(out, rng, before)?;
        Ok(problem.map(|problem| format!("unchanged, but {problem}")))
    }

    fn refused(
        &mut self,
        out: &mut Outcome,
        new: Model,
        files: &Files,
        before: &State,
        edit: &Edit,
        rng: &mut Rng,
    ) -> Result<Option<String>> {
        if !self.setup.restart {
            let after = State::of(&mut self.session.talk).context("after the refusal")?;
            if after != *before {
                return Ok(Some(format!(
                    "a refusal changed the state from {before:?} to {after:?}"
                )));
            }
            return Ok(None);
        }
        let program = match self.oracle.build(&new.name, files)? {
            Build::Program(program) => program,
            Build::Broken(said) => {
                // What is refused for what is alive need not compile: the restart says so, and the old program runs on.
                if edit.kind.contains("broken") {
                    self.session.expect("broken")?;
                    return Ok(None);
                }
                out.invalid = Some(said);
                return Ok(Some("the build for the restart fails".to_owned()));
            }
        };
        loop {
            let event = self
                .session
                .event(FIRST_BUILD)
                .context("waiting for the restart")?;
            match event.name() {
                "ready" => {
                    self.session.adopt(&event)?;
                    break;
                }
                // Scopes of the old program may have come to their end meanwhile.
                "restarted" | "exited" | "prepared" => {}
                _ => bail!("a restart was expected, not {event}"),
            }
        }
        self.program = program;
        self.model = new;
        self.earlier.clear();
        self.kept.clear();
        self.taint = Taint::default();
        self.seen.clear();
        self.warm_up(rng)?;
        Ok(None)
    }

    fn broken(
        &mut self,
        out: &mut Outcome,
        verdict: &Event,
        new: &Model,
        files: &Files,
        edit: &Edit,
    ) -> Result<Option<String>> {
        match self.oracle.build(&new.name, files)? {
            Build::Program(_) => Ok(Some(format!(
                "broken, but a fresh build compiles:\n{}",
                verdict.text("rendered")
            ))),
            Build::Broken(said) => {
                if !edit.kind.contains("broken") {
                    out.invalid = Some(said);
                }
                Ok(None)
            }
        }
    }

    /// Why an edit was refused, the same text for all refusals of a sort.
    fn reason(&self, verdict: &Event) -> String {
        let mut reason = verdict.text("message").to_owned();
        if reason.starts_with("the edit of ") || reason.contains("not as a patch") {
            // What it is made of stands on the terminal only.
            let said = self.session.stderr();
            let mut details = said
                .lines()
                .map(str::trim)
                .filter(|line| line.starts_with("= "));
            let detail = details.rfind(|line| !line.starts_with("= restart"));
            reason = detail.map_or(reason, |detail| detail.replace('`', "'"));
        }
        reason.retain(|letter| !letter.is_ascii_digit());
        reason
    }

    /// What was there before the patch is there after it, and what is new is as a fresh program has it.
    pub(super) fn continues(&mut self, before: &State, after: &State) -> Result<Option<String>> {
        let (old, new) = (before.entries(), after.entries());
        for (name, value) in &old {
            if let Some(now) = new.get(name)
                && now != value
            {
                return Ok(Some(format!(
                    "state: `{name}` was `{value}` and is `{now}`"
                )));
            }
        }
        let added: Vec<&String> = new
            .keys()
            .filter(|name| !self.seen.contains(*name))
            .collect();
        if !added.is_empty() {
            let mut fresh = Fresh::start(&self.program)?;
            let first = State::of(fresh.talk())?.entries();
            for name in added {
                let (now, wanted) = (&new[name], first.get(name));
                if Some(now) != wanted {
                    return Ok(Some(format!(
                        "state: new `{name}` is `{now}`, not `{wanted:?}`"
                    )));
                }
            }
        }
        self.seen.extend(new.into_keys());
        Ok(None)
    }

    /// Gives the program and a fresh build of its source the same commands.
    pub(super) fn compare(
        &mut self,
        out: &mut Outcome,
        rng: &mut Rng,
        state: &State,
    ) -> Result<Option<String>> {
        let mut fresh = Fresh::start(&self.program)?;
        state.load(fresh.talk())?;
        let loaded = State::of(fresh.talk())?;
        if loaded != *state {
            return Ok(Some(format!(
                "{state:?} is read by a fresh build as {loaded:?}"
            )));
        }
        let live = &mut self.session.talk;
        let mut lines = Vec::new();
        for name in commands(&self.model) {
            for _ in 0..2 {
                let thread = if rng.u8(..4) == 0 { "@" } else { "" };
                lines.push((
                    name.clone(),
                    format!("{thread}{name} {} {}", rng.u32(..1000), rng.u32(..1000)),
                ));
            }
        }
        rng.shuffle(&mut lines);
        for (name, line) in lines {
            let given = live.ask(&line)?;
            if self.taint.reaches(&self.model, &name) {
                out.compared.1 += 1;
                State::of(live)?.load(fresh.talk())?;
                continue;
            }
            out.compared.0 += 1;
            let wanted = fresh.talk().ask(&line)?;
            if given != wanted {
                return Ok(Some(format!(
                    "`{line}` is answered `{given}`, by a fresh build `{wanted}`"
                )));
            }
            let (now, wanted) = (State::of(live)?, State::of(fresh.talk())?);
            if now != wanted {
                return Ok(Some(format!(
                    "after `{line}` the state is {}",
                    difference(&now, &wanted)
                )));
            }
        }
        let cold = live.ask("cold")?;
        let entries = State::of(live)?.entries();
        for entry in cold.split(';').filter_map(|entry| entry.split_once('=')) {
            if let Some(known) = entries.get(entry.0)
                && known != entry.1
            {
                let (name, value) = entry;
                return Ok(Some(format!(
                    "`{name}` is `{known}`, but for code that is not hot `{value}`"
                )));
            }
        }
        Ok(None)
    }

    /// Makes the program keep another closure and another future.
    fn keep(&mut self, rng: &mut Rng) -> Result<()> {
        for (role, command) in [(Role::Closure, "call"), (Role::Future, "poll")] {
            let makers = self
                .model
                .select(|item| matches!(&item.kind, Kind::Function(f) if f.role == role));
            let Some(id) = rng.choice(makers) else {
                continue;
            };
            if self
                .kept
                .iter()
                .filter(|kept| kept.command == command)
                .count()
                > 8
            {
                continue;
            }
            let maker = self.model.items[&id].name.clone();
            let seed = u64::from(rng.u32(..1000));
            let index = self.session.ask(&format!("make {maker} {seed}"))?;
            let index = usize::from_str_radix(&index, 16)
                .with_context(|| format!("`make {maker}` gives {index}"))?;
            self.kept.push(Kept {
                command,
                index,
                calls: 0,
            });
        }
        Ok(())
    }

    /// Uses closures and futures that were made by older code. What they answer is between that code and the one that they
    /// call now; that nothing of it breaks is what counts, and valgrind looks on.
    fn call_kept(&mut self, rng: &mut Rng) -> Result<()> {
        // A future is not polled again when it is ready.
        self.kept
            .retain(|kept| kept.command == "call" || kept.calls < 4);
        for _ in 0..CALLED.min(self.kept.len()) {
            let at = rng.usize(..self.kept.len());
            let kept = &mut self.kept[at];
            if kept.command == "poll" && kept.calls > 3 {
                continue;
            }
            let arg = u64::from(rng.u32(..1000));
            self.session
                .ask(&format!("{} {} {arg}", kept.command, kept.index))?;
            kept.calls += 1;
        }
        Ok(())
    }

    /// Ends the session, and says what valgrind found.
    pub fn end(mut self) -> Result<Option<String>> {
        self.session.stop()?;
        match &self.setup.valgrind {
            Some(log) => complaints(log),
            None => Ok(None),
        }
    }
}
