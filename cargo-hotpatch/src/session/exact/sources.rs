//! Which files each crate was compiled from, and whether they are still the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use xxhash_rust::xxh3::xxh3_128;

use crate::build::base::{Stamp, stamp};
use crate::build::capture::Unit;
use crate::source::items::plain;

/// A file as it was when it was looked at last.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    stamp: Stamp,
    /// Of its bytes; `None` for no file.
    hash: Option<u128>,
}

impl Seen {
    fn of(path: &Path) -> Self {
        Self {
            stamp: stamp(path),
            hash: fs::read(path).ok().map(|bytes| xxh3_128(&bytes)),
        }
    }
}

/// The files of one crate, as rustc read them.
#[derive(Debug, Default)]
pub struct Inputs {
    files: BTreeMap<PathBuf, Seen>,
    /// The crate has to be compiled again, whatever its files say.
    stale: bool,
}

impl Inputs {
    /// The files of a crate that was compiled when `began` was past. Those that were written since may be others.
    #[must_use]
    pub fn of_base(unit: &Unit, began: SystemTime) -> Self {
        let mut inputs = Self::default();
        inputs.take(unit, &BTreeMap::new());
        inputs.stale = inputs.files.keys().any(|path| {
            let written = fs::metadata(path).and_then(|meta| meta.modified());
            written.is_ok_and(|written| written >= began)
        });
        inputs
    }

    /// A crate that was not compiled yet.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            stale: true,
            ..Self::default()
        }
    }

    /// The crate was compiled from what was there when `before` was looked at.
    pub fn compiled(&mut self, unit: &Unit, before: &BTreeMap<PathBuf, Option<u128>>) {
        self.take(unit, before);
        self.stale = false;
    }

    fn take(&mut self, unit: &Unit, before: &BTreeMap<PathBuf, Option<u128>>) {
        let mut files = BTreeMap::new();
        for path in unit.files() {
            let mut seen = Seen::of(&path);
            if let Some(hash) = before.get(&path) {
                // Written meanwhile: rustc may have read either.
                if *hash != seen.hash {
                    seen = Seen {
                        stamp: None,
                        hash: *hash,
                    };
                }
            }
            files.insert(path, seen);
        }
        self.files = files;
    }

    /// The files whose bytes are others than when the crate was compiled.
    pub fn changed(&mut self) -> BTreeSet<PathBuf> {
        let mut changed = BTreeSet::new();
        for (path, seen) in &mut self.files {
            let now = stamp(path);
            // None of a file that is gone; and of one whose times are not to be trusted.
            if now.is_some() && now == seen.stamp {
                continue;
            }
            let is = Seen::of(path);
            if is.hash == seen.hash {
                seen.stamp = is.stamp;
            } else {
                changed.insert(path.clone());
            }
        }
        changed
    }

    /// These were saved: their bytes are compared, whatever their times say.
    pub fn distrust(&mut self, saved: &BTreeSet<PathBuf>) {
        for (path, seen) in &mut self.files {
            if saved.contains(path) || saved.contains(&plain(path)) {
                seen.stamp = None;
            }
        }
    }

    /// Has the crate compiled again at the next chance.
    pub fn expire(&mut self) {
        self.stale = true;
    }

    /// Whether something beside its files says that it must be compiled again.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Of the bytes of its files as they were compiled.
    #[must_use]
    pub fn hashes(&self) -> BTreeMap<PathBuf, u128> {
        let files = self.files.iter();
        files
            .filter_map(|(path, seen)| Some((path.clone(), seen.hash?)))
            .collect()
    }

    /// Its files.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.keys()
    }
}

/// Files as they are before a compile: what [`Inputs::compiled`] compares later ones with.
#[must_use]
pub fn look(files: &[PathBuf]) -> BTreeMap<PathBuf, Option<u128>> {
    files
        .iter()
        .map(|path| (path.clone(), Seen::of(path).hash))
        .collect()
}
