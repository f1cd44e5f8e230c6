//! Folders that hold one tree of the history after another, with the overlay over it.
//!
//! A save puts all its files beside the folder first and then renames them into it, so that a watcher sees them within
//! about a millisecond, and none half written.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::replay::history::{Entry, History, Kind, Tree};

/// The end of an overlay's file whose text is appended to the tree's file of that name.
const APPENDED: &str = ".append";

/// What is laid over every tree.
#[derive(Debug, Default)]
pub struct Overlay {
    replaced: BTreeMap<String, Vec<u8>>,
    appended: BTreeMap<String, Vec<u8>>,
}

/// What a path is to hold.
#[derive(Debug, Clone)]
pub enum Content {
    File { bytes: Vec<u8>, is_program: bool },
    Link(PathBuf),
    Nothing,
}

/// Paths and what they are to hold.
pub type Save = Vec<(String, Content)>;

impl Overlay {
    pub fn read(folder: Option<&Path>) -> Result<Self> {
        let mut overlay = Self::default();
        let Some(top) = folder else {
            return Ok(overlay);
        };
        let mut folders = vec![top.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder);
            for entry in entries.with_context(|| format!("no overlay in `{}`", folder.display()))? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let bytes = fs::read(&path)?;
                let name = path.strip_prefix(top)?.to_string_lossy().into_owned();
                match name.strip_suffix(APPENDED) {
                    Some(name) => overlay.appended.insert(name.to_owned(), bytes),
                    None => overlay.replaced.insert(name, bytes),
                };
            }
        }
        Ok(overlay)
    }

    /// Whether the history has no say in this file.
    pub fn replaces(&self, path: &str) -> bool {
        self.replaced.contains_key(path)
    }

    /// A tree's file with what is appended to it.
    pub fn laid(&self, path: &str, mut bytes: Vec<u8>) -> Vec<u8> {
        if let Some(more) = self.appended.get(path) {
            if !bytes.ends_with(b"\n") {
                bytes.push(b'\n');
            }
            bytes.extend_from_slice(more);
        }
        bytes
    }

    /// What a path holds in a tree.
    pub fn content(&self, path: &str, entry: Option<&Entry>, history: &History) -> Result<Content> {
        let Some(entry) = entry else {
            return Ok(Content::Nothing);
        };
        let bytes = history.blob(&entry.blob)?;
        Ok(self.of_kind(path, entry.kind, bytes))
    }

    fn of_kind(&self, path: &str, kind: Kind, bytes: Vec<u8>) -> Content {
        match kind {
            Kind::Link => Content::Link(String::from_utf8_lossy(&bytes).as_ref().into()),
            Kind::File | Kind::Program => Content::File {
                bytes: self.laid(path, bytes),
                is_program: kind == Kind::Program,
            },
        }
    }

    /// All files of a tree and of the overlay.
    pub fn whole(&self, tree: &Tree, history: &History) -> Result<Save> {
        let ids: Vec<&str> = tree.values().map(|entry| entry.blob.as_str()).collect();
        let blobs = history.blobs(&ids)?;
        let mut save = Save::new();
        for (path, entry) in tree.iter().filter(|(path, _)| !self.replaces(path)) {
            let bytes = blobs[&entry.blob].clone();
            save.push((path.clone(), self.of_kind(path, entry.kind, bytes)));
        }
        for (path, bytes) in &self.replaced {
            let content = Content::File {
                bytes: bytes.clone(),
                is_program: false,
            };
            save.push((path.clone(), content));
        }
        Ok(save)
    }
}

/// A folder that is written to.
#[derive(Debug)]
pub struct WorkCopy {
    folder: PathBuf,
    staging: PathBuf,
}

impl WorkCopy {
    /// Empties the folder, which is made if need be.
    pub fn empty(folder: PathBuf) -> Result<Self> {
        let staging = folder.with_extension("staging");
        for path in [&folder, &staging] {
            if path.exists() {
                fs::remove_dir_all(path)
                    .with_context(|| format!("failed to empty `{}`", path.display()))?;
            }
            fs::create_dir_all(path)
                .with_context(|| format!("failed to make `{}`", path.display()))?;
        }
        Ok(Self { folder, staging })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes everything at once and tells when it began to show.
    pub fn save(&self, save: &Save) -> Result<Instant> {
        let mut staged = Vec::new();
        for (number, (path, content)) in save.iter().enumerate() {
            let target = self.folder.join(path);
            let stage = self.staging.join(number.to_string());
            match content {
                Content::Nothing => {
                    staged.push((None, target));
                    continue;
                }
                Content::Link(to) => symlink(to, &stage)?,
                Content::File { bytes, is_program } => {
                    fs::write(&stage, bytes)?;
                    if *is_program {
                        fs::set_permissions(&stage, Permissions::from_mode(0o755))?;
                    }
                }
            }
            let parent = target.parent().unwrap_or(&self.folder);
            fs::create_dir_all(parent)
                .with_context(|| format!("failed to make `{}`", parent.display()))?;
            staged.push((Some(stage), target));
        }
        let saved = Instant::now();
        for (stage, target) in staged {
            match stage {
                Some(stage) => fs::rename(&stage, &target),
                None => fs::remove_file(&target),
            }
            .with_context(|| format!("failed to save `{}`", target.display()))?;
        }
        Ok(saved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_replaces_and_appends() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("examples")).unwrap();
        fs::write(folder.path().join("examples/driver.rs"), "fn main() {}\n").unwrap();
        fs::write(folder.path().join("Cargo.toml.append"), "[workspace]\n").unwrap();
        let overlay = Overlay::read(Some(folder.path())).unwrap();
        assert!(overlay.replaces("examples/driver.rs"));
        assert!(!overlay.replaces("Cargo.toml"));
        assert_eq!(
            overlay.laid("Cargo.toml", b"[package]".to_vec()),
            b"[package]\n[workspace]\n"
        );
        assert_eq!(
            overlay.laid("src/lib.rs", b"fn f() {}".to_vec()),
            b"fn f() {}"
        );
    }

    #[test]
    fn a_save_writes_and_removes() {
        let folder = tempfile::tempdir().unwrap();
        let copy = WorkCopy::empty(folder.path().join("copy")).unwrap();
        let file = |text: &str| Content::File {
            bytes: text.into(),
            is_program: false,
        };
        copy.save(&vec![
            ("a/b".into(), file("one")),
            ("c".into(), file("two")),
        ])
        .unwrap();
        copy.save(&vec![
            ("a/b".into(), file("three")),
            ("c".into(), Content::Nothing),
        ])
        .unwrap();
        assert_eq!(
            fs::read_to_string(copy.folder().join("a/b")).unwrap(),
            "three"
        );
        assert!(!copy.folder().join("c").exists());
    }
}
