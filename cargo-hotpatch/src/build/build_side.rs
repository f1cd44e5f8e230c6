//! Which crates of the workspace run in the build itself: in build scripts and in procedural macros.
//!
//! What they do is part of the program as built, so an edit to one of them is none that a running program can follow,
//! even where the program uses the same crate as well.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, Package, PackageId, TargetKind};

/// The source folders of these crates, as far as `program` is built with them.
#[must_use]
pub fn folders(metadata: &Metadata, program: &Package) -> BTreeSet<PathBuf> {
    let mut seen: BTreeSet<(&PackageId, bool)> = BTreeSet::new();
    let mut todo = vec![(program, false)];
    let mut found = BTreeSet::new();
    while let Some((package, runs)) = todo.pop() {
        let runs = runs || has(package, &TargetKind::ProcMacro);
        if !seen.insert((&package.id, runs)) {
            continue;
        }
        if runs {
            found.extend(source_folder(package));
        }
        for dependency in &package.dependencies {
            let runs = match dependency.kind {
                DependencyKind::Normal => runs,
                DependencyKind::Build => true,
                _ => continue,
            };
            let folder = dependency.path.as_deref();
            let members = metadata.packages.iter();
            todo.extend(
                members
                    .filter(|member| member.manifest_path.parent() == folder && folder.is_some())
                    .map(|member| (member, runs)),
            );
        }
    }
    found
}

fn has(package: &Package, kind: &TargetKind) -> bool {
    let mut targets = package.targets.iter();
    targets.any(|target| target.kind.contains(kind))
}

/// Where the package's library has its files.
fn source_folder(package: &Package) -> Option<PathBuf> {
    let is_library = |kind: &TargetKind| {
        !matches!(
            kind,
            TargetKind::Bin
                | TargetKind::Example
                | TargetKind::Test
                | TargetKind::Bench
                | TargetKind::CustomBuild
        )
    };
    let mut targets = package.targets.iter();
    let library = targets.find(|target| target.kind.iter().any(is_library))?;
    library
        .src_path
        .parent()
        .map(|folder| folder.as_std_path().to_owned())
}

/// All Rust files in a folder and in those below it.
#[must_use]
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(folder) = todo.pop() {
        // A folder that went away in between has no files.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => todo.push(path),
                Ok(_) if path.extension().is_some_and(|extension| extension == "rs") => {
                    found.push(path);
                }
                _ => {}
            }
        }
    }
    found
}
