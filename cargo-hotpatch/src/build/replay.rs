//! A crate of the workspace compiled again as cargo compiled it, without asking cargo.
//!
//! cargo said when it built the base what is compiled and how; rustc decides what of it is compiled again. cargo itself
//! would wait for others who use the same target folder, such as a `cargo check` at every save.

use std::fs;
use std::path::{Path, PathBuf};

use anstream::adapter::strip_str;
use anyhow::{Context, Result};
use object::write::Object;
use object::{Architecture, BinaryFormat, Endianness, SectionKind};

use super::capture::{INNER_ENV, Unit};
use super::diagnostics::{self, Diagnostic};
use super::launcher::OBJECTS_ENV;
use super::rustc::RustcArgs;
use crate::command::{CancelToken, Tool};

/// What came of compiling a crate again.
#[derive(Debug)]
pub enum Replayed {
    /// It compiles: the files with its objects, an archive or several objects.
    Compiled(Vec<PathBuf>),
    /// It does not: what rustc says.
    Broken(Vec<Diagnostic>),
}

/// Compiles a crate again, with the outputs where cargo wants them. Nothing is linked.
///
/// `on_metadata` is called once other crates can be compiled with it. `scratch` is the session's own folder. In it `early`
/// has libraries that hold nothing but such metadata, see [`publish_early`]: they stand in for those whose code is still
/// being made.
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
    let args = match unit.bin {
        true => with_early(&unit.compiled, &early(scratch)),
        false => unit.compiled.clone(),
    };
    let tool = rustc(unit)
        .args(args.as_slice())
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

/// A program is compiled with libraries, not with bare metadata: rustc wants to link it. Those in `early` come first.
fn with_early(args: &RustcArgs, early: &Path) -> RustcArgs {
    let here = |value: &str| {
        let (name, path) = value.split_once('=')?;
        let place = early.join(Path::new(path).file_name()?);
        place
            .exists()
            .then(|| format!("{name}={}", place.display()))
    };
    let externs = args.flags().filter(|flag| flag.name == "--extern");
    let externs: Vec<String> = externs
        .map(|flag| here(flag.value).unwrap_or_else(|| flag.value.to_owned()))
        .collect();
    args.without(|flag| flag.name == "--extern")
        .with(
            externs
                .into_iter()
                .flat_map(|value| ["--extern".to_owned(), value]),
        )
        .with([format!("-Ldependency={}", early.display())])
}

fn early(scratch: &Path) -> PathBuf {
    scratch.join("early")
}

/// Puts a library where [`replay`] finds it that holds nothing but a crate's metadata, as it is now.
///
/// # Errors
/// There is no metadata, or the folder cannot be written.
pub fn publish_early(unit: &Unit, scratch: &Path) -> Result<()> {
    let folder = &early(scratch);
    let path = unit.rlib.with_extension("rmeta");
    let metadata =
        fs::read(&path).with_context(|| format!("failed to read `{}`", path.display()))?;
    let name = unit.rlib.file_name().context("a library without a name")?;
    let place = folder.join(name);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&place, metadata_library(&metadata)))
        .with_context(|| format!("failed to write `{}`", place.display()))
}

/// What [`publish_early`] put there is out of date.
pub fn forget_early(scratch: &Path) {
    // What cannot be removed is written anew before it is used.
    let _ = fs::remove_dir_all(early(scratch));
}

/// An archive with one member, as rustc keeps metadata in libraries: the section `.rmeta` of an object.
fn metadata_library(metadata: &[u8]) -> Vec<u8> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let section = object.add_section(Vec::new(), b".rmeta".to_vec(), SectionKind::Debug);
    object.append_section_data(section, metadata, 1);
    let member = object.write().unwrap_or_default();
    // The header of a member: name, time, owner, group, mode and size in columns.
    let mut library = b"!<arch>\n".to_vec();
    let size = member.len();
    library.extend(
        format!(
            "{:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
            "lib.rmeta/", 0, 0, 0, 644
        )
        .bytes(),
    );
    library.extend(member);
    if library.len() % 2 == 1 {
        library.push(b'\n');
    }
    library
}

/// Has rustc write the crate's MIR, a line at a time.
///
/// # Errors
/// rustc cannot be run or fails, or the work is cancelled.
pub fn mir(unit: &Unit, cancel: &CancelToken, line: impl FnMut(&str)) -> Result<()> {
    let incremental = unit.folder.join("incremental-mir");
    let output = rustc(unit)
        .args(super::rustc::mir(&unit.compiled, &incremental).as_slice())
        .env_clear()
        .envs(&unit.env)
        .env_remove("CARGO_MAKEFLAGS")
        .env_remove("MAKEFLAGS")
        .env_remove("MFLAGS")
        .current_dir(&unit.cwd)
        .stream(cancel, line)?;
    output.checked()?;
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
