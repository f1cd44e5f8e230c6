//! `--functions`: every function of the workspace, edited in memory without effect, planned, compiled and
//! linked as a session would, and loaded nowhere.
//!
//! Many are tried in one patch, which says the same of each of them at a fraction of the time; a patch that
//! cannot be made is taken apart until each function has a verdict of its own.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow};

use super::noop;
use crate::build::base::Base;
use crate::build::scope::Tells;
use crate::command::CancelToken;
use crate::plan::codes::Code;
use crate::plan::index::Index;
use crate::plan::reach;
use crate::plan::verdict::Refusal;
use crate::session::make::{Maker, Outcome};
use crate::session::process::Unstarted;
use crate::session::texts::Texts;
use crate::session::world::World;
use crate::source::file::{FnKey, Place};
use crate::source::items::{CrateSource, Files};

/// Functions that are tried in one patch. More would share more of a compile's fixed costs, and spoil more
/// when one of them cannot be patched.
const BATCH: usize = 96;

/// A function and what became of trying to patch it.
#[derive(Debug, Clone)]
pub struct Tried {
    /// Its full path.
    pub name: String,
    /// The file it is in.
    pub file: PathBuf,
    /// Where its name stands.
    pub place: Place,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of trying to patch a function.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// A patch of it was compiled and linked.
    Patchable,
    /// The program has no code of it: a generic function that nothing uses, say.
    NoCode,
    /// It cannot be patched.
    Refused(Box<Refusal>),
}

/// Tries all functions of the base's crates whose path contains `part`; `heard` is told each verdict as it comes, how many there are by
/// then, and how many there will be.
///
/// The result is in the order of crates, files and lines.
///
/// # Errors
/// A file of the base cannot be read, a scope cannot be made, or `cancel` was used.
pub fn try_all(
    base: &Base,
    libraries: &[PathBuf],
    part: &str,
    jobs: usize,
    cancel: &CancelToken,
    heard: &(dyn Fn(&Tried, usize, usize) + Sync),
) -> Result<Vec<Tried>> {
    let texts = Texts::default();
    let mut world = World::open(base, &texts)?;
    let home = tempfile::tempdir().context("failed to create a folder for patches")?;
    world.pretend_hot()?;
    // Read once for all forks.
    world.guard.known()?;
    let sources = world.state().sources.clone();
    let index = world.index(&sources, &[]);
    let mut targets = targets(&world, &sources, &index);
    targets.retain(|target| target.name.contains(part));
    let total = targets.len();
    let mut verdicts: Vec<Option<Verdict>> = vec![None; total];
    let mut wanted = Vec::new();
    let mut without_code = 0;
    for (number, target) in targets.iter().enumerate() {
        if target.reached {
            wanted.push(number);
        } else {
            verdicts[number] = Some(Verdict::NoCode);
            without_code += 1;
            heard(&target.tried(Verdict::NoCode), without_code, total);
        }
    }
    let queue = Mutex::new(batches(&targets, &wanted));
    let done = Mutex::new((verdicts, without_code));

    let homes: Vec<PathBuf> = base.units.iter().map(|unit| unit.folder.clone()).collect();
    let first = with_its_own_scopes(&mut world, &homes, 0);
    let everything = vec![true; world.crates.len()];
    world.scopes(&sources, &everything, Tells::Instances, false, cancel)?;
    let jobs = jobs.clamp(1, queue_length(&queue).max(1));
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..jobs)
            .map(|number| {
                let mut world = world.fork();
                let (texts, targets, queue, done) = (&texts, &targets, &queue, &done);
                let (homes, first) = (&homes, &first);
                let folder = home.path().join(number.to_string());
                let mut work = move || -> Result<()> {
                    if number > 0 {
                        share(first, &with_its_own_scopes(&mut world, homes, number))?;
                    }
                    fs::create_dir_all(&folder).context("failed to create a folder")?;
                    let bench = Bench {
                        world: &world,
                        texts,
                        targets,
                        folder: &folder,
                        libraries,
                        cancel,
                    };
                    let take = || lock(queue).pop_front();
                    while let Some(batch) = take() {
                        bench.settle(batch, &|number, verdict| {
                            let mut done = lock(done);
                            done.1 += 1;
                            heard(&targets[number].tried(verdict.clone()), done.1, total);
                            done.0[number] = Some(verdict);
                        })?;
                    }
                    Ok(())
                };
                scope.spawn(move || {
                    // Nobody waits for the rest when one has failed.
                    work().inspect_err(|_| lock(queue).clear())
                })
            })
            .collect();
        handles
            .into_iter()
            .map(|handle| {
                handle
                    .join()
                    .unwrap_or_else(|_| Err(anyhow!("a trial panicked, please report this")))
            })
            .collect()
    });
    results.into_iter().collect::<Result<()>>()?;
    let (verdicts, _) = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(targets
        .into_iter()
        .zip(verdicts)
        .filter_map(|(target, verdict)| Some(target.tried(verdict?)))
        .collect())
}

/// A function to try.
struct Target {
    krate: usize,
    key: FnKey,
    name: String,
    file: PathBuf,
    place: Place,
    /// The first and the last line of it.
    lines: (usize, usize),
    /// Its body is part of the crate's scope, which is then made anew.
    kept: bool,
    /// There is code of it in the program, or of what it is part of.
    reached: bool,
}

impl Target {
    /// Whether this line is one of the function's.
    fn has(&self, file: &Path, line: usize) -> bool {
        let (first, last) = self.lines;
        self.file == file && (first..=last).contains(&line)
    }

    fn tried(&self, verdict: Verdict) -> Tried {
        Tried {
            name: self.name.clone(),
            file: self.file.clone(),
            place: self.place,
            verdict,
        }
    }
}

fn targets(world: &World, sources: &[CrateSource], index: &Index) -> Vec<Target> {
    let mut reached = vec![false; index.functions().len()];
    for vertex in reach::reached(&world.state().graph, index) {
        reached[vertex.number()] = true;
    }
    let mut out = Vec::new();
    for (krate, source) in sources.iter().enumerate() {
        for (file, function) in source.functions() {
            let vertex = index.find(krate, &function.key);
            let text = &file.parsed.text;
            let line = |at: usize| text[..at].matches('\n').count() + 1;
            out.push(Target {
                krate,
                key: function.key.clone(),
                name: source.path_of(function),
                file: file.path.clone(),
                place: function.place,
                lines: (line(function.item.start), line(function.item.end)),
                kept: function.kept,
                reached: vertex.is_some_and(|vertex| reached[vertex.number()]),
            });
        }
    }
    out
}

/// Batches of neighbours; those that need another scope come last.
fn batches(targets: &[Target], wanted: &[usize]) -> VecDeque<Vec<usize>> {
    let mut alike: BTreeMap<(bool, usize), Vec<usize>> = BTreeMap::new();
    for number in wanted {
        let target = &targets[*number];
        alike
            .entry((target.kept, target.krate))
            .or_default()
            .push(*number);
    }
    alike
        .values()
        .flat_map(|numbers| numbers.chunks(BATCH))
        .map(<[usize]>::to_vec)
        .collect()
}

/// Scopes go beside those of sessions, and are kept for the next time; each worker has its own, so that none
/// waits for another's.
fn with_its_own_scopes(world: &mut World, homes: &[PathBuf], worker: usize) -> Vec<PathBuf> {
    let crates = Arc::make_mut(&mut world.crates);
    for (krate, home) in crates.iter_mut().zip(homes) {
        krate.unit.folder = home.join("doctor").join(worker.to_string());
    }
    crates
        .iter()
        .map(|krate| krate.unit.folder.clone())
        .collect()
}

/// Gives the scopes in `from` to `to`, folder by folder.
fn share(from: &[PathBuf], to: &[PathBuf]) -> Result<()> {
    for (from, to) in from.iter().zip(to) {
        let to = to.join("scope");
        fs::create_dir_all(&to).with_context(|| format!("failed to create `{}`", to.display()))?;
        for entry in fs::read_dir(from.join("scope"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = entry.path();
            let is_wanted = path
                .extension()
                .is_some_and(|e| e == "rmeta" || e == "json");
            if is_wanted {
                fs::copy(&path, to.join(entry.file_name())).context("failed to share a scope")?;
            }
        }
    }
    Ok(())
}

/// What one worker tries with.
struct Bench<'a> {
    /// The program as it was started; each trial has a copy of its own.
    world: &'a World,
    texts: &'a Texts,
    targets: &'a [Target],
    folder: &'a Path,
    libraries: &'a [PathBuf],
    cancel: &'a CancelToken,
}

impl Bench<'_> {
    /// Finds the verdict on each function of a batch.
    fn settle(&self, batch: Vec<usize>, say: &dyn Fn(usize, Verdict)) -> Result<()> {
        let mut stack = vec![batch];
        while let Some(batch) = stack.pop() {
            let (verdict, places) = self.attempt(&batch)?;
            if batch.len() == 1 || matches!(verdict, Verdict::Patchable) {
                batch
                    .iter()
                    .for_each(|number| say(*number, verdict.clone()));
                continue;
            }
            // Those that are blamed stand trial one by one, the others together.
            let is_blamed = |number: &usize| {
                let mut places = places.iter();
                places.any(|(file, line)| self.targets[*number].has(file, *line))
            };
            let (blamed, others): (Vec<usize>, Vec<usize>) =
                batch.iter().copied().partition(is_blamed);
            if blamed.is_empty() {
                stack.extend(halves(batch));
            } else {
                stack.extend(Some(others).filter(|others| !others.is_empty()));
                stack.extend(blamed.into_iter().map(|number| vec![number]));
            }
        }
        Ok(())
    }

    /// Makes a patch of these functions; with a refusal come the places it is about.
    fn attempt(&self, batch: &[usize]) -> Result<(Verdict, Vec<(PathBuf, usize)>)> {
        let edited = self.edited(batch);
        let sources = self.world.read_sources(&edited)?;
        let mut world = self.world.fork();
        let mut process = Unstarted {
            libraries: self.libraries.to_vec(),
        };
        let mut maker = Maker {
            world: &mut world,
            client: &mut process,
            folder: self.folder,
            cancel: self.cancel,
            compiles: true,
            blamed: Vec::new(),
        };
        let target = &self.targets[batch[0]];
        let refuse = |message: String| {
            let refusal = Refusal::new(Code::HP0001, message, &target.file, target.place);
            Verdict::Refused(Box::new(refusal))
        };
        let outcome = maker.apply(sources);
        let mut places = std::mem::take(&mut maker.blamed);
        let verdict = match outcome {
            Ok(Outcome::Patched(patched)) => {
                let is_left_out = patched.notes.iter().any(|note| note.code == Code::HP0201);
                if is_left_out {
                    Verdict::NoCode
                } else {
                    Verdict::Patchable
                }
            }
            Ok(Outcome::Refused(refusal)) if refusal.code == Code::HP0201 => Verdict::NoCode,
            Ok(Outcome::Refused(refusal)) => {
                places.push((refusal.file.clone(), refusal.place.line));
                Verdict::Refused(Box::new(refusal))
            }
            Ok(Outcome::Unchanged) => refuse("the edit would go unnoticed".to_owned()),
            Ok(Outcome::Broken(found)) => refuse(
                found
                    .first()
                    .map_or_else(String::new, |first| first.rendered.trim().to_owned()),
            ),
            Err(error) if self.cancel.is_cancelled() => return Err(error),
            Err(error) => refuse(format!("{error:#}")),
        };
        Ok((verdict, places))
    }

    /// The sources with a statement without effect in each of these functions.
    fn edited(&self, batch: &[usize]) -> Edited<'_> {
        let mut texts = HashMap::new();
        let sources = &self.world.state().sources;
        for file in sources.iter().flat_map(|source| &source.files) {
            let functions: Vec<_> = file
                .parsed
                .functions
                .iter()
                .filter(|function| {
                    batch.iter().any(|number| {
                        let target = &self.targets[*number];
                        target.file == file.path && target.key == function.key
                    })
                })
                .collect();
            if !functions.is_empty() {
                let text = noop::edited(&file.parsed, &functions);
                texts.insert(file.path.clone(), Arc::from(text));
            }
        }
        Edited {
            texts,
            others: self.texts,
        }
    }
}

/// The two halves of a batch, the first one last.
fn halves(mut batch: Vec<usize>) -> [Vec<usize>; 2] {
    let right = batch.split_off(batch.len() / 2);
    [right, batch]
}

/// Sources of which some have another text in memory.
struct Edited<'a> {
    texts: HashMap<PathBuf, Arc<str>>,
    others: &'a Texts,
}

impl Files for Edited<'_> {
    fn read(&self, path: &Path) -> io::Result<Arc<str>> {
        match self.texts.get(path) {
            Some(text) => Ok(text.clone()),
            None => self.others.read(path),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn queue_length(queue: &Mutex<VecDeque<Vec<usize>>>) -> usize {
    lock(queue).len()
}
