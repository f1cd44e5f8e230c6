//! Files as they were read last: what a save really changed, and what must not have changed at all.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::build::base::{Stamp, stamp};
use crate::build::build_side;
use crate::build::project::Project;
use crate::source::items::{Files, fingerprint, plain};
use crate::source::text;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Source files by path, read once until a save is reported.
#[derive(Debug, Default)]
pub struct Texts {
    known: Mutex<HashMap<PathBuf, Content>>,
}

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Content {
    /// None if there is no such file, or what is in it is no text.
    text: Option<Arc<str>>,
    /// Of the bytes; none if there is no such file.
    fingerprint: Option<u64>,
}

impl Content {
    fn read(path: &Path) -> Self {
        let Ok(bytes) = std::fs::read(path) else {
            return Self::default();
        };
        Self {
            fingerprint: Some(fingerprint(&bytes)),
            text: text::from_bytes(bytes).ok(),
        }
    }

    fn text(&self) -> io::Result<Arc<str>> {
        let missing = match self.fingerprint {
            Some(_) => io::Error::new(io::ErrorKind::InvalidData, "the file is not valid UTF-8"),
            None => io::ErrorKind::NotFound.into(),
        };
        self.text.clone().ok_or(missing)
    }
}

impl Files for Texts {
    fn read(&self, path: &Path) -> io::Result<Arc<str>> {
        self.content(path).text()
    }

    fn fingerprint(&self, path: &Path) -> Option<u64> {
        self.content(path).fingerprint
    }
}

/// A file's path as the watcher has it: one that a `#[path]` made goes up and down.
fn as_saved(path: &Path) -> Cow<'_, Path> {
    if !path.components().any(|part| part == Component::ParentDir) {
        return Cow::Borrowed(path);
    }
    let plain = plain(path);
    // Behind a link to a folder, up is elsewhere.
    let is_same = std::fs::canonicalize(&plain).ok() == std::fs::canonicalize(path).ok();
    if is_same {
        Cow::Owned(plain)
    } else {
        Cow::Borrowed(path)
    }
}

impl Texts {
    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Content>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn content(&self, path: &Path) -> Content {
        let path = as_saved(path);
        if let Some(known) = self.lock().get(&*path) {
            return known.clone();
        }
        let content = Content::read(&path);
        self.lock().insert(path.into_owned(), content.clone());
        content
    }

    /// Reads these files again and gives back those whose bytes are others than before.
    pub fn refresh(&self, paths: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
        let mut known = self.lock();
        let mut changed = BTreeSet::new();
        for path in paths {
            let now = Content::read(path);
            match known.get(path) {
                Some(old) if *old == now => {}
                None if now.fingerprint.is_none() => {}
                _ => {
                    known.insert(path.clone(), now);
                    changed.insert(path.clone());
                }
            }
        }
        changed
    }

    /// A hash of these files as they were read last, by their paths from `root`: as long as it is the same, so are they.
    pub fn revision<'a>(&self, files: impl Iterator<Item = &'a PathBuf>, root: &Path) -> String {
        let mut hash = Xxh3::new();
        // In one order, whatever knows of them.
        for path in files.collect::<BTreeSet<_>>() {
            if let Some(fingerprint) = self.content(path).fingerprint {
                let path = path.strip_prefix(root).unwrap_or(path);
                hash.update(path.as_os_str().as_encoded_bytes());
                hash.update(&[0]);
                hash.update(&fingerprint.to_le_bytes());
            }
        }
        format!("{:016x}", hash.digest())
    }

    /// Reads all that is known again.
    pub fn refresh_all(&self) -> BTreeSet<PathBuf> {
        let paths = self.lock().keys().cloned().collect();
        self.refresh(&paths)
    }
}

/// Files that decide the build, with what they said when they were looked at last.
#[derive(Debug, Default)]
pub struct Fixed {
    /// Manifests, build scripts, macro crates.
    pub build: BTreeMap<PathBuf, Option<String>>,
    /// Of files that only build scripts read, when they were written: cargo looks at no more, and there may be many.
    read_by_scripts: BTreeMap<PathBuf, Stamp>,
}

impl Fixed {
    /// Reads them as they are now.
    #[must_use]
    pub fn read(project: &Project) -> Self {
        let mut out = Self::default();
        let root = project.metadata.workspace_root.as_std_path();
        let mut build: BTreeSet<PathBuf> = project
            .members()
            .map(|package| package.manifest_path.as_std_path().to_owned())
            .collect();
        for name in [
            "Cargo.toml",
            "Cargo.lock",
            "rust-toolchain.toml",
            "rust-toolchain",
        ] {
            build.insert(root.join(name));
        }
        for folder in root.ancestors() {
            for name in ["config.toml", "config"] {
                build.insert(folder.join(".cargo").join(name));
            }
        }
        for target in project.members().flat_map(|package| &package.targets) {
            let path = target.src_path.as_std_path();
            if project.decides_the_build(path) {
                build.insert(path.to_owned());
            }
        }
        build.extend(project.build_side().flat_map(build_side::files));
        for path in build {
            let text = normal(&path);
            out.build.insert(path, text);
        }
        out
    }

    /// Takes in more files that the build reads.
    pub fn also(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        for path in paths {
            if !self.build.contains_key(&path) {
                self.read_by_scripts.insert(path.clone(), stamp(&path));
                let text = normal(&path);
                self.build.insert(path, text);
            }
        }
    }

    /// All of them.
    #[must_use]
    pub fn paths(&self) -> BTreeSet<PathBuf> {
        self.build.keys().cloned().collect()
    }

    /// A file of the build that is not as it was; one that chooses the toolchain before all others.
    #[must_use]
    pub fn build_changed(&self) -> Option<&Path> {
        let changed = self.build.iter();
        let is_as_it_was = |path: &PathBuf| {
            let written = self.read_by_scripts.get(path);
            written.is_some_and(|written| *written == stamp(path))
        };
        let changed = changed.filter(|(path, text)| !is_as_it_was(path) && normal(path) != **text);
        let mut changed: Vec<&Path> = changed.map(|(path, _)| path.as_path()).collect();
        changed.sort_by_key(|path| !chooses_the_toolchain(path));
        changed.first().copied()
    }
}

/// Whether rustup reads it.
#[must_use]
pub fn chooses_the_toolchain(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with("rust-toolchain")
}

/// A hash of the bytes, or for TOML what it says: comments and layout decide nothing.
fn normal(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    let is_toml = path.extension().is_some_and(|e| e == "toml" || e == "lock");
    let value = is_toml.then(|| toml::from_str::<toml::Value>(&String::from_utf8_lossy(&bytes)));
    Some(match value {
        Some(Ok(value)) => value.to_string(),
        _ => format!("{:032x}", xxh3_128(&bytes)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_outside_of_its_package_is_read_again_when_it_is_saved() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        std::fs::create_dir_all(home.join("app/src")).unwrap();
        let saved = home.join("shared.rs");
        let named = home.join("app/src/../../shared.rs");
        let texts = Texts::default();
        for text in ["fn a() {}", "fn b() {}"] {
            std::fs::write(&saved, text).unwrap();
            texts.refresh(&BTreeSet::from([saved.clone()]));
            assert_eq!(&*texts.read(&named).unwrap(), text);
        }
        assert!(texts.refresh_all().is_empty());
    }
}
