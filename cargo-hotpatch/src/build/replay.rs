//! A crate of the workspace compiled again as cargo compiled it, without asking cargo.
//!
//! cargo said when it built the base what is compiled and how; rustc decides what of it is compiled again. cargo itself
//! would wait for others who use the same target folder, such as a `cargo check` at every save.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anstream::adapter::strip_str;
use anyhow::{Context, Result};

use super::capture::{INNER_ENV, Unit};
use super::diagnostics::{self, Diagnostic};
use super::launcher::OBJECTS_ENV;
use super::program_libraries;
use crate::command::{CancelToken, Tool};

/// What came of compiling a crate again.
#[derive(Debug, Clone)]
pub enum Replayed {
    /// It compiles: the files with its objects, an archive or several objects.
    Compiled(Vec<PathBuf>),
    /// It does not: what rustc says.
    Broken(Vec<Diagnostic>),
}

/// Compiles a crate again, with the outputs where cargo wants them. Nothing is linked.
///
/// `on_metadata` is called once other crates can be compiled with it. `scratch` is the session's own folder, where
/// [`program_libraries`] has what it publishes.
///
/// # Errors
/// rustc cannot be run, fails without saying why or writes nothing, or the work is cancelled.
pub fn replay(
    unit: &Unit,
    scratch: &Path,
    cancel: &CancelToken,
    on_metadata: impl FnOnce(),
) -> Result<Replayed> {
    let objects = scratch.join(format!("objects-{}", unit.stem()));
    let _ = fs::remove_dir_all(&objects);
    fs::create_dir_all(&objects)
        .with_context(|| format!("failed to create `{}`", objects.display()))?;
    let tool = rustc(unit)
        .args(program_libraries::arguments(unit, Some(scratch))?.as_slice())
        .env_clear()
        .envs(&unit.env)
        .env(OBJECTS_ENV, &objects)
        // cargo's jobserver has ended with cargo.
        .env_remove("CARGO_MAKEFLAGS")
        .env_remove("MAKEFLAGS")
        .env_remove("MFLAGS")
        .current_dir(&unit.cwd);
    let mut on_metadata = Some(on_metadata);
    let mut is_written = false;
    let output = tool.listen(cancel, |line| {
        if !line.contains("\"$message_type\":\"artifact\"") {
            return;
        }
        is_written |= line.contains("\"emit\":\"link\"");
        if line.contains("\"emit\":\"metadata\"")
            && let Some(on_metadata) = on_metadata.take()
        {
            on_metadata();
        }
    })?;
    let said = diagnostics::parse(&output.stderr_text());
    if output.status.success() {
        if !is_written {
            // Its files would be those of an earlier run.
            let said = "it ended well and wrote nothing".to_owned();
            return Err(output.saying(said).into_error().into());
        }
        let files = match unit.bin {
            true => objects_in(&objects)?,
            false => vec![unit.rlib.clone()],
        };
        return Ok(Replayed::Compiled(files));
    }
    if let Some(said) = diagnostics::beside_the_code(&said) {
        let said = strip_str(&said).to_string();
        return Err(output.saying(said).into_error().into());
    }
    let errors: Vec<Diagnostic> = said.into_iter().filter(|said| said.error).collect();
    if errors.is_empty() || cancel.is_cancelled() {
        return Err(output.into_error().into());
    }
    Ok(Replayed::Broken(errors))
}

/// Has rustc write the crate's MIR, a line at a time.
///
/// # Errors
/// rustc cannot be run or fails, or the work is cancelled.
pub fn mir(unit: &Unit, cancel: &CancelToken, mut line: impl FnMut(&str)) -> Result<()> {
    // A library without std lacks what a `cdylib` must have; rustc says so before it writes any MIR.
    let quick = mir_as(unit, "cdylib", cancel, &mut line);
    match quick {
        Err(_) if !cancel.is_cancelled() => mir_as(unit, "lib", cancel, &mut line),
        quick => quick,
    }
}

fn mir_as(
    unit: &Unit,
    crate_type: &str,
    cancel: &CancelToken,
    line: &mut dyn FnMut(&str),
) -> Result<()> {
    let incremental = unit.folder.join(format!("incremental-mir-{crate_type}"));
    let said = Mutex::new(String::new());
    let say = |line: &str| {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        *said += line;
        said.push('\n');
    };
    let output = rustc(unit)
        .args(super::rustc::mir(&unit.compiled, crate_type, &incremental).as_slice())
        .env_clear()
        .envs(&unit.env)
        .env_remove("CARGO_MAKEFLAGS")
        .env_remove("MAKEFLAGS")
        .env_remove("MFLAGS")
        .current_dir(&unit.cwd)
        .stream(cancel, Some(&say), line)?;
    let said = said.into_inner().unwrap_or_else(PoisonError::into_inner);
    output.saying(said).checked()?;
    Ok(())
}

fn rustc(unit: &Unit) -> Tool {
    match unit.env.get(INNER_ENV).filter(|inner| !inner.is_empty()) {
        Some(inner) => Tool::new(inner).arg(&unit.rustc),
        None => Tool::new(&unit.rustc),
    }
}

fn objects_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder);
    let entries = entries.with_context(|| format!("failed to read `{}`", folder.display()))?;
    for entry in entries {
        found.push(entry?.path());
    }
    found.sort();
    Ok(found)
}
