//! Which folders are watched: those of the user's packages and all below, but for what nobody edits.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders nobody edits sources in.
const NEVER_WATCHED: [&str; 6] = [".git", ".hg", ".jj", ".svn", "node_modules", ".direnv"];

/// What to watch.
#[derive(Debug, Clone, Default)]
pub struct Watchlist {
    /// Folders to watch with everything below them. Changed files are named by these paths.
    pub roots: Vec<PathBuf>,
    /// Folders to leave out with everything below them, such as the target folder.
    pub excluded: Vec<PathBuf>,
}

impl Watchlist {
    /// How many folders watching it takes; the system gives each a watch.
    #[must_use]
    pub fn folders(mut self) -> usize {
        self.show_roots();
        let mut count = 0;
        for root in &self.roots {
            let Ok(()) = self.walk::<Infallible>(root, &mut |step| {
                count += usize::from(matches!(step, Visit::Folder(_)));
                Ok(())
            });
        }
        count
    }

    /// A target folder that holds the project must not hide it.
    pub(super) fn show_roots(&mut self) {
        let roots = &self.roots;
        self.excluded
            .retain(|folder| !roots.iter().any(|root| root.starts_with(folder)));
    }

    /// Goes through `folder` and those below it that are not left out: each before what is in it.
    pub(super) fn walk<E>(
        &self,
        folder: &Path,
        visit: &mut dyn FnMut(Visit<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut visited = BTreeSet::new();
        let mut rest = vec![folder.to_owned()];
        while let Some(folder) = rest.pop() {
            // Symbolic links may lead in a circle.
            let is_new = fs::canonicalize(&folder).is_ok_and(|real| visited.insert(real));
            let is_root = self.roots.contains(&folder);
            if !is_new || (!is_root && is_left_out(&folder, &self.excluded)) {
                continue;
            }
            visit(Visit::Folder(&folder))?;
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries.flatten() {
                let path = entry.path();
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                let link = kind.is_symlink();
                if kind.is_dir() || (link && path.is_dir()) {
                    rest.push(path);
                } else {
                    visit(Visit::File { path, link })?;
                }
            }
        }
        Ok(())
    }
}

/// What [`Watchlist::walk`] comes upon.
pub(super) enum Visit<'a> {
    /// A folder to watch.
    Folder(&'a Path),
    /// A file in it, perhaps a symbolic link to one.
    File { path: PathBuf, link: bool },
}

fn is_left_out(folder: &Path, excluded: &[PathBuf]) -> bool {
    let named = |name: &OsStr| NEVER_WATCHED.iter().any(|never| name == *never);
    folder.file_name().is_some_and(named)
        || excluded.iter().any(|excluded| folder.starts_with(excluded))
        || folder.join("CACHEDIR.TAG").exists()
        // A target folder before cargo has marked it; elsewhere `target` may be a module.
        || (folder.ends_with("target") && folder.with_file_name("Cargo.toml").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_named_target_is_watched() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("src/target")).unwrap();
        assert!(!is_left_out(&folder.path().join("src/target"), &[]));
        fs::create_dir(folder.path().join("target")).unwrap();
        fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        assert!(is_left_out(&folder.path().join("target"), &[]));
        assert!(is_left_out(&folder.path().join(".git"), &[]));
    }

    #[test]
    fn folders_are_counted_as_they_are_watched() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["src/deep/er", "target/debug", ".git/objects", "out/debug"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::write(root.join("Cargo.toml"), "").unwrap();
        let list = |excluded: &[&str]| Watchlist {
            roots: vec![root.to_owned()],
            excluded: excluded.iter().map(|name| root.join(name)).collect(),
        };
        // The root, `src`, `src/deep` and `src/deep/er`.
        assert_eq!(list(&["out"]).folders(), 4);
        assert_eq!(list(&[]).folders(), 6);
        // A target folder that holds the root hides nothing.
        assert_eq!(list(&[""]).folders(), 6);
    }
}
