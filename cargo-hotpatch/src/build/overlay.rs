//! A view of the file system in which some files have other text.
//!
//! rustc finds a crate's modules, and `include_str!` its files, by paths relative to the source
//! file. To compile changed text without touching the user's tree, the folders on the way to the
//! changed files are made again under a root of ours, and everything else in them is a symbolic
//! link to the original. `<overlay>/home/me/app/src/main.rs` then stands for
//! `/home/me/app/src/main.rs`, and `..` means what it meant.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

/// Where `path` (absolute) is seen below the overlay's root.
#[must_use]
pub fn seen_at(root: &Path, path: &Path) -> PathBuf {
    let mut seen = root.to_path_buf();
    for part in path.components() {
        match part {
            Component::Normal(name) => seen.push(name),
            Component::ParentDir => {
                seen.pop();
            }
            _ => {}
        }
    }
    seen
}

/// Makes or brings up to date the overlay at `root` with the given files (absolute path → text).
///
/// A file whose text is the same already keeps its time stamp.
///
/// # Errors
/// What the file system says, with the path it was about.
pub fn write(root: &Path, files: &BTreeMap<PathBuf, String>) -> io::Result<()> {
    let mut folders: BTreeSet<&Path> = BTreeSet::new();
    for path in files.keys() {
        folders.extend(path.ancestors().skip(1));
    }
    let inside = |path: &Path| root.starts_with(path) || path.starts_with(root);
    for folder in &folders {
        let seen = seen_at(root, folder);
        if seen.is_symlink() {
            std::fs::remove_file(&seen)?;
        }
        std::fs::create_dir_all(&seen).map_err(|e| about(&seen, &e))?;
        link_rest(folder, &seen, |path| {
            folders.contains(path) || files.contains_key(path) || inside(path)
        })?;
    }
    for (path, text) in files {
        let seen = seen_at(root, path);
        if seen.is_symlink() {
            std::fs::remove_file(&seen)?;
        }
        let same = std::fs::read(&seen).is_ok_and(|old| old == text.as_bytes());
        if !same {
            std::fs::write(&seen, text).map_err(|e| about(&seen, &e))?;
        }
    }
    Ok(())
}

fn link_rest(folder: &Path, seen: &Path, own: impl Fn(&Path) -> bool) -> io::Result<()> {
    // A folder that may be entered but not listed (such as a shared parent) has nothing to link.
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    let mut wanted = BTreeSet::new();
    for entry in entries.flatten() {
        let path = entry.path();
        wanted.insert(entry.file_name());
        if own(&path) {
            continue;
        }
        let link = seen.join(entry.file_name());
        match symlink(&path, &link) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                // An own file of an earlier state: the original takes its place again.
                if link.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
                    std::fs::remove_file(&link)?;
                    symlink(&path, &link).map_err(|e| about(&link, &e))?;
                }
            }
            Err(e) => return Err(about(&link, &e)),
        }
    }
    for entry in std::fs::read_dir(seen)?.flatten() {
        if !wanted.contains(&entry.file_name()) && !own(&folder.join(entry.file_name())) {
            let gone = entry.path();
            if gone.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) {
                std::fs::remove_file(gone)?;
            }
        }
    }
    Ok(())
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_files_are_seen_and_the_rest_is_the_original() {
        let temp = tempfile::tempdir().unwrap();
        let src = temp.path().join("app/src");
        std::fs::create_dir_all(src.join("deep")).unwrap();
        std::fs::write(src.join("main.rs"), "old").unwrap();
        std::fs::write(src.join("deep/x.rs"), "x").unwrap();
        std::fs::write(temp.path().join("app/note.txt"), "note").unwrap();
        let root = temp.path().join("ov");
        let files = BTreeMap::from([(src.join("main.rs"), "new".to_owned())]);
        write(&root, &files).unwrap();
        let seen = seen_at(&root, &src.join("main.rs"));
        assert_eq!(std::fs::read_to_string(&seen).unwrap(), "new");
        let up = seen.parent().unwrap().join("../note.txt");
        assert_eq!(std::fs::read_to_string(up).unwrap(), "note");
        let deep = seen.parent().unwrap().join("deep/../../note.txt");
        assert_eq!(std::fs::read_to_string(deep).unwrap(), "note");
        write(&root, &BTreeMap::new()).unwrap();
        write(
            &root,
            &BTreeMap::from([(src.join("deep/x.rs"), "y".to_owned())]),
        )
        .unwrap();
        assert_eq!(std::fs::read_to_string(&seen).unwrap(), "old");
    }
}
