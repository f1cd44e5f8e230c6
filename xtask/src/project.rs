//! A program's source on disk: written once, then edited as an editor saves it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::generate::{self, Program};

/// A package in a folder of its own, with a file whose marker is edited.
#[derive(Debug)]
pub struct Project {
    folder: PathBuf,
    /// From the folder.
    edited: PathBuf,
    /// What was written into it, by path from the folder.
    files: RefCell<BTreeMap<PathBuf, String>>,
}

impl Project {
    /// Writes `program` into `folder` as the package `name`.
    pub fn write(
        folder: &Path,
        name: &str,
        program: &Program,
        runtime: Option<&Path>,
    ) -> Result<Self> {
        let project = Self {
            folder: folder.to_owned(),
            edited: Path::new("src").join(&program.step),
            files: RefCell::default(),
        };
        project.add("Cargo.toml", &generate::manifest(name, runtime))?;
        for (path, text) in &program.files {
            project.add(Path::new("src").join(path), text)?;
        }
        // The same versions as the runtime's own workspace has, so that nothing new is downloaded.
        let lock = runtime
            .and_then(Path::parent)
            .map(|workspace| workspace.join("Cargo.lock"));
        if let Some(lock) = lock.filter(|lock| lock.exists()) {
            fs::copy(&lock, folder.join("Cargo.lock")).context("failed to copy the lock file")?;
        }
        Ok(project)
    }

    /// Writes a file more, or another text into one.
    pub fn add(&self, path: impl AsRef<Path>, text: &str) -> Result<()> {
        let place = self.folder.join(&path);
        let parent = place.parent().unwrap_or(&self.folder);
        fs::create_dir_all(parent)
            .with_context(|| format!("failed to make `{}`", parent.display()))?;
        fs::write(&place, text)
            .with_context(|| format!("failed to write `{}`", place.display()))?;
        let path = path.as_ref().to_owned();
        self.files.borrow_mut().insert(path, text.to_owned());
        Ok(())
    }

    /// Writes all files as they were in the beginning.
    pub fn restore(&self) -> Result<()> {
        for (path, text) in self.files.borrow().iter() {
            if self.read(path)? != *text {
                fs::write(self.folder.join(path), text)
                    .with_context(|| format!("failed to write `{}`", path.display()))?;
            }
        }
        Ok(())
    }

    /// The file with the marker, from the project's folder.
    pub fn edited(&self) -> &Path {
        &self.edited
    }

    pub fn read(&self, path: &Path) -> Result<String> {
        let path = self.folder.join(path);
        fs::read_to_string(&path).with_context(|| format!("failed to read `{}`", path.display()))
    }

    pub fn manifest(&self) -> PathBuf {
        self.folder.join("Cargo.toml")
    }

    /// Sets the marker. `saved` is called right before that shows, and its answer is returned.
    pub fn save_marker<T>(&self, marker: u64, saved: impl FnOnce() -> T) -> Result<T> {
        let with_marker = |text: &str| generate::with_marker(text, marker);
        self.save(&self.edited, with_marker, saved)
    }

    /// Edits a file by writing a new one and renaming it over the old one. `saved` is called right before the rename, and
    /// its answer is returned.
    pub fn save<T>(
        &self,
        path: &Path,
        edit: impl FnOnce(&str) -> Option<String>,
        saved: impl FnOnce() -> T,
    ) -> Result<T> {
        let text = edit(&self.read(path)?).context("the edited file has not what is edited")?;
        let path = self.folder.join(path);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.new"));
        fs::write(&temporary, text)
            .with_context(|| format!("failed to write `{}`", temporary.display()))?;
        let time = saved();
        fs::rename(&temporary, &path)
            .with_context(|| format!("failed to save `{}`", path.display()))?;
        Ok(time)
    }
}
