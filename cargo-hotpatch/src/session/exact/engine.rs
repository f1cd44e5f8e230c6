//! What is known of the process and its crates, and the steps from a save to running code.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use anyhow::{Context, Result};

use super::addresses::Addresses;
use super::askers::Askers;
use super::compile::{Compiling, SharedCompiles};
use super::guard::Guard;
use super::history::History;
use super::krate::{CastsOfObjects, Crate, metadata_of, sources};
use super::libraries::Libraries;
use super::manifest::natives;
use super::objects::{self, Objects};
use super::outsiders::Outsiders;
use super::plan::{Plan, Planned};
use super::process::Process;
use super::scoped::ScopedCrates;
use super::sources::Inputs;
use super::stacks::CodeMap;
use super::view::Catalogue;
use crate::build::base::{Base, Stamp};
use crate::build::capture::Unit;
use crate::build::project::Project;
use crate::build::replay::Replayed;
use crate::build::rustc::library_stem;
use crate::build::slotted::LinkedObjects;
use crate::command::CancelToken;
use crate::image::symbols::BaseImage;
use crate::object::names::Names;
use crate::patch::link::{Linker, linker};
use crate::plan::changes::Definitions;
use crate::plan::verdict::Refusal;
use crate::run::client::{Client, Publish};
use crate::session::outcome::{Lane, Outcome, Patched, Times};
use crate::session::texts::Texts;

/// The process and its crates.
pub(super) struct Engine {
    pub(super) crates: Vec<Crate>,
    /// The process that is worked on.
    pub(super) process: Process,
    pub(super) names: Names,
    pub(super) libraries: Libraries,
    /// Names of the workspace's crates, as symbols have them.
    pub(super) crate_names: Vec<String>,
    pub(super) linked: LinkedObjects,
    pub(super) outsiders: Outsiders,
    pub(super) askers: Askers,
    /// Crates of others may be optimised where those of the workspace are not.
    pub(super) has_optimised_dependencies: bool,
    /// What ran before.
    pub(super) history: History,
    /// The functions that there are.
    pub(super) catalogue: Catalogue,
    /// The program's file.
    pub(super) program: PathBuf,
    pub(super) linker: Linker,
    /// For what a compile needs meanwhile, beside its outputs, so that these can have second names there.
    pub(super) scratch: PathBuf,
    /// Where the session has several programs: what they have in common is compiled once.
    pub(super) shared: Option<Arc<SharedCompiles>>,
    /// Cancelled with the session, for what goes on in the background.
    pub(super) ending: CancelToken,
    /// What is in libraries of other languages that are in the program, by their names.
    pub(super) natives: BTreeMap<OsString, u128>,
    /// What was taken back because a thread fell.
    pub(super) guard: Guard,
    /// What the fast lane stands on.
    pub(super) scoped: ScopedCrates,
    /// Casts in the code that was built, by number of the crate and with its objects.
    pub(super) first_casts: Option<Receiver<(usize, CastsOfObjects)>>,
}

/// The program's file, for what a patch refers to.
///
/// # Errors
/// It cannot be read.
pub(super) fn read_program(base: &Base) -> Result<BaseImage> {
    let data = fs::read(&base.program)
        .with_context(|| format!("failed to read `{}`", base.program.display()))?;
    BaseImage::parse(&data).with_context(|| format!("failed to read `{}`", base.program.display()))
}

impl Engine {
    /// For a program that has just started.
    ///
    /// # Errors
    /// What was kept of its link cannot be read.
    pub(super) fn new(
        project: &Project,
        base: &Base,
        image: BaseImage,
        client: &Client,
        folder: &Path,
    ) -> Result<Self> {
        let workspace = project.metadata.workspace_root.as_std_path();
        let manifest = fs::read_to_string(workspace.join("Cargo.toml")).unwrap_or_default();
        let program = base.units.last().context("the program has no crate")?;
        let linked = LinkedObjects::read(program)?;
        let mut names = Names::default();
        let crate_names: Vec<String> = base.units.iter().map(|unit| unit.krate.clone()).collect();
        names.set_crates(&crate_names);
        let code = CodeMap::new(&image, client.bias(), &program.krate);
        let addresses = Addresses::new(image, client.bias(), &linked.slots, &mut names)?;
        let crates = base.units.iter().map(|unit| Crate {
            metadata: metadata_of(unit),
            ..Crate::new(unit.clone(), Inputs::of_base(unit, base.began))
        });
        let mut crates: Vec<Crate> = crates.collect();
        for index in 0..crates.len() {
            crates[index].externs = externs_of_others(&crates[index].unit, &crates);
        }
        let ending = CancelToken::new();
        let own = stems(&crates);
        let libraries = libraries(&linked.libraries, &crates);
        Ok(Self {
            process: Process::new(addresses, code, client, folder),
            crate_names,
            crates,
            names,
            libraries,
            askers: Askers::among(&linked.libraries, &own, workspace),
            outsiders: Outsiders::among(&linked.libraries, &own, workspace),
            has_optimised_dependencies: project.config.optimises_packages(&manifest),
            program: base.program.clone(),
            linker: linker(Some(program)),
            linked,
            scratch: scratch(program)?,
            natives: natives(&base.units),
            history: History::default(),
            guard: Guard::default(),
            catalogue: Catalogue::default(),
            first_casts: None,
            shared: None,
            scoped: ScopedCrates::new(ending.clone()),
            ending,
        })
    }

    /// Reads the objects that the program was linked from.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn read_base(&mut self) -> Result<()> {
        let sources = sources(&self.crates);
        let is_source = |path: &[u8]| sources.contains(path);
        for krate in &mut self.crates {
            let kept = self.linked.objects.get(&krate.unit.stem());
            let paths: Vec<PathBuf> = kept.into_iter().flatten().map(|k| k.path.clone()).collect();
            krate.running = objects::read(&paths, &Objects::new(), &mut self.names, &is_source)?;
            krate.latest.clone_from(&krate.running);
            krate.base.clone_from(&krate.running);
        }
        Ok(())
    }

    /// How many functions of the program can be replaced.
    pub(super) fn replaceable(&self) -> usize {
        self.linked.slots.len()
    }

    /// Whether the program was linked with the library of this stem.
    pub(super) fn is_linked(&self, stem: &str) -> bool {
        let mut libraries = self.linked.libraries.iter();
        libraries.any(|library| library_stem(library) == Some(stem))
    }

    /// There may be other libraries to take something from.
    pub(super) fn learn_libraries(&mut self) {
        self.libraries = libraries(&self.linked.libraries, &self.crates);
        self.askers
            .learn(&self.linked.libraries, &stems(&self.crates));
        self.crate_names = self.crates.iter().map(|of| of.unit.krate.clone()).collect();
        self.names.set_crates(&self.crate_names);
    }

    /// All files that a crate was compiled from, also those whose code cannot be replaced.
    pub(super) fn files(&self) -> BTreeSet<PathBuf> {
        let files = self.crates.iter().flat_map(|krate| krate.inputs.files());
        files.chain(self.outsiders.files()).cloned().collect()
    }

    /// Looks which files the crates are made of now. What was saved in this moment is no news to the next look at the texts any
    /// more, so it is `unfinished`. Gives back whether they are others than those `watched`.
    pub(super) fn follow_files(
        &self,
        texts: &Texts,
        watched: &mut BTreeSet<PathBuf>,
        unfinished: &mut BTreeSet<PathBuf>,
    ) -> bool {
        let now = self.files();
        let are_others = now != *watched;
        if are_others {
            let others = texts.refresh(&now);
            unfinished.extend(others.intersection(watched).cloned());
            *watched = now;
        }
        are_others
    }

    /// Files of crates that may have been written while the base was built.
    pub(super) fn stale_files(&mut self) -> BTreeSet<PathBuf> {
        let stale = self.crates.iter().filter(|krate| krate.inputs.is_stale());
        stale
            .filter_map(|krate| krate.inputs.files().next().cloned())
            .collect()
    }

    /// Begins to compile what changed, beside whatever is done until [`Engine::follow`].
    pub(super) fn begin(&mut self, saved: &BTreeSet<PathBuf>, cancel: &CancelToken) -> Begun {
        for krate in &mut self.crates {
            krate.inputs.distrust(saved);
            // What was read for an earlier save was read beside crates that may be others now.
            krate.early_casts = None;
        }
        if let Some(refusal) = self.outsiders.refusal() {
            return Begun::Refused(refusal);
        }
        let externs = self
            .crates
            .iter()
            .map(|of| externs_of_others(&of.unit, &self.crates));
        let externs: Vec<Vec<(PathBuf, Stamp)>> = externs.collect();
        let crates = self.crates.iter_mut().zip(&externs);
        let dirty = crates.map(|(krate, externs)| {
            // Macros may have been built anew under the same name.
            let has_others = krate.externs != *externs;
            let is_dirty =
                krate.inputs.is_stale() || has_others || !krate.inputs.changed().is_empty();
            is_dirty && !krate.is_absent
        });
        let dirty: Vec<bool> = dirty.collect();
        Begun::Compiling(Build {
            at: Instant::now(),
            compiling: Compiling::begin(
                &self.crates,
                &dirty,
                &self.scratch,
                self.shared.as_ref(),
                cancel,
            ),
            externs,
        })
    }

    /// Waits for what changed to be compiled, compares it with what runs, and replaces what differs.
    ///
    /// What the fast lane brought is replaced, unless the edit does not go live; `is_ahead` says whether it has answered
    /// this save.
    ///
    /// # Errors
    /// A tool or the file system failed, the work was cancelled, or the agent is gone.
    pub(super) fn follow(
        &mut self,
        begun: Begun,
        is_ahead: bool,
        client: &mut Client,
        cancel: &CancelToken,
    ) -> Result<Outcome> {
        let ahead = self.bodies_ahead();
        let mut outcome = match begun {
            Begun::Refused(refusal) => Outcome::Refused(refusal),
            Begun::Compiling(build) => self.replace(build, client, cancel)?,
        };
        match &mut outcome {
            Outcome::Patched(patched) => {
                self.process.ahead.clear();
                self.process.were_ahead = ahead;
                self.process.is_behind = false;
                self.scoped.settle(&self.crates);
                // What the fast lane brought has made this generation.
                self.process.generation += u32::from(!is_ahead);
                patched.generation = self.process.generation;
                patched.preparing = self.scoped.is_waiting();
            }
            Outcome::Unchanged => {
                // What is left of it is gone from the source.
                self.take_back(client)?;
                self.scoped.settle(&self.crates);
            }
            Outcome::Refused(_) | Outcome::Broken(_) => {}
        }
        Ok(outcome)
    }

    /// Takes in what was compiled while a process has begun with what the fast lane brought. Where that is the same, the tests
    /// that are run count as run with it; else the next process is found to differ. Gives back what stands against it, if it
    /// does not compile.
    ///
    /// # Errors
    /// As [`Engine::follow`].
    pub(super) fn compare_with_ahead(&mut self, begun: Begun) -> Result<Option<Outcome>> {
        let build = match begun {
            Begun::Refused(refusal) => return Ok(Some(Outcome::Refused(refusal))),
            Begun::Compiling(build) => build,
        };
        let broken = self.take_compiled(build)?;
        if broken.is_none() && !self.differs_from_ahead() {
            self.mark_run();
        }
        Ok(broken)
    }

    /// What would become of what changed, without touching the process.
    ///
    /// # Errors
    /// As [`Engine::follow`].
    pub(super) fn try_out(&mut self, begun: Begun, cancel: &CancelToken) -> Result<Outcome> {
        let build = match begun {
            Begun::Refused(refusal) => return Ok(Outcome::Refused(refusal)),
            Begun::Compiling(build) => build,
        };
        let mut times = Times::default();
        let plan = match self.planned(build, &mut times, cancel)? {
            Ok(plan) => plan,
            Err(outcome) => return Ok(outcome),
        };
        let (functions, included) = self.shown(plan.changes.changed.iter());
        Ok(Outcome::Patched(Patched {
            functions,
            included,
            notes: plan.notes,
            lane: Some(Lane::Exact),
            generation: self.process.generation,
            times,
            ..Patched::default()
        }))
    }

    /// The plan for what was compiled, or what there is to say instead.
    fn planned(
        &mut self,
        build: Build,
        times: &mut Times,
        cancel: &CancelToken,
    ) -> Result<Result<Box<Plan>, Outcome>> {
        let begun = build.at;
        if let Some(broken) = self.take_compiled(build)? {
            return Ok(Err(broken));
        }
        times.compile = begun.elapsed();
        let begun = Instant::now();
        let plan = match self.plan(cancel)? {
            Planned::Nothing => return Ok(Err(Outcome::Unchanged)),
            Planned::Refused(refusal) => return Ok(Err(Outcome::Refused(refusal))),
            Planned::Patch(plan) => plan,
        };
        times.check = begun.elapsed();
        Ok(Ok(plan))
    }

    fn replace(
        &mut self,
        build: Build,
        client: &mut Client,
        cancel: &CancelToken,
    ) -> Result<Outcome> {
        let mut times = Times::default();
        let plan = match self.planned(build, &mut times, cancel)? {
            Ok(plan) => plan,
            Err(outcome) => return Ok(outcome),
        };
        self.carry_out(*plan, Publish::AtCheckpoint, times, client, cancel)
    }

    /// Brings what was compiled last into a process that has none of it yet.
    ///
    /// # Errors
    /// As [`Engine::follow`].
    pub(super) fn bring_all(
        &mut self,
        client: &mut Client,
        cancel: &CancelToken,
    ) -> Result<Outcome> {
        match self.plan(cancel)? {
            Planned::Nothing => Ok(Outcome::Unchanged),
            Planned::Refused(refusal) => Ok(Outcome::Refused(refusal)),
            Planned::Patch(plan) => {
                let at = Publish::AtCheckpoint;
                self.carry_out(*plan, at, Times::default(), client, cancel)
            }
        }
    }

    /// Takes in what was compiled, or says why it was not.
    pub(super) fn take_compiled(&mut self, build: Build) -> Result<Option<Outcome>> {
        let sources = sources(&self.crates);
        let mut compiled = build.compiling.wait();
        let externs = build.externs;
        let mut stopped = Ok(None);
        for (index, result) in compiled.results {
            let krate = &mut self.crates[index];
            match result {
                Ok(Replayed::Compiled(paths)) if matches!(stopped, Ok(None)) => {
                    let look = compiled.before.remove(&index).unwrap_or_default();
                    if let Err(error) =
                        krate.read_compiled(&paths, &look, &sources, &mut self.names)
                    {
                        stopped = Err(error);
                        continue;
                    }
                    krate.metadata = metadata_of(&krate.unit);
                    krate.externs.clone_from(&externs[index]);
                }
                // Compiled with something that did not come to an end.
                Ok(Replayed::Compiled(_)) => krate.inputs.expire(),
                Ok(Replayed::Broken(found)) => {
                    krate.inputs.expire();
                    if matches!(stopped, Ok(None)) {
                        stopped = Ok(Some(Outcome::Broken(found)));
                    }
                }
                Err(error) => {
                    krate.inputs.expire();
                    stopped = Err(error);
                }
            }
        }
        stopped
    }
}

/// A save that the exact lane has begun with.
pub(super) enum Begun {
    /// What there is to say is known already.
    Refused(Refusal),
    Compiling(Build),
}

impl Begun {
    /// Ends the tools that run under it once the crates are compiled.
    pub(super) fn ended(&self) -> Option<CancelToken> {
        match self {
            Self::Refused(_) => None,
            Self::Compiling(build) => Some(build.compiling.ended()),
        }
    }
}

/// Crates that are being compiled.
pub(super) struct Build {
    at: Instant,
    compiling: Compiling,
    /// What of others each crate is compiled with.
    externs: Vec<Vec<(PathBuf, Stamp)>>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.ending.cancel();
        // What is left is removed by the next session.
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

/// What the names of such folders begin with, before the session's process id.
const SCRATCH: &str = "session-";

/// A folder for this session alone, and none of sessions that are gone.
fn scratch(program: &Unit) -> Result<PathBuf> {
    for entry in fs::read_dir(&program.folder)
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(SCRATCH));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let own = program
        .folder
        .join(format!("{SCRATCH}{}", std::process::id()));
    fs::create_dir_all(&own).with_context(|| format!("failed to create `{}`", own.display()))?;
    Ok(own)
}

/// The libraries that may have what the program lacks: those that it was `linked` with and those beside the crates, but
/// for these crates' own, which are written anew at each edit.
fn libraries(linked: &[PathBuf], crates: &[Crate]) -> Libraries {
    let own = stems(crates);
    let is_own = |path: &Path| library_stem(path).is_some_and(|stem| own.contains(stem));
    let linked = linked.iter().filter(|path| !is_own(path)).cloned();
    let folders = crates.iter().filter_map(|krate| krate.unit.args.out_dir());
    let folders: BTreeSet<&Path> = folders.collect();
    Libraries::new(linked.collect(), &folders, is_own)
}

fn stems(crates: &[Crate]) -> BTreeSet<String> {
    crates.iter().map(|of| of.unit.stem()).collect()
}

/// The libraries and macros that a crate is compiled with, but for those of the session's own crates.
fn externs_of_others(unit: &Unit, crates: &[Crate]) -> Vec<(PathBuf, Stamp)> {
    let own = stems(crates);
    let is_own = |path: &Path| library_stem(path).is_some_and(|stem| own.contains(stem));
    let mut externs = unit.libraries();
    externs.retain(|(path, _)| !is_own(path));
    externs
}

pub(super) fn all_definitions<'a>(crates: impl Iterator<Item = &'a Objects>) -> Definitions<'a> {
    let objects = crates.flatten();
    objects
        .flat_map(|object| &object.definitions)
        .map(|definition| (definition.name, definition))
        .collect()
}
