//! Runs cargo and rustc to their end. The tool under test is run by `child`.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The root of this workspace.
pub fn workspace() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Takes away what `cargo xtask` says about this package: it is not about the generated ones.
pub fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let own = text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_");
        if own || text == "CARGO_TARGET_DIR" {
            command.env_remove(&name);
        }
    }
    command
}

/// Seconds that `cargo build` of the package takes.
pub fn time_build(manifest: &Path, target: &Path, profile: &str) -> Result<f64> {
    let mut command = Command::new(cargo());
    command.args(["build", "--quiet", "--profile", profile]);
    command.arg("--manifest-path").arg(manifest);
    command.arg("--target-dir").arg(target);
    let start = Instant::now();
    let output = clean(&mut command)
        .output()
        .context("failed to run cargo")?;
    let seconds = start.elapsed().as_secs_f64();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{command:?} failed: {}\n{}",
            output.status,
            errors.trim_end()
        );
    }
    Ok(seconds)
}

/// Builds the tool of this workspace and gives the path of its program.
pub fn build_tool() -> Result<PathBuf> {
    let mut command = Command::new(cargo());
    command.args(["build", "--release", "--package", "cargo-hotpatch"]);
    command.args([
        "--bin",
        "cargo-hotpatch",
        "--message-format",
        "json-render-diagnostics",
    ]);
    command
        .arg("--manifest-path")
        .arg(workspace().join("Cargo.toml"));
    command.stderr(std::process::Stdio::inherit());
    let output = command.output().context("failed to run cargo")?;
    if !output.status.success() {
        bail!("failed to build the tool: {command:?}");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut executables =
        messages.filter_map(|message| Some(message["executable"].as_str()?.into()));
    executables
        .next_back()
        .context("cargo built no `cargo-hotpatch`")
}

/// The first line of `rustc --version`.
pub fn rustc_version() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "unknown rustc".to_owned())
}
