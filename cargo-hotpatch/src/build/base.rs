//! The base: cargo's own build of the project, with this program in rustc's place for the workspace.

mod test_programs;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow};
use cargo_metadata::{Artifact, Message, TargetKind};

pub use self::test_programs::{TestProgram, build_programs, build_tests};
use super::capture::{self, Unit};
use super::diagnostics::{self, Diagnostic};
use super::project::Project;
use super::rustc::library_stem;
use crate::args::BuildArgs;
use crate::command::{CancelToken, Tool};

/// A built program and the crates of the workspace it consists of.
#[derive(Debug, Clone)]
pub struct Base {
    /// The program.
    pub program: PathBuf,
    /// Its crates, those a crate depends on before it; the program's own is the last.
    pub units: Vec<Unit>,
    /// When its build began.
    pub began: SystemTime,
}

impl Base {
    /// A file of it was written after its build began.
    #[must_use]
    pub fn is_older_than_a_source(&self) -> bool {
        let began = self.began;
        self.units
            .iter()
            .flat_map(Unit::files)
            .filter_map(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok())
            // A clock that is ahead is no reason to build for ever.
            .any(|written| written + CLOCK_STEP > began && written <= SystemTime::now())
    }
}

/// Tells a file from one that was written in its place; `None` for no file.
pub type Stamp = Option<(u64, i64, i64)>;

/// The stamp of a file as it is now.
#[must_use]
pub fn stamp(path: &Path) -> Stamp {
    let meta = fs::metadata(path).ok()?;
    Some((meta.len(), meta.mtime(), meta.mtime_nsec()))
}

/// File systems round times down to the kernel's tick.
const CLOCK_STEP: std::time::Duration = std::time::Duration::from_millis(12);

/// How a build ended that did not make a program.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// cargo said why on standard error.
    #[error("the project does not build")]
    Failed {
        /// cargo's exit status.
        code: i32,
    },
    /// The build cannot work as it is set up.
    #[error("{0}")]
    Unsupported(String),
    /// Something else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// How often to build while sources change.
const BUILDS: usize = 20;

/// Builds the program for hot patching, again if a source changes meanwhile.
///
/// # Errors
/// See [`BuildError`].
pub fn build(
    project: &Project,
    args: &BuildArgs,
    cancel: &CancelToken,
    words: Option<Words<'_>>,
) -> Result<Base, BuildError> {
    for _ in 0..BUILDS {
        let base = build_once(project, args, cancel, words)?;
        // What was saved meanwhile may or may not be in it; cargo knows how to tell.
        if !base.is_older_than_a_source() {
            return Ok(base);
        }
    }
    Err(BuildError::Other(anyhow!(ALWAYS_NEWER)))
}

const ALWAYS_NEWER: &str = "a source is newer than the program after each build: does a build script, or something beside \
                            it, write into the package's sources?";

/// Where cargo's own words go, line by line, if not to standard error.
#[derive(Clone, Copy)]
pub struct Words<'a> {
    /// Takes a line.
    pub say: &'a (dyn Fn(&str) + Sync),
    /// Whether they may have colours.
    pub are_coloured: bool,
    /// Takes rustc's diagnostics, if they are not to be among cargo's words.
    pub diagnosed: Option<&'a dyn Fn(&Diagnostic)>,
}

fn build_once(
    project: &Project,
    args: &BuildArgs,
    cancel: &CancelToken,
    words: Option<Words<'_>>,
) -> Result<Base, BuildError> {
    let wrapper = wrapper(project.target_dir())?;
    prepare(project, &wrapper);
    let are_ours = words.is_some_and(|words| words.diagnosed.is_some());
    let mut tool = tool(project, args, &wrapper, are_ours).foreground(true);
    if words.is_some_and(|words| words.are_coloured) && args.color.is_none() {
        tool = tool.env("CARGO_TERM_COLOR", "always");
    }
    run(project, tool, cancel, words)
}

/// Has cargo say how it would compile the crates with these root files now, without compiling them. All others, such as
/// new dependencies and build scripts, are built as ever.
///
/// # Errors
/// See [`BuildError`].
pub fn record(
    project: &Project,
    args: &BuildArgs,
    roots: &[&Path],
    cancel: &CancelToken,
    words: Words<'_>,
) -> Result<Base, BuildError> {
    let wrapper = wrapper(project.target_dir())?;
    let roots = std::env::join_paths(roots).context("a source file has a `:` in its path")?;
    let tool = tool(project, args, &wrapper, false).env(capture::RECORD_ENV, roots);
    let base = run(project, tool, cancel, Some(words));
    if let Ok(base) = &base {
        for unit in &base.units {
            capture::forget_outputs(unit);
        }
    }
    base
}

fn tool(project: &Project, args: &BuildArgs, wrapper: &Path, diagnostics_are_ours: bool) -> Tool {
    let mut tool = cargo_tool(project, args, wrapper, diagnostics_are_ours, "build");
    if args.package.is_none() {
        tool = tool.args(["--package".to_owned(), project.package.id.repr.clone()]);
    }
    if args.bin.is_none() && args.example.is_none() {
        tool = tool.args(["--bin".to_owned(), project.target.name.clone()]);
    }
    tool
}

/// A command of cargo's that builds, with this program in rustc's place.
fn cargo_tool(
    project: &Project,
    args: &BuildArgs,
    wrapper: &Path,
    diagnostics_are_ours: bool,
    command: &str,
) -> Tool {
    let mut tool = Tool::new(&project.cargo)
        .arg(command)
        .args(args.cargo_args())
        .arg(match diagnostics_are_ours {
            true => "--message-format=json",
            false => "--message-format=json-render-diagnostics",
        })
        .env("RUSTC_WORKSPACE_WRAPPER", wrapper)
        .env(
            capture::FOLDER_ENV,
            wrapper.parent().unwrap_or(Path::new("/")),
        );
    if project.has_marks() {
        tool = tool.env(capture::MARKS_ENV, "1");
    }
    if let Some(users) = &project.config.workspace_wrapper {
        tool = tool.env(capture::INNER_ENV, users);
    }
    if let Some(users) = &project.config.wrapper {
        // A cache must not answer for the crates we compile: what we keep of them would not be made.
        let ours = wrapper.with_file_name(capture::OUTER_NAME);
        tool = tool
            .env("RUSTC_WRAPPER", ours)
            .env(capture::OUTER_ENV, users);
    }
    if let Some(profile) = profile_with_lto(project, args) {
        // The last of these options comes before all else that cargo reads.
        tool = tool.args([
            "--config".to_owned(),
            format!("profile.{profile}.lto=\"off\""),
        ]);
    }
    tool
}

fn run(
    project: &Project,
    tool: Tool,
    cancel: &CancelToken,
    words: Option<Words<'_>>,
) -> Result<Base, BuildError> {
    let (artifacts, began) = artifacts(tool, cancel, words)?;
    collect(project, &artifacts, began)
}

/// Runs cargo. What it has built, and when it began.
fn artifacts(
    tool: Tool,
    cancel: &CancelToken,
    words: Option<Words<'_>>,
) -> Result<(Vec<Artifact>, SystemTime), BuildError> {
    let began = SystemTime::now();
    let mut artifacts: Vec<Artifact> = Vec::new();
    let output = tool
        .stream(
            cancel,
            words.map(|words| words.say),
            |line| match serde_json::from_str(line) {
                Ok(Message::CompilerArtifact(artifact)) => artifacts.push(artifact),
                Ok(Message::CompilerMessage(said)) => {
                    let text = serde_json::to_string(&said.message).unwrap_or_default();
                    if let Some(diagnosed) = words.and_then(|words| words.diagnosed) {
                        diagnostics::parse(&text).iter().for_each(diagnosed);
                    }
                }
                _ => {}
            },
        )
        .map_err(anyhow::Error::from)?;
    if !output.status.success() {
        return Err(BuildError::Failed {
            code: output.status.code().unwrap_or(101),
        });
    }
    Ok((artifacts, began))
}

/// Compiles the agent while cargo is busy with dependencies, for the compiler that cargo most likely takes.
///
/// Only a head start: a crate of the workspace that gets there first, or has another compiler, makes its own.
fn prepare(project: &Project, wrapper: &Path) {
    let named = std::env::var_os("RUSTC").map(PathBuf::from);
    let beside = project.cargo.parent().map(|folder| folder.join("rustc"));
    let Some(rustc) = named
        .or(beside)
        .filter(|path| path.is_absolute() && path.exists())
    else {
        return;
    };
    let folder = wrapper.parent().map(Path::to_owned).unwrap_or_default();
    std::thread::spawn(move || super::live::ensure(&rustc, &folder));
}

/// The profile's name if hot builds must turn its link-time optimisation off.
///
/// Only said where a profile asks for it: any other value would part our third-party crates from those
/// of a plain build.
#[must_use]
pub fn profile_with_lto(project: &Project, args: &BuildArgs) -> Option<String> {
    let name = match (&args.profile, args.release) {
        (Some(name), _) => name.clone(),
        (None, true) => "release".to_owned(),
        (None, false) => "dev".to_owned(),
    };
    let manifest = project.metadata.workspace_root.join("Cargo.toml");
    let text = fs::read_to_string(manifest).ok()?;
    let manifest: toml::Value = toml::from_str(&text).ok()?;
    let find = |profile: &str, key: &str| {
        let found = project.config.in_profile(profile, key);
        found.or_else(|| manifest.get("profile")?.get(profile)?.get(key).cloned())
    };
    let mut at = name.clone();
    for _ in 0..8 {
        match find(&at, "lto") {
            Some(toml::Value::Boolean(true)) => return Some(name),
            Some(toml::Value::String(kind)) if kind != "off" => return Some(name),
            Some(_) => return None,
            None => at = find(&at, "inherits")?.as_str()?.to_owned(),
        }
    }
    None
}

/// Makes the target folder, if there is none, as cargo does: with the tag by which backups and other tools know that all
/// there can be made again (<https://bford.info/cachedir/>). cargo leaves a folder without it that it finds.
fn mark_as_cache(target_dir: &Path) -> Result<(), BuildError> {
    const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
        # This file is a cache directory tag created by cargo.\n\
        # For information about cache directory tags see https://bford.info/cachedir/\n";
    if target_dir.exists() {
        return Ok(());
    }
    fs::create_dir_all(target_dir)
        .and_then(|()| fs::write(target_dir.join("CACHEDIR.TAG"), TAG))
        .with_context(|| format!("failed to create `{}`", target_dir.display()))?;
    Ok(())
}

/// This program under the wrapper's name, in a folder that is another one for another version of it, so
/// that cargo builds the workspace again when the tool changed.
fn wrapper(target_dir: &Path) -> Result<PathBuf, BuildError> {
    let program = std::env::current_exe().context("failed to find this program")?;
    let meta = fs::metadata(&program).context("failed to find this program")?;
    let version = format!(
        "{}-{:x}-{:x}",
        env!("CARGO_PKG_VERSION"),
        meta.len(),
        meta.mtime()
    );
    mark_as_cache(target_dir)?;
    let folder = target_dir.join("hotpatch").join(version);
    fs::create_dir_all(&folder)
        .with_context(|| format!("failed to create `{}`", folder.display()))?;
    for name in [capture::OUTER_NAME, capture::WRAPPER_NAME] {
        let link = folder.join(name);
        if fs::read_link(&link).ok().as_deref() != Some(&program) {
            let fresh = folder.join(format!("{name}-{}", std::process::id()));
            let _ = fs::remove_file(&fresh);
            symlink(&program, &fresh)
                .and_then(|()| fs::rename(&fresh, &link))
                .with_context(|| format!("failed to link `{}`", link.display()))?;
        }
    }
    Ok(folder.join(capture::WRAPPER_NAME))
}

fn collect(
    project: &Project,
    artifacts: &[Artifact],
    began: SystemTime,
) -> Result<Base, BuildError> {
    let mut units: BTreeMap<String, Unit> = BTreeMap::new();
    let mut program = None;
    for artifact in artifacts {
        let is_member = project
            .metadata
            .workspace_members
            .contains(&artifact.package_id);
        let runs_in_builds = artifact
            .target
            .kind
            .iter()
            .any(|kind| matches!(kind, TargetKind::CustomBuild | TargetKind::ProcMacro));
        if !is_member || runs_in_builds || artifact.profile.test {
            continue;
        }
        let unit = match &artifact.executable {
            Some(path)
                if artifact.target.name == project.target.name
                    && artifact.target.kind == project.target.kind
                    && artifact.package_id == project.package.id =>
            {
                let unit = unit_of_program(path.as_std_path(), artifact)?;
                program = Some((path.as_std_path().to_owned(), unit.stem()));
                unit
            }
            Some(_) => continue,
            None => unit_of_library(artifact)?,
        };
        units.insert(unit.stem(), unit);
    }
    let Some((program, stem)) = program else {
        return Err(BuildError::Other(anyhow::anyhow!("cargo built no program")));
    };
    for unit in units.values() {
        supported(unit)?;
    }
    Ok(base_of(program, &stem, &units, began))
}

/// A program with those of the crates that it consists of.
fn base_of(
    program: PathBuf,
    stem: &str,
    units: &BTreeMap<String, Unit>,
    began: SystemTime,
) -> Base {
    let used = used_by(stem, units);
    let mut ordered = Vec::new();
    order(stem, units, &mut BTreeSet::new(), &mut ordered);
    let units = ordered
        .into_iter()
        .filter(|unit| used.contains(&unit.stem()))
        .collect();
    Base {
        program,
        units,
        began,
    }
}

fn supported(unit: &Unit) -> Result<(), BuildError> {
    let args = &unit.args;
    if args
        .codegen("prefer-dynamic")
        .is_some_and(|value| value != "no" && value != "n")
    {
        return Err(BuildError::Unsupported(
            "`-C prefer-dynamic` links the standard library as a shared library, which patches cannot \
             bind to: remove it from RUSTFLAGS"
                .to_owned(),
        ));
    }
    if let Some(target) = args.value("--target")
        && target != HOST
    {
        return Err(BuildError::Unsupported(format!(
            "the build is for `{target}`; only programs for `{HOST}` can be patched"
        )));
    }
    Ok(())
}

/// The only platform so far.
pub const HOST: &str = "x86_64-unknown-linux-gnu";

/// The files that rustc read, by a dep-info file; relative paths are taken from `cwd`.
#[must_use]
pub fn dep_info_files(path: &Path, cwd: &Path) -> BTreeSet<PathBuf> {
    let text = fs::read_to_string(path).unwrap_or_default();
    // `target: file file …`, spaces in names behind a backslash.
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((_, files)) = line.split_once(": ") else {
            continue;
        };
        for file in files
            .replace("\\ ", "\u{0}")
            .split(' ')
            .filter(|file| !file.is_empty())
        {
            found.insert(cwd.join(file.replace('\u{0}', " ")));
        }
    }
    found
}

impl Unit {
    /// The stem of its outputs.
    #[must_use]
    pub fn stem(&self) -> String {
        self.args.stem().unwrap_or_default()
    }

    /// The files rustc read for it.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.inputs().0
    }

    /// The files rustc read for it, and the variables its macros asked for.
    #[must_use]
    pub fn inputs(&self) -> (Vec<PathBuf>, Vec<String>) {
        let Some(out_dir) = self.args.out_dir() else {
            return (Vec::new(), Vec::new());
        };
        let path = out_dir.join(format!("{}.d", self.stem()));
        let text = fs::read_to_string(&path).unwrap_or_default();
        let found = dep_info_files(&path, &self.cwd);
        let asked = text
            .lines()
            .filter_map(|line| line.strip_prefix("# env-dep:"))
            .map(str::to_owned);
        (found.into_iter().collect(), asked.collect())
    }

    /// The libraries it is compiled with, and when each was written: a file may be built anew in place.
    #[must_use]
    pub fn libraries(&self) -> Vec<(PathBuf, Stamp)> {
        let paths = self.args.externs().map(|(_, path)| path);
        paths.map(|path| (path.to_owned(), stamp(path))).collect()
    }

    /// Stems of the libraries it is compiled with.
    pub fn externs(&self) -> impl Iterator<Item = String> {
        self.extern_names().map(|(_, stem)| stem)
    }

    /// What it calls the libraries that it is compiled with, and their stems.
    pub fn extern_names(&self) -> impl Iterator<Item = (String, String)> {
        self.args.externs().filter_map(|(name, path)| {
            let name = name.rsplit(':').next().unwrap_or(name);
            Some((name.to_owned(), library_stem(path)?.to_owned()))
        })
    }
}

fn used_by(stem: &str, units: &BTreeMap<String, Unit>) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let mut todo = vec![stem.to_owned()];
    while let Some(stem) = todo.pop() {
        if let Some(unit) = units.get(&stem)
            && used.insert(stem)
        {
            todo.extend(unit.externs());
        }
    }
    used
}

fn order(
    stem: &str,
    units: &BTreeMap<String, Unit>,
    seen: &mut BTreeSet<String>,
    out: &mut Vec<Unit>,
) {
    let Some(unit) = units.get(stem) else { return };
    if !seen.insert(stem.to_owned()) {
        return;
    }
    for dependency in unit.externs() {
        order(&dependency, units, seen, out);
    }
    out.push(unit.clone());
}

fn unit_of_library(artifact: &Artifact) -> Result<Unit, BuildError> {
    // Of a library's files at least one bears the unit's own name, the others may be plain copies.
    for path in &artifact.filenames {
        let stem = library_stem(path.as_std_path());
        let (Some(folder), Some(stem)) = (path.parent(), stem) else {
            continue;
        };
        if let Ok(unit) = Unit::read(folder.as_std_path(), stem) {
            return Ok(unit);
        }
    }
    Err(not_captured(&artifact.target.name))
}

/// cargo names a program without the part that tells builds apart; the file it is a link of has it.
fn unit_of_program(path: &Path, artifact: &Artifact) -> Result<Unit, BuildError> {
    let name = artifact.target.name.replace('-', "_");
    let same = |a: &Path| -> Option<bool> {
        let (a, b) = (fs::metadata(a).ok()?, fs::metadata(path).ok()?);
        Some((a.dev(), a.ino()) == (b.dev(), b.ino()))
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut found: Vec<(bool, std::time::SystemTime, Unit)> = Vec::new();
    for folder in [folder.join("deps"), folder.to_owned()] {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let file = entry.file_name();
            let Some(stem) = file.to_str().and_then(|n| n.strip_suffix(".hotpatch")) else {
                continue;
            };
            if !stem.starts_with(&name) {
                continue;
            }
            let program = folder.join(stem);
            if let Ok(unit) = Unit::read(&folder, stem)
                && unit.bin
                && unit.krate == name
                && unit.root == artifact.target.src_path.as_std_path()
            {
                let time = fs::metadata(&program).and_then(|m| m.modified());
                let time = time.unwrap_or(std::time::UNIX_EPOCH);
                found.push((same(&program).unwrap_or(false), time, unit));
            }
        }
    }
    found
        .into_iter()
        .max_by_key(|(same, time, _)| (*same, *time))
        .map(|(_, _, unit)| unit)
        .ok_or_else(|| not_captured(&artifact.target.name))
}

fn not_captured(name: &str) -> BuildError {
    BuildError::Other(anyhow::anyhow!(
        "crate `{name}` was built without this tool seeing it; remove its outputs with `cargo clean -p` and try again"
    ))
}
