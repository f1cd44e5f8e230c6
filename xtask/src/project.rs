//! A program's source on disk: written once, then edited as an editor saves it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::generate::{self, Program};

/// A package in a folder of its own, with a file whose marker is edited.
#[derive(Debug)]
pub struct Project {
    folder: PathBuf,
    edited: PathBuf,
}

impl Project {
    /// Writes `program` into `folder` as the package `name`.
    pub fn write(
        folder: &Path,
        name: &str,
        program: &Program,
        runtime: Option<&Path>,
    ) -> Result<Self> {
        let write = |path: PathBuf, text: &str| {
            let parent = path.parent().unwrap_or(folder);
            fs::create_dir_all(parent)
                .with_context(|| format!("failed to make `{}`", parent.display()))?;
            fs::write(&path, text).with_context(|| format!("failed to write `{}`", path.display()))
        };
        write(
            folder.join("Cargo.toml"),
            &generate::manifest(name, runtime),
        )?;
        for (path, text) in &program.files {
            write(folder.join("src").join(path), text)?;
        }
        // The same versions as the runtime's own workspace has, so that nothing new is downloaded.
        let lock = runtime
            .and_then(Path::parent)
            .map(|workspace| workspace.join("Cargo.lock"));
        if let Some(lock) = lock.filter(|lock| lock.exists()) {
            fs::copy(&lock, folder.join("Cargo.lock")).context("failed to copy the lock file")?;
        }
        let edited = folder.join("src").join(&program.step);
        Ok(Self {
            folder: folder.to_owned(),
            edited,
        })
    }

    pub fn manifest(&self) -> PathBuf {
        self.folder.join("Cargo.toml")
    }

    /// Sets the marker by writing a new file and renaming it over the old one. `saved` is called
    /// right before the rename, and its answer is returned.
    pub fn save_marker<T>(&self, marker: u64, saved: impl FnOnce() -> T) -> Result<T> {
        let path = &self.edited;
        let source = fs::read_to_string(path)
            .with_context(|| format!("failed to read `{}`", path.display()))?;
        let text =
            generate::with_marker(&source, marker).context("the edited file has no marker")?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.new"));
        fs::write(&temporary, text)
            .with_context(|| format!("failed to write `{}`", temporary.display()))?;
        let time = saved();
        fs::rename(&temporary, path)
            .with_context(|| format!("failed to save `{}`", path.display()))?;
        Ok(time)
    }
}
