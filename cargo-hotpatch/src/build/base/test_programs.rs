//! Programs with tests, and those that these may start.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::SystemTime;

use anyhow::anyhow;
use cargo_metadata::{Artifact, Package, TargetKind};

use super::{
    ALWAYS_NEWER, BUILDS, Base, BuildError, Words, artifacts, base_of, cargo_tool, not_captured,
    prepare, supported, unit_of_library, wrapper,
};
use crate::args::{BuildArgs, TestArgs};
use crate::build::capture::Unit;
use crate::build::project::Project;
use crate::command::CancelToken;

/// A program with tests.
#[derive(Debug, Clone)]
pub struct TestProgram {
    /// What cargo calls it when it runs it, such as `unittests src/lib.rs`.
    pub title: String,
    /// The package that it is of.
    pub package: Package,
    /// The program and its crates.
    pub base: Base,
}

/// Builds the programs with tests that cargo would run, again if a source changes meanwhile.
///
/// # Errors
/// See [`BuildError`].
pub fn build_tests(
    project: &Project,
    args: &BuildArgs,
    selection: &[OsString],
    cancel: &CancelToken,
    words: Option<Words<'_>>,
) -> Result<Vec<TestProgram>, BuildError> {
    for _ in 0..BUILDS {
        let wrapper = wrapper(project.target_dir())?;
        prepare(project, &wrapper);
        let are_ours = words.is_some_and(|words| words.diagnosed.is_some());
        let mut tool = cargo_tool(project, args, &wrapper, are_ours, "test")
            .arg("--no-run")
            .args(selection)
            .foreground(true);
        if words.is_some_and(|words| words.are_coloured) && args.color.is_none() {
            tool = tool.env("CARGO_TERM_COLOR", "always");
        }
        let (artifacts, began) = artifacts(tool, cancel, words)?;
        let tests = collect_tests(project, &artifacts, began)?;
        if !tests.iter().any(|test| test.base.is_older_than_a_source()) {
            return Ok(tests);
        }
    }
    Err(BuildError::Other(anyhow!(ALWAYS_NEWER)))
}

/// Builds the programs that cargo builds beside tests, for these to start.
///
/// # Errors
/// See [`BuildError`].
pub fn build_programs(
    project: &Project,
    args: &BuildArgs,
    packages: &TestArgs,
    cancel: &CancelToken,
) -> Result<(), BuildError> {
    let wrapper = wrapper(project.target_dir())?;
    let mut tool = cargo_tool(project, args, &wrapper, false, "build").arg("--bins");
    if packages.workspace {
        tool = tool.arg("--workspace");
    }
    for name in &packages.exclude {
        tool = tool.args(["--exclude", name]);
    }
    artifacts(tool.foreground(true), cancel, None).map(drop)
}

/// The programs with tests among what was built, in the order in which cargo runs them.
fn collect_tests(
    project: &Project,
    artifacts: &[Artifact],
    began: SystemTime,
) -> Result<Vec<TestProgram>, BuildError> {
    let members = &project.metadata.workspace_members;
    let own = artifacts.iter().filter(|artifact| {
        let mut kinds = artifact.target.kind.iter();
        members.contains(&artifact.package_id)
            && !kinds.any(|kind| matches!(kind, TargetKind::CustomBuild))
    });
    let mut units: BTreeMap<String, Unit> = BTreeMap::new();
    let mut programs = Vec::new();
    for artifact in own {
        match (&artifact.executable, artifact.profile.test) {
            (Some(path), true) => programs.push((artifact, path.as_std_path())),
            // Programs that tests may start are no part of them, and macros run in builds.
            (Some(_), false) => {}
            (None, _) if artifact.target.is_proc_macro() => {}
            (None, _) => {
                let unit = unit_of_library(artifact)?;
                units.insert(unit.stem(), unit);
            }
        }
    }
    // The order in which cargo runs them.
    programs.sort_by_key(|(artifact, _)| {
        let target = &artifact.target;
        let kind = [target.is_lib(), target.is_bin(), target.is_test()];
        let kind = kind
            .iter()
            .position(|is_this| *is_this)
            .unwrap_or(kind.len());
        (artifact.package_id.repr.clone(), kind, target.name.clone())
    });
    let tests = programs.into_iter().map(|(artifact, path)| {
        let stem = path.file_name().and_then(|name| name.to_str());
        let stem = stem.ok_or_else(|| not_captured(&artifact.target.name))?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let unit = Unit::read(folder, stem).map_err(|_| not_captured(&artifact.target.name))?;
        units.insert(unit.stem(), unit);
        for unit in units.values() {
            supported(unit)?;
        }
        let base = base_of(path.to_owned(), stem, &units, began);
        let packages = &project.metadata.packages;
        let package = packages
            .iter()
            .find(|package| package.id == artifact.package_id)
            .ok_or_else(|| not_captured(&artifact.target.name))?;
        Ok(TestProgram {
            title: title(artifact, package),
            package: package.clone(),
            base,
        })
    });
    tests.collect()
}

/// What cargo says it runs: `unittests` of libraries and programs, and the source file.
fn title(artifact: &Artifact, package: &Package) -> String {
    let folder = package.manifest_path.parent();
    let source = &artifact.target.src_path;
    let source = folder.and_then(|folder| source.strip_prefix(folder).ok());
    let source = source.unwrap_or(&artifact.target.src_path);
    match artifact.target.is_test() || artifact.target.is_bench() {
        true => source.to_string(),
        false => format!("unittests {source}"),
    }
}
