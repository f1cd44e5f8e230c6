//! Sources as an earlier session took them apart, so that a start need not do it again.
//!
//! Only ever a short cut: a file is taken from here if its text is the same to the letter, and what cannot
//! be read is made anew.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use crate::build::base::stamp;
use crate::build::capture::Unit;
use crate::source::items::CrateSource;

/// The crate's source as it was kept last, if this tool kept it for this configuration.
#[must_use]
pub fn load(unit: &Unit) -> Option<CrateSource> {
    let data = fs::read(place(unit)).ok()?;
    let (head, body) = data.split_at_checked(8)?;
    (head == key(unit).to_le_bytes())
        .then(|| postcard::from_bytes(body).ok())
        .flatten()
}

/// Keeps the crate's source.
pub fn store(unit: &Unit, source: &CrateSource) {
    let Ok(body) = postcard::to_stdvec(source) else {
        return;
    };
    let mut data = key(unit).to_le_bytes().to_vec();
    data.extend(body);
    let path = place(unit);
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    // Whoever comes first or last, the file is whole; without it the next start only takes longer.
    if fs::write(&fresh, data).is_err() || fs::rename(&fresh, &path).is_err() {
        let _ = fs::remove_file(&fresh);
    }
}

fn place(unit: &Unit) -> PathBuf {
    unit.folder.join("source.bin")
}

/// Another version of this tool may take files apart in another way.
fn key(unit: &Unit) -> u64 {
    let mut hasher = DefaultHasher::new();
    let program = std::env::current_exe().unwrap_or_default();
    (stamp(&program), program, &unit.cfg).hash(&mut hasher);
    hasher.finish()
}
