//! The paths of this workspace, the tool under test, and the one place that starts commands.
//!
//! A command gets the developer's environment without what `cargo test` put into it: the tool and the
//! fresh builds must see what a user's shell would give them. Only what the tool keeps for all projects of a
//! user goes into the target folder.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The root of this workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("invariant: the tests are a folder of the workspace")
}

/// Where hot sessions of the scenarios build.
pub fn hot_target() -> PathBuf {
    root().join("target/scenarios")
}

/// Where the oracle's fresh builds go.
pub fn plain_target() -> PathBuf {
    root().join("target/scenarios-plain")
}

/// The runtime that the programs depend on.
pub fn runtime() -> PathBuf {
    match std::env::var_os("HOTPATCH_TEST_RT") {
        Some(path) => path.into(),
        None => root().join("hotpatch-rt"),
    }
}

/// The cargo that runs these tests.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The rustc a command started here ends up with.
pub fn rustc() -> OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

/// A command with a user's environment.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(set_by_cargo_test) {
            command.env_remove(name);
        }
    }
    command.env("XDG_CACHE_HOME", root().join("target/tests-cache"));
    command
}

/// Whether a variable comes from `cargo test` or would change how the programs are built.
fn set_by_cargo_test(name: &str) -> bool {
    const KEPT: [&str; 4] = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR"];
    let cargo = name.starts_with("CARGO_") && !KEPT.iter().any(|kept| name.starts_with(kept));
    cargo || name.starts_with("RUSTC") || matches!(name, "RUSTFLAGS" | "LD_LIBRARY_PATH")
}

/// The binary of the tool, built on first use.
pub fn tool() -> Result<&'static Path> {
    static TOOL: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match TOOL.get_or_init(|| find_tool().map_err(|error| format!("{error:#}"))) {
        Ok(path) => Ok(path),
        Err(error) => bail!("there is no tool to test: {error}"),
    }
}

fn find_tool() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CARGO_HOTPATCH_BIN") {
        let path = PathBuf::from(path);
        return std::path::absolute(&path)
            .with_context(|| format!("CARGO_HOTPATCH_BIN is `{}`", path.display()));
    }
    let mut build = command(cargo());
    build
        .current_dir(root())
        .args(["build", "--workspace", "--bin=cargo-hotpatch"]);
    // As this was built: `cargo test` has made most of it already, so that a single test need not wait for an optimised
    // build. `cargo xtask` is optimised, as is the tool it tries.
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let built = executables(&mut build)?;
    built
        .into_iter()
        .next()
        .context("the build of cargo-hotpatch made no binary")
}

/// Runs a `cargo build` and returns the programs it made.
pub fn executables(build: &mut Command) -> Result<Vec<PathBuf>> {
    Ok(artifacts(build)?
        .iter()
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .collect())
}

/// Runs a `cargo build` and returns its `compiler-artifact` messages.
pub fn artifacts(build: &mut Command) -> Result<Vec<Value>> {
    build
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null());
    let output = build
        .output()
        .with_context(|| format!("failed to start {}", shown(build)))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}\n{stderr}", shown(build), output.status);
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(messages
        .filter(|message| message["reason"] == "compiler-artifact")
        .collect())
}

/// A command as a person would type it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
