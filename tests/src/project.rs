//! A program copied to a folder of its own, and edits to it.
//!
//! The folder is the same in every run, so that cargo knows the package again and the target folders do
//! not grow. A lock beside it keeps a second test process out.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::scenario::{Edit, Save};
use crate::workspace;

/// How a program of this crate asks for the runtime; the copy gets this workspace's instead.
const PUBLISHED_RUNTIME: &str = "hotpatch-rt = \"0.1\"";

/// The same with options of its own.
const PUBLISHED_WITH: &str = "hotpatch-rt = { version = \"0.1\"";

/// A program's files by their path inside it.
pub type Tree = BTreeMap<PathBuf, Vec<u8>>;

/// A program in a folder where it may be edited.
pub struct Project {
    work: PathBuf,
    root: PathBuf,
    _lock: File,
}

impl Project {
    /// Copies a program of this crate. `name` tells concurrent projects apart.
    pub fn copy(source: &Path, name: &str) -> Result<Project> {
        let project = Project::empty(name)?;
        let tree = read_tree(source)
            .with_context(|| format!("failed to read the program in `{}`", source.display()))?;
        for (path, bytes) in tree {
            if path != Path::new("scenario.toml") {
                let bytes = if path.ends_with("Cargo.toml") {
                    with_runtime(bytes)?
                } else {
                    bytes
                };
                write(&project.root.join(path), &bytes)?;
            }
        }
        Ok(project)
    }

    /// Copies a package from the registry, with the versions it was published with, and gives it the runtime.
    pub fn copy_published(source: &Path, name: &str) -> Result<Project> {
        let project = Project::empty(name)?;
        for (path, bytes) in read_tree(source)? {
            write(&project.root.join(path), &bytes)?;
        }
        fs::copy(source.join("Cargo.lock"), project.root.join("Cargo.lock"))?;
        let manifest = project.root.join("Cargo.toml");
        // It is in no workspace but its own.
        let text = fs::read_to_string(&manifest)? + "\n[workspace]\n";
        fs::write(&manifest, text)?;
        Ok(project)
    }

    /// Copies an example, a package or a folder of some, with the versions that the examples have.
    pub fn example(name: &str) -> Result<Project> {
        let project = Project::empty(&format!("example_{name}"))?;
        let examples = workspace::root().join("examples");
        let tree = read_tree(&examples.join(name))?;
        let runtime = format!("\"{}\"", workspace::runtime().display());
        for (path, bytes) in &tree {
            let mut bytes = bytes.clone();
            if path.ends_with("Cargo.toml") {
                let text = String::from_utf8(bytes)?;
                bytes = text.replace("\"../../hotpatch-rt\"", &runtime).into();
            }
            write(&project.root.join(path), &bytes)?;
        }
        let manifest = project.root.join("Cargo.toml");
        let text = match fs::read_to_string(&manifest) {
            Ok(text) => text + "\n[workspace]\n",
            Err(_) => "[workspace]\nresolver = \"3\"\nmembers = [\"*\"]\n".to_owned(),
        };
        fs::write(&manifest, text)?;
        fs::copy(examples.join("Cargo.lock"), project.root.join("Cargo.lock"))?;
        Ok(project)
    }

    /// An empty folder for a program that the test brings along.
    pub fn empty(name: &str) -> Result<Project> {
        let mut hasher = DefaultHasher::new();
        workspace::root().hash(&mut hasher);
        let all = std::env::temp_dir().join(format!("hotpatch-tests-{:016x}", hasher.finish()));
        fs::create_dir_all(&all)?;
        let lock = File::create(all.join(format!("{name}.lock")))?;
        lock.lock()?;
        // The name the user sees in paths must be the real one, or compilers spell it differently.
        let work = all.canonicalize()?.join(name);
        if work.exists() {
            fs::remove_dir_all(&work)?;
        }
        let root = work.join("project");
        fs::create_dir_all(&root)?;
        // The dependencies' versions are those this workspace was tested with.
        fs::copy(
            workspace::root().join("Cargo.lock"),
            root.join("Cargo.lock"),
        )?;
        Ok(Project {
            work,
            root,
            _lock: lock,
        })
    }

    /// The program's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A place beside the program for what the test itself needs.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    /// The program's files as they are now.
    pub fn tree(&self) -> Result<Tree> {
        read_tree(&self.root)
    }

    /// Applies an edit, to the last applied source where the edit says so. Returns the files it wrote.
    pub fn apply(&self, edit: &Edit, applied: &[Tree]) -> Result<Vec<PathBuf>> {
        let on_disk = self.tree()?;
        let mut tree = match (edit.undo, edit.revert) {
            (false, None) => on_disk.clone(),
            (true, None) => applied.last().context("nothing was applied yet")?.clone(),
            (_, Some(number)) => applied
                .get(number)
                .with_context(|| format!("no generation {number}"))?
                .clone(),
        };
        for change in &edit.replace {
            let bytes = tree.get_mut(&change.file);
            let bytes = bytes.with_context(|| format!("no file `{}`", change.file.display()))?;
            *bytes = replaced(bytes, &change.from, &change.to)
                .with_context(|| format!("in `{}`", change.file.display()))?;
        }
        for new in &edit.write {
            tree.insert(new.file.clone(), new.content.clone().into_bytes());
        }
        for gone in &edit.delete {
            let known = tree.remove(gone).is_some();
            ensure!(known, "no file `{}` to delete", gone.display());
        }
        let mut changed = Vec::new();
        for (path, bytes) in &tree {
            if on_disk.get(path) != Some(bytes) || edit.touch.contains(path) {
                self.save(path, bytes, edit.save)?;
                changed.push(path.clone());
            }
        }
        for path in on_disk.keys().filter(|path| !tree.contains_key(*path)) {
            fs::remove_file(self.root.join(path))?;
            changed.push(path.clone());
        }
        ensure!(!changed.is_empty(), "the edit changes nothing");
        Ok(changed)
    }

    /// Replaces one place of one file, saved as most editors do.
    pub fn replace(&self, file: &str, from: &str, to: &str) -> Result<()> {
        let path = self.root.join(file);
        let bytes = fs::read(&path).with_context(|| format!("failed to read `{file}`"))?;
        fs::write(
            &path,
            replaced(&bytes, from, to).with_context(|| format!("in `{file}`"))?,
        )?;
        Ok(())
    }

    /// The same with several texts in one save.
    pub fn replace_all(&self, file: &str, texts: &[(&str, &str)]) -> Result<()> {
        let path = self.root.join(file);
        let mut bytes = fs::read(&path).with_context(|| format!("failed to read `{file}`"))?;
        for (from, to) in texts {
            bytes = replaced(&bytes, from, to).with_context(|| format!("in `{file}`"))?;
        }
        Ok(fs::write(&path, bytes)?)
    }

    fn save(&self, path: &Path, bytes: &[u8], how: Save) -> Result<()> {
        let path = self.root.join(path);
        match how {
            Save::InPlace => write(&path, bytes),
            Save::Rename => {
                let new = path.with_extension("tmp~");
                write(&new, bytes)?;
                fs::rename(&new, &path)
                    .with_context(|| format!("failed to replace `{}`", path.display()))
            }
        }
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::env::var_os("KEEP_TEMP_DIR").is_some() {
            eprintln!("kept `{}`", self.work.display());
        } else {
            let _ = fs::remove_dir_all(&self.work);
        }
    }
}

fn with_runtime(manifest: Vec<u8>) -> Result<Vec<u8>> {
    let manifest = String::from_utf8(manifest)?;
    let runtime = format!(
        "hotpatch-rt = {{ path = \"{}\"",
        workspace::runtime().display()
    );
    let manifest = manifest.replace(PUBLISHED_RUNTIME, &format!("{runtime} }}"));
    Ok(manifest.replace(PUBLISHED_WITH, &runtime).into_bytes())
}

/// Replaces the one place where `from` stands.
fn replaced(bytes: &[u8], from: &str, to: &str) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(bytes)?;
    match text.matches(from).count() {
        1 => Ok(text.replacen(from, to, 1).into_bytes()),
        count => bail!("`{from}` stands there {count} times"),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().expect("invariant: a file is in a folder");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, bytes))
        .with_context(|| format!("failed to write `{}`", path.display()))
}

fn read_tree(root: &Path) -> Result<Tree> {
    let mut tree = Tree::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            let name = entry.file_name();
            if entry.file_type()?.is_dir() {
                if name != "target" {
                    folders.push(path);
                }
            } else if name != "Cargo.lock" {
                tree.insert(path, fs::read(entry.path())?);
            }
        }
    }
    Ok(tree)
}
