//! The program as a session starts it: what `cargo run` would give it, and the agent beside it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::PipeWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use hotpatch_rt::news::News;
use hotpatch_rt::wire::{BuildId, HOLD_ENV};

use crate::build::base::{Base, HOST};
use crate::build::capture::Unit;
use crate::build::config::CargoConfig;
use crate::run::asked::{Asked, Lists};
use crate::run::child::{Child, ChildExit, Program};
use crate::run::client::{Client, Rendezvous};
use crate::run::listen::Sockets;
use crate::run::news::Newsroom;

/// The agent that answered lives in another program than the one that was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the running program is not the one this session built")]
pub struct Stranger;

/// How long a program may take until its launcher has started the agent.
const AGENT_LIMIT: Duration = Duration::from_secs(60);

/// A program that runs with its agent.
pub struct Running {
    /// The process.
    pub child: Child,
    /// Before the folder it listens in.
    _newsroom: Newsroom,
    _asked: Asked,
    /// Where tool and program meet, and patches lie.
    pub rendezvous: Rendezvous,
    limit: Duration,
}

/// The same where the user's runner stands in between, which may be a debugger that waits for a person.
const RUNNER_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What a program gets beside its arguments.
pub struct Supplies<'a> {
    /// Listening sockets.
    pub sockets: Arc<Sockets>,
    /// Its standard input is to be empty.
    pub no_stdin: bool,
    /// The folder with what the process before it kept.
    pub kept: &'a Path,
    /// It is to stop before its `main`, with the agent at work.
    pub held: bool,
    /// The folder that it runs in, if not ours. Then it knows itself by its whole path, as tests do.
    pub cwd: Option<PathBuf>,
    /// What takes its standard output, if not ours.
    pub stdout: Option<Arc<PipeWriter>>,
}

/// Starts the program of a base, through the user's runner if there is one.
///
/// # Errors
/// It cannot be started.
pub fn start(
    base: &Base,
    config: &CargoConfig,
    args: &[OsString],
    supplies: Supplies<'_>,
    on_news: impl Fn(News) + Send + 'static,
    on_question: impl Fn(Lists) -> Lists + Send + Sync + 'static,
    on_exit: impl FnOnce(ChildExit) + Send + 'static,
) -> Result<Running> {
    let rendezvous = Rendezvous::new()?;
    rendezvous.show_kept(supplies.kept)?;
    let newsroom = Newsroom::open(rendezvous.folder(), on_news)
        .context("failed to listen for what the program tells")?;
    let asked = Asked::open(rendezvous.folder(), on_question)
        .context("failed to listen for what the program asks")?;
    let here = std::env::current_dir().context("failed to find the working directory")?;
    let shown = base.program.strip_prefix(&here);
    let shown = shown.ok().filter(|_| supplies.cwd.is_none());
    let shown = shown.unwrap_or(&base.program);
    let (name, value) = rendezvous.env();
    let mut env = environment(base);
    env.push((name, Some(value)));
    env.push((HOLD_ENV.into(), supplies.held.then(|| "1".into())));
    let mut program = Program {
        path: base.program.clone(),
        arg0: Some(shown.as_os_str().to_owned()),
        args: args.to_vec(),
        env,
        cwd: supplies.cwd,
        no_stdin: supplies.no_stdin,
        stdout: supplies.stdout,
        sockets: supplies.sockets,
    };
    let mut limit = AGENT_LIMIT;
    if let Some((runner, words)) = &config.runner {
        limit = RUNNER_LIMIT;
        program.path.clone_from(runner);
        program.arg0 = None;
        program.args.insert(0, shown.as_os_str().to_owned());
        program.args.splice(0..0, words.iter().cloned());
    }
    let child = Child::start(&program, on_exit)
        .with_context(|| format!("failed to start `{}`", program.path.display()))?;
    Ok(Running {
        child,
        _newsroom: newsroom,
        _asked: asked,
        rendezvous,
        limit,
    })
}

impl Running {
    /// Waits for the agent and makes sure that it lives in the program that was built, if its build id is given.
    ///
    /// # Errors
    /// The program ended first, has no agent, or is another one.
    pub fn connect(&self, image: Option<&[u8]>) -> Result<Client> {
        let client = self
            .rendezvous
            .connect(self.limit, || self.child.is_running())
            .context("failed to reach the agent in the program")?;
        if image.is_some_and(|image| *client.image() != BuildId(image.to_vec())) {
            return Err(Stranger.into());
        }
        Ok(client)
    }
}

/// Variables that cargo sets for rustc alone.
const COMPILE_ONLY: &[&str] = &[
    "CARGO_CRATE_NAME",
    "CARGO_BIN_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_TARGET_TMPDIR",
    "CARGO_MAKEFLAGS",
    "CARGO_SBOM_PATH",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUST_RECURSION_COUNT",
    "OLDPWD",
    "_",
];

/// What `cargo run` adds to the environment, as cargo gave it to rustc for the program's crate.
pub(super) fn environment(base: &Base) -> Vec<(OsString, Option<OsString>)> {
    let Some(unit) = base.units.last() else {
        return Vec::new();
    };
    let ours: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    let mut out = Vec::new();
    for (name, value) in &unit.env {
        let is_ours = name.starts_with("CARGO_HOTPATCH_");
        if is_ours || COMPILE_ONLY.contains(&name.as_str()) {
            continue;
        }
        let from_cargo = name.starts_with("CARGO");
        if from_cargo || !ours.contains_key(std::ffi::OsStr::new(name)) {
            out.push((OsString::from(name), Some(OsString::from(value))));
        }
    }
    out.push((
        "LD_LIBRARY_PATH".into(),
        Some(library_path(unit, std::env::var_os("LD_LIBRARY_PATH"))),
    ));
    // Our own call may have come through cargo, with the variables of our own package.
    for name in ours.keys() {
        let text = name.to_string_lossy();
        let of_a_package = text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_BIN_EXE_");
        if of_a_package && !unit.env.contains_key(text.as_ref()) {
            out.push((name.clone(), None));
        }
    }
    out
}

/// Where a program that `cargo run` starts finds shared libraries: what build scripts made, the folders of
/// the build, the toolchain's own, then what the user has.
pub(crate) fn library_path(unit: &Unit, users: Option<OsString>) -> OsString {
    let out_dir = unit.args.out_dir().unwrap_or(Path::new("")).to_owned();
    let root = out_dir.parent().unwrap_or(&out_dir).to_owned();
    let mut folders: Vec<PathBuf> = Vec::new();
    for flag in unit.args.flags().filter(|flag| flag.name == "-L") {
        let (kind, path) = flag.value.split_once('=').unwrap_or(("all", flag.value));
        let path = PathBuf::from(path);
        if kind != "dependency" && path.starts_with(&root) && !folders.contains(&path) {
            folders.push(path);
        }
    }
    folders.extend([root.clone(), root.join("deps")]);
    if let Some(sysroot) = unit.rustc.parent().and_then(Path::parent) {
        folders.push(sysroot.join("lib/rustlib").join(HOST).join("lib"));
    }
    let users = users.filter(|paths| !paths.is_empty());
    folders.extend(users.iter().flat_map(std::env::split_paths));
    // A folder whose name cannot stand in a list would only be lost.
    std::env::join_paths(folders).unwrap_or_default()
}
