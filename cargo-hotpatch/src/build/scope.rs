//! Scopes: metadata of a crate in which every item is visible, kept beside the crate's outputs.
//!
//! A scope is named by what it was made from, so one that was made once is found again by the next
//! session, and sessions side by side do not disturb each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::base::stamp;
use super::capture::{Unit, remap};
use super::diagnostics::{self, Diagnostic};
use super::rustc::RustcArgs;
use super::{overlay, rustc};
use crate::command::{CancelToken, Tool};
use crate::source::diff::scope_key;
use crate::source::file::FnKey;
use crate::source::items::CrateSource;
use crate::source::own_imports::{Imports, globs_behind};
use crate::source::widen;

/// What it takes to make one.
pub struct Wanted<'a> {
    /// The crate as captured.
    pub unit: &'a Unit,
    /// Its source as of now.
    pub source: &'a CrateSource,
    /// Functions whose bodies stay. They are never run from here, but the instances of generic code they
    /// use are in the program, and a patch that knows of them need not compile them again.
    pub open: &'a BTreeSet<FnKey>,
}

/// Another one for scopes that are made in another way.
const FORMAT: u32 = 5;
/// How often imports that cannot be widened are left as they are before giving up.
const ATTEMPTS: usize = 12;
/// Old scopes of a crate that are kept, for going back to.
const KEPT: usize = 4;

impl Wanted<'_> {
    /// Equal for equal scopes.
    fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        FORMAT.hash(&mut hasher);
        scope_key(self.source).hash(&mut hasher);
        self.unit.args.as_slice().hash(&mut hasher);
        self.unit.rustc.hash(&mut hasher);
        self.open.is_empty().hash(&mut hasher);
        for (path, stamp) in self.unit.libraries() {
            (path, stamp).hash(&mut hasher);
        }
        // What macros took in, such as code that a build script wrote, and the environment they read.
        let (files, environment) = self.unit.inputs();
        for path in files.iter().filter(|path| self.source.file(path).is_none()) {
            (path, stamp(path)).hash(&mut hasher);
        }
        environment.hash(&mut hasher);
        self.unit.marks().hash(&mut hasher);
        hasher.finish()
    }

    fn place(&self, key: u64) -> PathBuf {
        let name = format!("lib{}-{key:016x}.rmeta", self.unit.krate);
        folder_of(self.unit).join(name)
    }

    /// The scope's metadata, made now if need be.
    ///
    /// # Errors
    /// rustc fails or was cancelled, or the file system does.
    pub fn make(&self, cancel: &CancelToken) -> Result<PathBuf> {
        let folder = folder_of(self.unit);
        fs::create_dir_all(&folder)
            .with_context(|| format!("failed to create `{}`", folder.display()))?;
        // The overlay and the incremental state serve one rustc at a time.
        let lock = File::create(folder.join("lock")).context("failed to make the scope's lock")?;
        lock.lock().context("failed to lock the scope")?;
        let rmeta = self.place(self.key());
        if rmeta.exists() {
            return Ok(rmeta);
        }
        let fresh = folder
            .join("new")
            .join(format!("lib{}.rmeta", self.unit.krate));
        fs::create_dir_all(folder.join("new"))?;
        let mut private: BTreeSet<(PathBuf, usize)> = private_imports(self.unit);
        for _ in 0..ATTEMPTS {
            match self.attempt(&folder, &fresh, &private, cancel)? {
                Attempt::Made => {
                    fs::rename(&fresh, &rmeta)
                        .with_context(|| format!("failed to write `{}`", rmeta.display()))?;
                    write_private(self.unit, &private);
                    drop_old(&folder, &rmeta);
                    return Ok(rmeta);
                }
                Attempt::Keep(more) => private.extend(more),
            }
        }
        bail!(
            "rustc refuses the scope of crate `{}` over and over",
            self.unit.krate
        )
    }

    fn attempt(
        &self,
        folder: &Path,
        fresh: &Path,
        private: &BTreeSet<(PathBuf, usize)>,
        cancel: &CancelToken,
    ) -> Result<Attempt> {
        let root = folder.join("source");
        let macros = self.source.macro_names();
        let closed = self.source.deref_types();
        let scope = widen::Scope {
            krate: self.source,
            macros: &macros,
            open: self.open,
            closed: &closed,
        };
        let mut files = BTreeMap::new();
        for file in &self.source.files {
            let lines = private
                .iter()
                .filter(|(path, _)| *path == file.path)
                .map(|(_, line)| *line)
                .collect();
            files.insert(file.path.clone(), widen::scope_text(file, &lines, &scope));
        }
        overlay::write(&root, &files).context("failed to lay out the scope")?;
        let input = overlay::seen_at(&root, &self.unit.root);
        let incremental = folder.join("incremental");
        let args = rustc::scope(&self.unit.args, &input, fresh, &incremental)
            .with(remap(self.unit, &root))
            .with(self.unit.marks());
        let output = tool(self.unit, &args)
            .behind_all_else()
            .run(cancel)
            .context("failed to compile the scope")?;
        if output.status.success() {
            return Ok(Attempt::Made);
        }
        let found = diagnostics::parse(&output.stderr_text());
        if let Some(said) = diagnostics::beside_the_code(&found) {
            return Err(output.saying(said).into_error()).context("failed to compile the scope");
        }
        let doubled = found
            .iter()
            .filter(|found| matches!(found.code.as_deref(), Some("E0252" | "E0255")))
            .flat_map(|found| self.globs_that_double(found));
        let refused: BTreeSet<(PathBuf, usize)> = found
            .iter()
            .flat_map(|found| match found.code.as_deref() {
                // A name that cannot be given to others.
                Some("E0364" | "E0365") => found.places.as_slice(),
                // Two imports that never met while they were private.
                Some("E0659") => found.others.as_slice(),
                _ => &[],
            })
            .flat_map(|(name, line)| self.import_at(name, *line))
            .chain(doubled)
            .filter(|place| !private.contains(place))
            .collect();
        if !refused.is_empty() {
            return Ok(Attempt::Keep(refused));
        }
        match diagnostics::summary(&found) {
            Some(summary) => {
                let rendered = found.iter().find(|d| d.error).map(|d| d.rendered.clone());
                Err(anyhow::anyhow!(rendered.unwrap_or_default()).context(summary))
            }
            None => Err(output.into_error().into()),
        }
    }

    /// Imports that were private and now bring a name to a place that has another one of it.
    fn globs_that_double(&self, found: &Diagnostic) -> Imports {
        let name = found.message.split('`').nth(1).unwrap_or_default();
        let places = found.places.iter().chain(&found.others);
        places
            .filter_map(|(file, line)| Some((self.source.file(&self.unit.cwd.join(file))?, *line)))
            .flat_map(|(file, line)| globs_behind(self.source, file, line, name))
            .collect()
    }

    /// The import that an error at this place is about, by the line it starts on.
    fn import_at(&self, name: &str, line: usize) -> Option<(PathBuf, usize)> {
        let path = self.unit.cwd.join(name);
        let file = self.source.file(&path)?;
        if widen::has_imports_on(file, line) {
            return Some((path, line));
        }
        let import = file
            .parsed
            .widening
            .iter()
            .filter_map(|edit| file.parsed.items.get(edit.import?))
            .filter(|item| item.place.line <= line)
            .max_by_key(|item| item.place.line)?;
        Some((path, import.place.line))
    }
}

enum Attempt {
    Made,
    Keep(BTreeSet<(PathBuf, usize)>),
}

/// rustc as it was called for this unit, with other arguments.
#[must_use]
pub fn tool(unit: &Unit, args: &RustcArgs) -> Tool {
    // The jobserver's file descriptors were cargo's.
    let env = unit
        .env
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "MAKEFLAGS" | "MFLAGS" | "CARGO_MAKEFLAGS"));
    Tool::new(&unit.rustc)
        .args(args.as_slice().iter().cloned())
        .env_clear()
        .envs(env.map(|(key, value)| (key.clone(), value.clone())))
        .current_dir(&unit.cwd)
}

/// Imports that the scopes of this unit leave as they are written.
#[must_use]
pub fn private_imports(unit: &Unit) -> Imports {
    fs::read(private_list(unit))
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

/// Only saves attempts: a list that is lost or stale is found again.
fn write_private(unit: &Unit, private: &BTreeSet<(PathBuf, usize)>) {
    if let Ok(text) = serde_json::to_vec(private) {
        let _ = fs::write(private_list(unit), text);
    }
}

fn folder_of(unit: &Unit) -> PathBuf {
    unit.folder.join("scope")
}

fn private_list(unit: &Unit) -> PathBuf {
    folder_of(unit).join("private.json")
}

fn drop_old(folder: &Path, newest: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut old: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "rmeta") && path != newest)
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .collect();
    old.sort();
    let excess = old.len().saturating_sub(KEPT);
    for (_, path) in old.into_iter().take(excess) {
        let _ = fs::remove_file(path);
    }
}
