//! Edits of what decides the build: cargo says how it would compile the crates now.

use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Result, bail};

use super::engine::Engine;
use super::script_inputs;
use crate::build::base::{self, Base, BuildError};
use crate::build::diagnostics::Diagnostic;
use crate::build::project::Project;
use crate::build::slotted::keep;
use crate::command::CancelToken;
use crate::plan::codes::Code;
use crate::plan::verdict::Refusal;
use crate::session::outcome::Outcome;
use crate::session::texts::{Fixed, chooses_the_toolchain};
use crate::session::worker::Said;
use crate::source::file::Place;

/// Has the crates compiled as cargo says after an edit of what decides the build. Gives back a verdict if the edit stops
/// there.
pub(super) fn build_changed_here(
    engine: &mut Engine,
    project: &Project,
    file: &Path,
    fixed: &mut Fixed,
    cancel: &CancelToken,
    say: &dyn Fn(Said),
) -> Result<Option<Outcome>> {
    if let Some(refusal) = build_changed(fixed).filter(|refusal| refusal.code == Code::HP0402) {
        return Ok(Some(Outcome::Refused(refusal)));
    }
    let says_itself = |rendered: String, is_said: bool| {
        Ok(Some(Outcome::Broken(vec![Diagnostic {
            error: true,
            message: rendered.lines().next().unwrap_or_default().to_owned(),
            rendered,
            is_said,
            ..Diagnostic::default()
        }])))
    };
    let now = match Project::find(&project.args) {
        Ok(now) => now,
        Err(error) => return says_itself(format!("{error:#}\n"), false),
    };
    let roots = engine.roots();
    // What runs in the build has to be built.
    let is_built = |root: &&Path| !now.build_side().any(|folder| root.starts_with(folder));
    let roots: Vec<&Path> = roots
        .iter()
        .map(PathBuf::as_path)
        .filter(is_built)
        .collect();
    let outputs = Outputs::keep(engine)?;
    let (recorded, words) = record(&now, &roots, cancel, say);
    outputs.put_back();
    let base = match recorded {
        Ok(base) => base,
        Err(BuildError::Failed { .. }) => {
            return says_itself(words, true);
        }
        Err(BuildError::Unsupported(why)) => bail!("{why}"),
        Err(BuildError::Other(error)) => return Err(error),
    };
    let mut next = Fixed::read(&now);
    next.also(script_inputs::of(&base, now.target_dir()));
    if let Some(refusal) = engine.adopt(base, file) {
        return Ok(Some(Outcome::Refused(refusal)));
    }
    *fixed = next;
    Ok(None)
}

/// Has cargo say how it would compile the crates with these root files now. Its words are said as they come, since it may
/// have dependencies to build, and given back.
fn record(
    project: &Project,
    roots: &[&Path],
    cancel: &CancelToken,
    say: &dyn Fn(Said),
) -> (Result<Base, BuildError>, String) {
    let (words, heard) = channel::<String>();
    let mut all = String::new();
    let recorded = thread::scope(|scope| {
        let recording = scope.spawn(move || {
            let words = Mutex::new(words);
            let keep = |line: &str| {
                let words = words.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = words.send(format!("{line}\n"));
            };
            let words = base::Words {
                say: &keep,
                are_coloured: false,
                diagnosed: None,
            };
            base::record(project, &project.args, roots, cancel, words)
        });
        for line in heard {
            all += &line;
            say(Said::Words(line));
        }
        let recorded = recording.join();
        recorded.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    (recorded, all)
}

/// What cargo replaces or removes when it believes to compile: the program where users find it, and libraries, which it
/// removes before a compile, so that their metadata is taken.
struct Outputs(Vec<(PathBuf, PathBuf)>);

impl Outputs {
    fn keep(engine: &Engine) -> Result<Self> {
        let crates = engine.crates.iter().filter(|krate| !krate.is_absent);
        let libraries = crates.map(|krate| &krate.unit).filter(|unit| !unit.bin);
        let libraries = libraries.map(|unit| unit.rlib.clone());
        let paths = libraries.filter(|path| path.exists());
        let paths = paths.chain([engine.program.clone()]);
        let kept = paths.map(|path| {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(".hotpatch-kept");
            let kept = path.with_file_name(name);
            keep(&path, &kept)?;
            Ok((path, kept))
        });
        Ok(Self(kept.collect::<Result<_>>()?))
    }

    fn put_back(self) {
        for (path, kept) in self.0 {
            // What cargo compiled itself, for the build, is newer; what cannot be put back is built again at the next start.
            let _ = match path.exists() && path.extension().is_some() {
                true => std::fs::remove_file(&kept),
                false => std::fs::rename(&kept, &path),
            };
        }
    }
}

/// The refusal of an edit of what decides the build.
fn build_changed(fixed: &Fixed) -> Option<Refusal> {
    let whole = Place { line: 0, column: 0 };
    if let Some(path) = fixed.build_changed() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if chooses_the_toolchain(path) {
            // What started this tool chose the toolchain for all that it starts, unless that was no rustup.
            let is_chosen = std::env::var_os("RUSTUP_TOOLCHAIN").is_some();
            let message = if is_chosen {
                format!("`{name}` chooses the toolchain, and this session has one already")
            } else {
                format!("`{name}` chooses the toolchain, and the program was built before it did")
            };
            let mut refusal = Refusal::new(Code::HP0402, message, path, whole);
            refusal.for_next_session = is_chosen;
            return Some(refusal);
        }
        let message = format!("`{name}` decides the build, which a running program cannot follow");
        return Some(Refusal::new(Code::HP0401, message, path, whole));
    }
    None
}
