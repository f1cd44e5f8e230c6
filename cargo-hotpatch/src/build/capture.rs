//! Wrapper mode: this program stands in for rustc for the crates of the workspace.
//!
//! Each crate is compiled as cargo asked, with what a hot build adds, and its command line,
//! environment and folder are kept as a [`Unit`] beside its outputs, where they live and die with
//! them. Everything else (build scripts, proc macros, cargo's questions to rustc) passes through.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::rustc::RustcArgs;
use super::{live, overlay, program_libraries, rustc};
use crate::source::syntax::Edition;

/// Tells a wrapper call where the tool keeps what all crates share.
pub const FOLDER_ENV: &str = "CARGO_HOTPATCH_FOLDER";
/// A `RUSTC_WORKSPACE_WRAPPER` the user had set; it is run between this program and rustc.
pub const INNER_ENV: &str = "CARGO_HOTPATCH_INNER_WRAPPER";
/// Set where a package of the workspace depends on the crate that brings `#[hot]`.
pub const MARKS_ENV: &str = "CARGO_HOTPATCH_MARKS";
/// Read by the macros: expand `#[hot]`, as in an optimised crate if it says so.
const LIVE_ENV: &str = "CARGO_HOTPATCH_LIVE";
/// The name under which cargo calls this program as a wrapper.
pub const WRAPPER_NAME: &str = "hotpatch-rustc";

/// The name under which cargo calls this program in place of the user's `RUSTC_WRAPPER`.
pub const OUTER_NAME: &str = "hotpatch-outer";
/// The user's `RUSTC_WRAPPER`, which gets every call that is not ours.
pub const OUTER_ENV: &str = "CARGO_HOTPATCH_OUTER_WRAPPER";

/// Stands in for the user's `RUSTC_WRAPPER`: crates of the workspace go straight to [`wrapper`].
///
/// # Errors
/// Neither can be run.
pub fn outer(args: &[OsString]) -> Result<i32> {
    let Some((first, rest)) = args.split_first() else {
        bail!("no compiler named")
    };
    if Path::new(first)
        .file_name()
        .is_some_and(|name| name == WRAPPER_NAME)
    {
        return wrapper(rest);
    }
    let users = std::env::var_os(OUTER_ENV).with_context(|| format!("`{OUTER_ENV}` is not set"))?;
    // sccache makes every variable of cargo's a part of its key: plain builds shall find what we build.
    let mut command = Command::new(&users);
    for name in [FOLDER_ENV, INNER_ENV, OUTER_ENV, MARKS_ENV, RECORD_ENV] {
        command.env_remove(name);
    }
    let status = command
        .args(args)
        .status()
        .with_context(|| format!("failed to run `{}`", users.to_string_lossy()))?;
    Ok(code(status))
}

/// Root files of crates that are not to be compiled but only recorded.
pub const RECORD_ENV: &str = "CARGO_HOTPATCH_RECORD";

/// Tells the linker's stand-in the folder of the unit that it links.
pub const UNIT_ENV: &str = "CARGO_HOTPATCH_UNIT";

/// What a crate was compiled from: all it takes to compile a part of it again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unit {
    /// The compiler cargo called.
    pub rustc: PathBuf,
    /// Its arguments as cargo gave them.
    pub args: RustcArgs,
    /// The arguments it was called with.
    pub compiled: RustcArgs,
    /// Environment of the call.
    pub env: BTreeMap<String, String>,
    /// Folder of the call.
    pub cwd: PathBuf,
    /// The crate's name as code spells it.
    pub krate: String,
    /// The root source file, absolute.
    pub root: PathBuf,
    /// A program and not a library.
    pub bin: bool,
    /// The library with the crate's code, whichever it is.
    pub rlib: PathBuf,
    /// The agent, for programs, and what `#[hot]` expands to, for crates that can be marked with it.
    pub live: PathBuf,
    /// A folder for what belongs to this unit.
    pub folder: PathBuf,
}

impl Unit {
    /// What this process was called for: the crate as cargo asks for it, and no agent. Its folder is made.
    ///
    /// # Errors
    /// Arguments are missing, or the folder cannot be made.
    pub(crate) fn of_call(rustc: &Path, args: RustcArgs) -> Result<Self> {
        let out_dir = args.out_dir().context("no --out-dir")?;
        let stem = args.stem().context("no --crate-name")?;
        let cwd = std::env::current_dir().context("failed to find the working directory")?;
        let folder = folder(out_dir, &stem);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("failed to create `{}`", folder.display()))?;
        let bin = args.is_program();
        Ok(Self {
            rustc: rustc.to_owned(),
            compiled: args.clone(),
            env: std::env::vars_os()
                .filter_map(|(key, value)| {
                    Some((key.into_string().ok()?, value.into_string().ok()?))
                })
                .filter(|(key, _)| key != RECORD_ENV)
                .collect(),
            krate: args.crate_name().unwrap_or_default().to_owned(),
            root: cwd.join(args.input().context("no source file")?),
            cwd,
            bin,
            rlib: rustc::rlib_path(&args).context("no --out-dir")?,
            live: PathBuf::new(),
            folder,
            args,
        })
    }

    /// Reads what the wrapper kept for the unit whose outputs are called `stem` in `out_dir`.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn read(out_dir: &Path, stem: &str) -> Result<Self> {
        let path = folder(out_dir, stem).join("unit.json");
        let text =
            std::fs::read(&path).with_context(|| format!("failed to read `{}`", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("`{}` is damaged", path.display()))
    }

    fn write(&self) -> Result<()> {
        let path = self.folder.join("unit.json");
        let fresh = self.folder.join("unit.json.new");
        std::fs::write(&fresh, serde_json::to_vec(self)?)
            .and_then(|()| std::fs::rename(&fresh, &path))
            .with_context(|| format!("failed to write `{}`", path.display()))
    }

    /// What rustc is told beside cargo's arguments where `#[hot]` can be: what that expands to.
    #[must_use]
    pub fn marks(&self) -> Vec<String> {
        match self.env.contains_key(LIVE_ENV) {
            true => vec![
                rustc::live_extern(&self.live),
                rustc::search_path(&self.live),
            ],
            false => Vec::new(),
        }
    }

    /// The edition of its code.
    #[must_use]
    pub fn edition(&self) -> Edition {
        Edition::of(self.args.value("--edition"))
    }

    /// `file` as rustc was told of it: relative to the working directory where the root was.
    #[must_use]
    pub fn spelling(&self, file: &Path) -> PathBuf {
        let relative = self
            .args
            .input()
            .is_some_and(|input| Path::new(input).is_relative());
        match file.strip_prefix(&self.cwd) {
            Ok(rest) if relative => rest.to_owned(),
            _ => file.to_owned(),
        }
    }
}

fn folder(out_dir: &Path, stem: &str) -> PathBuf {
    out_dir.join(format!("{stem}.hotpatch"))
}

/// Runs the rustc call in `args` (`args[0]` is rustc) and gives back its exit code.
///
/// # Errors
/// Something of ours failed; what rustc has to say it says itself.
pub fn wrapper(args: &[OsString]) -> Result<i32> {
    let Some((rustc, rest)) = args.split_first() else {
        bail!("no compiler named")
    };
    let rustc = PathBuf::from(rustc);
    let parsed = RustcArgs::new(rest);
    let folder = std::env::var_os(FOLDER_ENV);
    match (parsed, folder) {
        (Some(parsed), Some(folder)) if is_hot(&parsed) => {
            compile(&rustc, parsed, Path::new(&folder))
        }
        (Some(parsed), Some(folder)) if parsed.out_dir().is_some() && has_marks() => {
            // A build script or proc macro may use a crate of the workspace, which needs this.
            let live = live::ensure(&rustc, Path::new(&folder))?;
            let args = parsed.with([rustc::search_path(&live)]);
            run(&rustc, args.as_slice(), &[])
        }
        (Some(parsed), _) => run(&rustc, parsed.as_slice(), &[]),
        (None, _) => {
            let status = inner(&rustc)
                .args(rest)
                .status()
                .context("failed to run rustc")?;
            Ok(code(status))
        }
    }
}

fn is_hot(args: &RustcArgs) -> bool {
    args.crate_name()
        .is_some_and(|name| !name.starts_with("build_script_"))
        && args.out_dir().is_some()
        && args.input().is_some_and(|input| input != "-")
        && args.crate_types().all(|kind| kind != "proc-macro")
}

fn has_marks() -> bool {
    std::env::var_os(MARKS_ENV).is_some()
}

/// The crate as cargo asks for it, with what a hot build adds, see [`rustc::base`].
fn compile(rustc: &Path, args: RustcArgs, shared: &Path) -> Result<i32> {
    let mut unit = Unit::of_call(rustc, args)?;
    let mut types = unit.args.crate_types();
    let is_linked = unit.bin || types.any(|kind| matches!(kind, "dylib" | "cdylib"));
    if unit.bin || has_marks() {
        unit.live = live::ensure(rustc, shared)?;
    }
    if has_marks() {
        let value = match unit.args.optimised() {
            true => "optimised",
            false => "1",
        };
        unit.env.insert(LIVE_ENV.to_owned(), value.to_owned());
    }
    let mut linker = None;
    if is_linked {
        let (path, env) = super::launcher::linker(&unit)?;
        linker = Some(path);
        let env = env.into_iter().map(|(key, value)| (key.to_owned(), value));
        unit.env.extend(env);
        let unit_folder = unit.folder.display().to_string();
        unit.env.insert(UNIT_ENV.to_owned(), unit_folder);
    }
    unit.compiled = rustc::base(
        &unit.args,
        &unit.folder.join("incremental"),
        linker.as_deref(),
    )
    .with(unit.marks());
    // The linker's stand-in reads it.
    unit.write()?;
    if is_only_recorded(&unit) {
        return stand_in_for_outputs(&unit).map(|()| 0);
    }
    let env: Vec<(&str, &str)> = unit
        .env
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    run(
        &unit.rustc,
        program_libraries::arguments(&unit, None)?.as_slice(),
        &env,
    )
}

fn is_only_recorded(unit: &Unit) -> bool {
    let roots = std::env::var_os(RECORD_ENV).unwrap_or_default();
    std::env::split_paths(&roots).any(|root| root == unit.root)
}

/// Files that cargo looks for after a compile.
fn outputs(unit: &Unit) -> Vec<PathBuf> {
    let Some((folder, stem)) = unit.args.out_dir().zip(unit.args.stem()) else {
        return Vec::new();
    };
    let dep_info = folder.join(format!("{stem}.d"));
    match unit.bin {
        true => vec![folder.join(stem), dep_info],
        false => vec![
            unit.rlib.clone(),
            unit.rlib.with_extension("rmeta"),
            dep_info,
        ],
    }
}

/// What stands in the place of a program that was not linked.
const NOT_LINKED: &str =
    "#!/bin/sh\necho 'cargo-hotpatch has not linked this program; build it again' >&2\nexit 1\n";

/// Empty outputs, but for those that are there.
fn stand_in_for_outputs(unit: &Unit) -> Result<()> {
    for path in outputs(unit).iter().filter(|path| !path.exists()) {
        let is_dep_info = path.extension().is_some_and(|kind| kind == "d");
        let text = match (is_dep_info, unit.bin) {
            (true, _) => format!("{}: {}\n", path.display(), unit.root.display()),
            (false, true) => NOT_LINKED.to_owned(),
            (false, false) => String::new(),
        };
        std::fs::write(path, text)
            .with_context(|| format!("failed to write `{}`", path.display()))?;
    }
    Ok(())
}

/// Removes what [`RECORD_ENV`] had written in place of outputs, so that cargo builds them when it is asked next.
pub fn forget_outputs(unit: &Unit) {
    // cargo believes that it has compiled the crate, also where its outputs of before are still there.
    let fingerprints = unit.args.out_dir().and_then(Path::parent);
    let fingerprints = fingerprints.map(|folder| folder.join(".fingerprint"));
    let extra = unit.args.codegen("extra-filename").unwrap_or_default();
    let entries = fingerprints.and_then(|folder| std::fs::read_dir(folder).ok());
    for entry in entries.into_iter().flatten().flatten() {
        if !extra.is_empty() && entry.file_name().to_string_lossy().ends_with(extra) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    for path in outputs(unit) {
        let is_dep_info = path.extension().is_some_and(|kind| kind == "d");
        let stands_in = std::fs::metadata(&path)
            .is_ok_and(|meta| meta.len() == 0 || unit.bin && meta.len() == NOT_LINKED.len() as u64);
        if stands_in && !is_dep_info {
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// Source paths of an overlay are told to debuggers and panics as the user's own.
#[must_use]
pub fn remap(unit: &Unit, overlay: &Path) -> Vec<String> {
    let mut flags = vec![format!("--remap-path-prefix={}=", overlay.display())];
    if unit
        .args
        .input()
        .is_some_and(|input| Path::new(input).is_relative())
    {
        let cwd = overlay::seen_at(overlay, &unit.cwd);
        flags.push(format!("--remap-path-prefix={}=", cwd.display()));
    }
    flags
}

fn inner(rustc: &Path) -> Command {
    match std::env::var_os(INNER_ENV).filter(|wrapper| !wrapper.is_empty()) {
        Some(wrapper) => {
            let mut command = Command::new(wrapper);
            command.arg(rustc);
            command
        }
        None => Command::new(rustc),
    }
}

fn run(rustc: &Path, args: &[String], env: &[(&str, &str)]) -> Result<i32> {
    let status = inner(rustc)
        .args(args)
        .envs(env.iter().copied())
        .status()
        .with_context(|| format!("failed to run `{}`", rustc.display()))?;
    Ok(code(status))
}

/// As a shell gives it: 128 + the signal for a killed compiler.
fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
