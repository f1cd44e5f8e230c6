//! What an earlier session read of sources and programs, so that a start need not do it again.
//!
//! Only ever a short cut: a file is taken from here if its text is the same to the letter, a program if it is the
//! same file, and what cannot be read is made anew.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::build::base::stamp;
use crate::build::capture::Unit;
use crate::source::items::CrateSource;

/// The crate's source as it was kept last, if this tool kept it for this configuration.
#[must_use]
pub fn load(unit: &Unit) -> Option<CrateSource> {
    read(&place(unit), key(&unit.cfg))
}

/// Keeps the crate's source.
pub fn store(unit: &Unit, source: &CrateSource) {
    write(&place(unit), key(&unit.cfg), source);
}

/// What was kept in a file under this key.
#[must_use]
pub fn read<T: DeserializeOwned>(path: &Path, key: u64) -> Option<T> {
    let data = fs::read(path).ok()?;
    let (head, body) = data.split_at_checked(8)?;
    (head == key.to_le_bytes())
        .then(|| postcard::from_bytes(body).ok())
        .flatten()
}

/// Keeps a value in a file under this key.
pub fn write<T: Serialize>(path: &Path, key: u64, value: &T) {
    let Ok(body) = postcard::to_stdvec(value) else {
        return;
    };
    let mut data = key.to_le_bytes().to_vec();
    data.extend(body);
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    // Whoever comes first or last, the file is whole; without it the next start only takes longer.
    if fs::write(&fresh, data).is_err() || fs::rename(&fresh, path).is_err() {
        let _ = fs::remove_file(&fresh);
    }
}

fn place(unit: &Unit) -> PathBuf {
    unit.folder.join("source.bin")
}

/// The key of what follows from `from` alone. Another version of this tool may make something else of it.
#[must_use]
pub fn key(from: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    let program = std::env::current_exe().unwrap_or_default();
    (stamp(&program), program, from).hash(&mut hasher);
    hasher.finish()
}
