//! The program's link in the exact lane: every function of the workspace gets a slot.
//!
//! rustc calls this program by the name of the user's linker. The workspace's objects are linked as copies whose
//! references lead through slots (`object/retarget`); libraries on disk stay as rustc made them. The objects as they
//! were are kept beside the program, with the names of the slots in their order: they are what a session compares
//! later builds with.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};

use super::capture::Unit;
use super::program_libraries;
use super::rustc::library_stem;
use crate::image::elf::{self, Elf};
use crate::object::archive;
use crate::object::cells::{Cells, Content};
use crate::object::retarget::{RetargetError, Target, retarget};
use crate::object::v0;

/// What is kept of a program's link, in the folder of its unit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LinkedObjects {
    /// Per library or program of the workspace, by its stem: where its objects are.
    pub objects: BTreeMap<String, Vec<KeptObjects>>,
    /// Names of the functions with slots, in the order of the slots.
    pub slots: Vec<String>,
    /// All Rust libraries of the link, for what the program lacks of them.
    pub libraries: Vec<PathBuf>,
}

/// A file with objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptObjects {
    /// An archive or an object.
    pub path: PathBuf,
}

const FOLDER: &str = "base";
const LIST: &str = "link.json";
/// What the linker is told, in place of the program's own `main`, to call first.
const STARTER: &str = "cargo_hotpatch_start";

impl LinkedObjects {
    /// Reads what was kept for the program of a unit.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn read(unit: &Unit) -> Result<Self> {
        let path = unit.folder.join(FOLDER).join(LIST);
        let text =
            fs::read(&path).with_context(|| format!("failed to read `{}`", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("`{}` is damaged", path.display()))
    }
}

/// Takes the objects of a link into a folder and links nothing.
///
/// # Errors
/// They cannot be copied.
pub fn collect(args: &[OsString], folder: &Path) -> Result<i32> {
    for arg in args {
        let path = Path::new(arg);
        if is_rustc_object(path) {
            let name = path.file_name().context("an object without a name")?;
            keep(path, &folder.join(name))?;
        }
    }
    Ok(0)
}

fn is_rustc_object(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".rcgu.o")
}

/// A second name for a file, or a copy where there can be none. rustc replaces its outputs and never writes into them.
pub(crate) fn keep(from: &Path, to: &Path) -> Result<()> {
    let _ = fs::remove_file(to);
    fs::hard_link(from, to)
        .or_else(|_| fs::copy(from, to).map(drop))
        .with_context(|| format!("failed to copy `{}` to `{}`", from.display(), to.display()))
}

/// One object of the workspace on its way into the link.
struct Input {
    stem: String,
    bytes: Vec<u8>,
}

/// The linker's arguments with the workspace's objects in their retargeted form.
///
/// # Errors
/// An object cannot be read, or the copies not be written.
pub fn arguments(args: &[OsString], unit_folder: &Path, driver: bool) -> Result<Vec<OsString>> {
    if args.iter().any(|arg| arg == "-shared" || arg == "--shared") {
        return Ok(args.to_vec());
    }
    let unit: Unit = {
        let path = unit_folder.join("unit.json");
        let text =
            fs::read(&path).with_context(|| format!("failed to read `{}`", path.display()))?;
        serde_json::from_slice(&text)?
    };
    let fresh = unit_folder.join(format!("{FOLDER}-{}", std::process::id()));
    fs::create_dir_all(&fresh)
        .with_context(|| format!("failed to create `{}`", fresh.display()))?;
    let kept = unit_folder.join(FOLDER);
    let stem = unit.stem();
    let mut linked = LinkedObjects::default();
    let mut crates = vec![unit.krate.clone()];
    let mut inputs: Vec<Input> = Vec::new();
    let mut out: Vec<OsString> = Vec::new();
    let mut place = None;
    let places = program_libraries::places(&unit);
    for arg in args {
        // A library of the workspace counts where cargo has it.
        let original = places.get(Path::new(arg));
        let path = original.map_or(Path::new(arg), PathBuf::as_path);
        let library = path.extension().is_some_and(|kind| kind == "rlib");
        if is_rustc_object(path) {
            let name = path.file_name().context("an object without a name")?;
            keep(path, &fresh.join(name))?;
            let file = KeptObjects {
                path: kept.join(name),
            };
            linked.objects.entry(stem.clone()).or_default().push(file);
            place.get_or_insert(out.len());
            inputs.push(Input {
                stem: stem.clone(),
                bytes: read(path)?,
            });
            continue;
        }
        if library && let Some(member) = member_of_workspace(path) {
            let name = path.file_name().context("a library without a name")?;
            keep(path, &fresh.join(name))?;
            let file = KeptObjects {
                path: kept.join(name),
            };
            let stem = member.stem();
            let of_crate = linked.objects.entry(stem.clone()).or_default();
            of_crate.push(file);
            let bytes = read(path)?;
            for member in archive::objects(&bytes)? {
                if member.name.ends_with(".rcgu.o") {
                    inputs.push(Input {
                        stem: stem.clone(),
                        bytes: bytes[member.range].to_vec(),
                    });
                }
            }
            crates.push(member.krate);
        }
        if library {
            linked.libraries.push(path.to_owned());
        }
        if driver && arg == "-pie" {
            // Libraries can then be loaded near the program, whose statics some instructions only reach from there.
            out.push("-no-pie".into());
        } else if !dropped(&arg.to_string_lossy()) {
            out.push(path.into());
        }
    }
    let Slotted {
        objects,
        cells,
        names,
    } = slotted(&inputs, &crates)?;
    linked.slots = names;
    let mut files: Vec<OsString> = Vec::new();
    for (index, object) in objects.iter().chain([&cells]).enumerate() {
        let path = fresh.join(format!("linked-{index}.o"));
        fs::write(&path, object)
            .with_context(|| format!("failed to write `{}`", path.display()))?;
        files.push(kept.join(format!("linked-{index}.o")).into());
    }
    files.push(unit.live.into());
    let at = place.unwrap_or(0);
    out.splice(at..at, files);
    fs::write(fresh.join(LIST), serde_json::to_vec(&linked)?)?;
    // A session that reads the older one has its files open.
    let _ = fs::remove_dir_all(&kept);
    fs::rename(&fresh, &kept).with_context(|| format!("failed to write `{}`", kept.display()))?;
    Ok(out)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("failed to read `{}`", path.display()))
}

/// Options that would take away or merge what a session has to find.
fn dropped(arg: &str) -> bool {
    let arg = arg.strip_prefix("-Wl,").unwrap_or(arg);
    matches!(
        arg,
        "--gc-sections" | "--strip-debug" | "--strip-all" | "-s"
    ) || arg.starts_with("--icf=")
}

/// The unit of a library that the wrapper compiled.
fn member_of_workspace(library: &Path) -> Option<Unit> {
    Unit::read(library.parent()?, library_stem(library)?).ok()
}

/// What is linked in place of the workspace's objects.
struct Slotted {
    /// They, with their references led through slots.
    objects: Vec<Vec<u8>>,
    /// The object with the slots.
    cells: Vec<u8>,
    /// The functions that have them, in their order.
    names: Vec<String>,
}

/// Gives every function that an edit can change a slot.
fn slotted(inputs: &[Input], crates: &[String]) -> Result<Slotted> {
    let crates: Vec<&str> = crates.iter().map(String::as_str).collect();
    let mut defined: BTreeSet<String> = BTreeSet::new();
    let mut has_main = false;
    for input in inputs {
        let elf = Elf::parse(&input.bytes)?;
        let symbols = elf.symbols()?;
        for raw in symbols.iter() {
            let is_function = raw.kind == elf::STT_FUNC
                && raw.binding != elf::STB_LOCAL
                && raw.section != elf::SHN_UNDEF;
            let name = symbols.name(&raw);
            has_main |= is_function && name == MAIN;
            if is_function && is_replaceable(name, &crates) {
                defined.insert(name.to_owned());
            }
        }
    }
    let mut rigid: BTreeSet<String> = BTreeSet::new();
    'again: loop {
        let mut cells = Cells::default();
        let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
        let mut names = Vec::new();
        for name in defined.iter().filter(|name| !rigid.contains(*name)) {
            let symbol = match v0::is_mangled(name) {
                true => name.clone(),
                false => format!("{}{name}", crate::object::cells::RENAMED),
            };
            let cell = cells.cell(Content::Symbol(symbol));
            if !v0::is_mangled(name) {
                // What is written in other languages refers to it by this name.
                cells.alias(name, cell);
            }
            numbers.insert(name, cell);
            names.push(name.clone());
        }
        if has_main {
            cells.start_with(STARTER);
        }
        let mut objects = Vec::new();
        for input in inputs {
            let made = retarget(
                &input.bytes,
                &mut cells,
                None,
                false,
                |name, _| {
                    numbers
                        .get(name)
                        .map_or(Target::Same, |cell| Target::Slot(*cell))
                },
                |name, raw| {
                    raw.kind == elf::STT_FUNC
                        && !v0::is_mangled(name)
                        && (name == MAIN || numbers.contains_key(name))
                },
            );
            match made {
                Ok(object) => objects.push(object),
                Err(RetargetError::Rigid { symbol, .. }) if rigid.insert(symbol.clone()) => {
                    continue 'again;
                }
                Err(error) => {
                    return Err(anyhow!(error).context(format!(
                        "failed to give functions of `{}` slots",
                        input.stem
                    )));
                }
            }
        }
        return Ok(Slotted {
            objects,
            cells: cells.object()?,
            names,
        });
    }
}

const MAIN: &str = "main";

/// Whether an edit of the workspace can change a function: it is of one of its crates, or an instance for its types.
fn is_replaceable(name: &str, crates: &[&str]) -> bool {
    if name == MAIN {
        return false;
    }
    !v0::is_mangled(name) || v0::mentions(name, crates)
}
