//! Where a program finds the workspace's libraries: a folder of its own, the same at each compile.
//!
//! rustc compiles all of a program anew as soon as one library lies at another path than before (tried with rustc 1.95.0:
//! 2.0 s and not 0.2 s for a program of 100 lines with much generic code in it). So the libraries are in this folder under a
//! second name, or as metadata alone where their code is still being made: what a program needs to be compiled, long before
//! what it needs to be linked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use object::write::Object;
use object::{Architecture, BinaryFormat, Endianness, SectionKind};

use super::capture::Unit;
use super::rustc::{RustcArgs, library_stem};
use super::slotted::keep;

/// What a unit is compiled with: its arguments, with the libraries of the workspace where it always finds them. Where
/// `scratch` has [`publish`]ed metadata these stand in for their libraries.
///
/// # Errors
/// The folder cannot be written, or a library is not there.
pub fn arguments(unit: &Unit, scratch: Option<&Path>) -> Result<RustcArgs> {
    if !unit.bin {
        return Ok(unit.compiled.clone());
    }
    let places = places(unit);
    if places.is_empty() {
        return Ok(unit.compiled.clone());
    }
    let folder = folder(unit);
    fs::create_dir_all(&folder)
        .with_context(|| format!("failed to create `{}`", folder.display()))?;
    for (place, original) in &places {
        let name = place.file_name().unwrap_or_default();
        let published = scratch.map(|scratch| published(scratch).join(name));
        let from = published.filter(|path| path.exists());
        keep(from.as_ref().unwrap_or(original), place)?;
    }
    let here = |path: &Path| Some(folder.join(path.file_name()?));
    let args = unit
        .compiled
        .with_externs_at(|path| here(path).filter(|place| places.contains_key(place)));
    // Of libraries that are the same rustc takes the last that it finds.
    Ok(args.with([format!("-Ldependency={}", folder.display())]))
}

/// The libraries of the workspace that a program is compiled with, and those that these are compiled with: for each path at
/// which the program finds one the path at which cargo has it.
#[must_use]
pub fn places(unit: &Unit) -> BTreeMap<PathBuf, PathBuf> {
    let folder = folder(unit);
    let mut found = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut todo: Vec<PathBuf> = externs(unit);
    while let Some(path) = todo.pop() {
        let Some(stem) = library_stem(&path).filter(|stem| seen.insert((*stem).to_owned())) else {
            continue;
        };
        // What the wrapper did not compile is not the workspace's.
        let deps = path.parent().unwrap_or(Path::new(""));
        if let Ok(member) = Unit::read(deps, stem) {
            todo.extend(externs(&member));
            let name = member.rlib.file_name().unwrap_or_default();
            found.insert(folder.join(name), member.rlib);
        }
    }
    found
}

fn externs(unit: &Unit) -> Vec<PathBuf> {
    let paths = unit.compiled.externs().map(|(_, path)| path.to_owned());
    paths.collect()
}

/// Puts a library into the session's own folder that holds nothing but a crate's metadata, as it is now.
///
/// # Errors
/// There is no metadata, or the folder cannot be written.
pub fn publish(unit: &Unit, scratch: &Path) -> Result<()> {
    let folder = &published(scratch);
    let path = unit.rlib.with_extension("rmeta");
    let metadata =
        fs::read(&path).with_context(|| format!("failed to read `{}`", path.display()))?;
    let name = unit.rlib.file_name().context("a library without a name")?;
    let place = folder.join(name);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&place, metadata_library(&metadata)))
        .with_context(|| format!("failed to write `{}`", place.display()))
}

/// What was published is out of date.
pub fn forget(scratch: &Path) {
    // What cannot be removed is written anew before it is used.
    let _ = fs::remove_dir_all(published(scratch));
}

fn published(scratch: &Path) -> PathBuf {
    scratch.join("early")
}

fn folder(unit: &Unit) -> PathBuf {
    unit.folder.join("libraries")
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

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs;
    use std::path::Path;

    use super::{RustcArgs, Unit, arguments, forget, places, publish};
    use crate::image::samples::Samples;

    /// The unit of a call, as the wrapper keeps it.
    fn unit(folder: &Path, line: &str) -> Unit {
        let line = format!("{line} --out-dir {}", folder.display());
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let args = RustcArgs::new(&args).unwrap();
        let unit = Unit::of_call(Path::new("rustc"), args).unwrap();
        let text = serde_json::to_vec(&unit).unwrap();
        fs::write(unit.folder.join("unit.json"), text).unwrap();
        unit
    }

    #[test]
    fn a_program_finds_its_libraries_at_one_path() {
        let samples = Samples::new();
        let (deps, scratch) = (samples.path("deps"), samples.path("scratch"));
        fs::create_dir_all(&deps).unwrap();
        let at = |name: &str| deps.join(name);
        let lib = |name: &str, others: &str| {
            fs::write(at(&format!("lib{name}.rlib")), name).unwrap();
            let call = format!("--crate-name {name} {name}.rs --crate-type lib{others}");
            unit(&deps, &call)
        };
        let low = lib("low", "");
        let high = format!(" --extern low={}", at("liblow.rmeta").display());
        lib("high", &high);
        // A crate that is not the workspace's.
        fs::write(at("libother.rlib"), "other").unwrap();
        let externs = format!(
            "--extern high={} --extern other={}",
            at("libhigh.rlib").display(),
            at("libother.rlib").display()
        );
        let call = format!("--crate-name app app.rs --crate-type bin {externs}");
        let app = unit(&deps, &call);

        let before = arguments(&app, Some(&scratch)).unwrap();
        let folder = app.folder.join("libraries");
        let text = |name: &str| fs::read(folder.join(name)).unwrap();
        let of = |name: &str| {
            format!(
                "{name}={}",
                folder.join(format!("lib{name}.rlib")).display()
            )
        };
        let has = |value: &str| before.as_slice().iter().any(|arg| arg == value);
        assert!(has(&of("high")), "{:?}", before.as_slice());
        assert!(has(&format!("other={}", at("libother.rlib").display())));
        // The one that it is not compiled with itself as well.
        assert_eq!(
            (text("libhigh.rlib"), text("liblow.rlib")),
            (b"high".to_vec(), b"low".to_vec())
        );
        let names = ["libhigh.rlib", "liblow.rlib"];
        let expected = names.map(|name| (folder.join(name), at(name)));
        assert_eq!(places(&app), expected.into());

        fs::write(at("liblow.rmeta"), "metadata").unwrap();
        publish(&low, &scratch).unwrap();
        let during = arguments(&app, Some(&scratch)).unwrap();
        assert_eq!(before.as_slice(), during.as_slice());
        assert!(text("liblow.rlib").starts_with(b"!<arch>\n"));
        // cargo's own is as it was.
        assert_eq!(fs::read(at("liblow.rlib")).unwrap(), b"low");

        forget(&scratch);
        let after = arguments(&app, Some(&scratch)).unwrap();
        assert_eq!(before.as_slice(), after.as_slice());
        assert_eq!(text("liblow.rlib"), b"low");
    }
}
