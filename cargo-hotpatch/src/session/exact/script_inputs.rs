//! Files that build scripts read, as those told cargo: `rerun-if-changed`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::build::base::Base;

/// Beyond so many files nobody edits them by hand.
const MOST: usize = 2000;

/// The files that the build scripts of the workspace's crates name, and those in folders that they name. A script that
/// names nothing runs again whatever changes in its package; then all files there count that are no Rust, but for those in
/// the target folder.
#[must_use]
pub fn of(base: &Base, target: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for unit in &base.units {
        let (Some(out_dir), Some(package)) =
            (unit.env.get("OUT_DIR"), unit.env.get("CARGO_MANIFEST_DIR"))
        else {
            continue;
        };
        // cargo keeps what the script said beside the folder for its outputs.
        let said = Path::new(out_dir).with_file_name("output");
        let said = fs::read_to_string(said).unwrap_or_default();
        let package = Path::new(package);
        let named: Vec<PathBuf> = said
            .lines()
            .filter_map(rerun_if_changed)
            .map(|path| package.join(path))
            .collect();
        if named.is_empty() && !said.contains("rerun-if-env-changed") {
            files_below(package, target, &mut found, &|path| {
                path.extension().is_none_or(|kind| kind != "rs")
            });
        }
        for path in named {
            match path.is_dir() {
                true => files_below(&path, target, &mut found, &|_| true),
                false => drop(found.insert(path)),
            }
        }
    }
    found
}

fn rerun_if_changed(line: &str) -> Option<&str> {
    let line = line
        .strip_prefix("cargo::")
        .or_else(|| line.strip_prefix("cargo:"))?;
    line.strip_prefix("rerun-if-changed=")
}

fn files_below(
    folder: &Path,
    target: &Path,
    found: &mut BTreeSet<PathBuf>,
    is_wanted: &dyn Fn(&Path) -> bool,
) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        // Target folders, and what git and editors keep.
        let is_ours = path == target
            || path.join("CACHEDIR.TAG").exists()
            || name.to_string_lossy().starts_with('.');
        if is_ours || found.len() >= MOST {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(&path, target, found, is_wanted),
            Ok(kind) if kind.is_file() && is_wanted(&path) => drop(found.insert(path)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::files_below;
    use std::collections::BTreeSet;
    use std::fs;

    #[test]
    fn what_cargo_and_others_make_is_no_input() {
        let home = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            path
        };
        let wanted = BTreeSet::from([file("Cargo.toml"), file("assets/a.css")]);
        for name in [
            "target/debug/app",
            "cache/CACHEDIR.TAG",
            "cache/b",
            ".git/index",
        ] {
            file(name);
        }
        let mut found = BTreeSet::new();
        // The tool may have made the target folder, before cargo could put a tag there.
        files_below(
            home.path(),
            &home.path().join("target"),
            &mut found,
            &|_| true,
        );
        assert_eq!(found, wanted);
    }
}
