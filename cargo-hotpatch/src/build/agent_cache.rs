//! The agents of all projects of a user, so that each is compiled once and not for every new target folder.
//!
//! One lies in a file named after its key, followed by a checksum of it: what was cut short is not there. The folder is
//! one that only the user can write, as what lies in it becomes part of their programs.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use etcetera::BaseStrategy;

/// An agent that no new project asked for in this time is of a compiler that the user has left.
const UNUSED_LIMIT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A folder of compiled agents.
#[derive(Debug)]
pub struct AgentCache(PathBuf);

impl AgentCache {
    /// The user's: `cargo-hotpatch` in `$XDG_CACHE_HOME` or `~/.cache`. `None` where there is none that is theirs alone
    /// to write.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        let base = etcetera::choose_base_strategy().ok()?;
        Self::in_folder(&base.cache_dir().join("cargo-hotpatch"))
    }

    fn in_folder(folder: &Path) -> Option<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder).ok()?;
        let meta = fs::metadata(folder).ok()?;
        let ours = meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & 0o022 == 0;
        ours.then(|| Self(folder.to_owned()))
    }

    /// Writes the agent for `key` to `to`.
    ///
    /// # Errors
    /// There is none, it is not whole, or `to` cannot be written.
    pub fn get(&self, key: u64, to: &Path) -> io::Result<()> {
        let path = self.path(key);
        let kept = fs::read(&path)?;
        let (library, _) = kept
            .split_last_chunk()
            .filter(|(library, sum)| checksum(library) == **sum)
            .ok_or(io::ErrorKind::InvalidData)?;
        fs::write(to, library)?;
        // Only `put` cares when it was last of use.
        let _ = File::options()
            .append(true)
            .open(&path)
            .and_then(|file| file.set_modified(SystemTime::now()));
        Ok(())
    }

    /// Keeps `library` as the agent for `key`, and gives up those that nobody asked for in a long time.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn put(&self, key: u64, library: &Path) -> io::Result<()> {
        let library = fs::read(library)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
        file.write_all(&library)?;
        file.write_all(&checksum(&library))?;
        file.persist(self.path(key)).map_err(|e| e.error)?;
        self.prune();
        Ok(())
    }

    fn path(&self, key: u64) -> PathBuf {
        self.0.join(format!("agent-{key:016x}"))
    }

    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.0) else {
            return;
        };
        for entry in entries.flatten() {
            let unused = entry.metadata().and_then(|meta| meta.modified());
            let old = unused.is_ok_and(|last| last.elapsed().is_ok_and(|time| time > UNUSED_LIMIT));
            if old {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn checksum(bytes: &[u8]) -> [u8; 8] {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder() -> (tempfile::TempDir, AgentCache) {
        let home = tempfile::tempdir().unwrap();
        let cache = AgentCache::in_folder(&home.path().join("deep/er")).unwrap();
        (home, cache)
    }

    #[test]
    fn what_is_put_comes_back_for_its_key_only() {
        let (home, cache) = folder();
        let (from, to) = (home.path().join("from"), home.path().join("to"));
        fs::write(&from, "an agent").unwrap();
        assert!(cache.get(1, &to).is_err());
        cache.put(1, &from).unwrap();
        cache.get(1, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "an agent");
        assert!(cache.get(2, &to).is_err());
    }

    #[test]
    fn what_is_not_whole_is_not_there() {
        let (home, cache) = folder();
        let (from, to) = (home.path().join("from"), home.path().join("to"));
        fs::write(&from, "an agent").unwrap();
        cache.put(1, &from).unwrap();
        let whole = fs::read(cache.path(1)).unwrap();
        for damaged in [
            &whole[..0],
            &whole[..7],
            &whole[..whole.len() - 1],
            &whole[1..],
        ] {
            fs::write(cache.path(1), damaged).unwrap();
            assert!(cache.get(1, &to).is_err(), "{damaged:?}");
            assert!(!to.exists());
        }
        // It is made again.
        cache.put(1, &from).unwrap();
        cache.get(1, &to).unwrap();
    }

    #[test]
    fn a_folder_that_others_can_write_is_not_taken() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("open");
        fs::create_dir(&path).unwrap();
        for (mode, taken) in [(0o777, false), (0o720, false), (0o755, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(AgentCache::in_folder(&path).is_some(), taken, "{mode:o}");
        }
        fs::write(home.path().join("file"), "").unwrap();
        assert!(AgentCache::in_folder(&home.path().join("file")).is_none());
    }

    #[test]
    fn agents_go_that_nobody_asked_for() {
        let (home, cache) = folder();
        let (from, to) = (home.path().join("from"), home.path().join("to"));
        fs::write(&from, "an agent").unwrap();
        let long_ago = SystemTime::now() - UNUSED_LIMIT - Duration::from_secs(60);
        for key in [1, 2] {
            cache.put(key, &from).unwrap();
        }
        for key in [1, 2] {
            let file = File::options().append(true).open(cache.path(key)).unwrap();
            file.set_modified(long_ago).unwrap();
        }
        cache.get(1, &to).unwrap();
        cache.put(3, &from).unwrap();
        assert!(cache.get(1, &to).is_ok());
        assert!(cache.get(2, &to).is_err());
        assert!(cache.get(3, &to).is_ok());
    }
}
