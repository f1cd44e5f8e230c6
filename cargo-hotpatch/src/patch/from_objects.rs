//! A patch made of rustc's own objects: the selected definitions, led to what the process has of everything else.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::link::{Link, Linker, link_command};
use super::tls;
use crate::command::{CancelToken, Tool};
use crate::image::elf::{self, Elf, ElfError, Section};
use crate::image::symbols::PatchImage;
use crate::object::cells::{CELLS, Cells, Content, JUMPS, LOAD_OPERAND, ROOTS, SIZE};
use crate::object::fingerprint::is_list;
use crate::object::retarget::{Fix, Target, retarget};

/// What a library is made of.
pub struct Parts<'a> {
    /// The objects that hold the selected definitions, by name and with their bytes.
    pub objects: Vec<(String, Vec<u8>)>,
    /// Functions that get slots in the patch.
    pub slotted: Vec<&'a str>,
    /// Functions that slots outside of it are led to.
    pub redirected: Vec<&'a str>,
    /// Those of them of which it is wanted whether they are called.
    pub told: Vec<&'a str>,
    /// Statics and thread-locals that the patch brings.
    pub brought: Vec<&'a str>,
    /// Those of them whose distances from the thread pointer are wanted.
    pub thread_locals: Vec<&'a str>,
    /// An address near a program that has a fixed one: the library is linked for it where it has to be near.
    pub near: Option<u64>,
    /// It brings data that later patches may have to be near to.
    pub brings_data: bool,
    /// Whether it is likely that it has to be near, in any case.
    pub is_near_likely: bool,
    /// Where in the process a symbol lies that the patch does not bring.
    pub address: &'a dyn Fn(&str) -> Option<u64>,
    /// How far from the thread pointer a thread-local of the process is.
    pub thread_local: &'a dyn Fn(&str) -> Option<i64>,
    /// The linker.
    pub linker: &'a Linker,
    /// Shared libraries that symbols may come from.
    pub libraries: &'a [PathBuf],
    /// Where the library goes; objects go beside it.
    pub output: &'a Path,
}

/// A library that is ready to be loaded.
#[derive(Debug)]
pub struct Library {
    /// The file.
    pub path: PathBuf,
    /// What is in it.
    pub image: PatchImage,
    /// Its size.
    pub bytes: u64,
    /// It only works where it was linked for.
    pub is_fixed: bool,
    /// Where it ends in memory, as an address of the file.
    pub end: u64,
    cells: u64,
    jumps: u64,
    slots: Vec<(String, u32)>,
    tellers: Vec<(String, u32)>,
    thread_locals: Vec<(String, u64)>,
}

impl Library {
    /// Slot and stub of each function that has them in the patch, as addresses of the file.
    pub fn slots(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.slots.iter().map(|(name, number)| {
            let at = u64::from(*number) * SIZE;
            (name.as_str(), self.cells + at, self.jumps + at)
        })
    }

    /// For each function of which it is wanted whether it is called: a byte that says so, and where it has to be called, as
    /// addresses of the file.
    pub fn tellers(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.tellers.iter().map(|(name, number)| {
            let at = u64::from(*number) * SIZE;
            (name.as_str(), self.cells + at, self.jumps + at)
        })
    }

    /// Where the loader writes the distance of each thread-local for which it was wanted, as an address of the file.
    pub fn thread_locals(&self) -> impl Iterator<Item = (&str, u64)> {
        self.thread_locals
            .iter()
            .map(|(name, at)| (name.as_str(), *at))
    }

    /// Where in the file a symbol is.
    ///
    /// # Errors
    /// It is not in it.
    pub fn offset(&self, name: &str) -> Result<u64> {
        let symbol = self.image.symbols.get(name);
        let symbol = symbol.with_context(|| format!("the patch does not define `{name}`"))?;
        Ok(symbol.address)
    }
}

/// Retargets and links.
///
/// # Errors
/// A reference cannot be led where it must go, or what the linker or the file system says.
pub fn library(parts: Parts<'_>, cancel: &CancelToken) -> Result<Library> {
    let mut cells = Cells::default();
    let mut slots = Vec::new();
    for name in &parts.slotted {
        let cell = cells.cell(Content::Symbol((*name).to_owned()));
        slots.push(((*name).to_owned(), cell));
    }
    let tellers = parts.told.iter().map(|name| {
        let cell = cells.teller(name);
        ((*name).to_owned(), cell)
    });
    let tellers: Vec<(String, u32)> = tellers.collect();
    let mut thread_locals = Vec::new();
    for name in &parts.thread_locals {
        let cell = cells.cell(Content::ThreadOffset((*name).to_owned()));
        thread_locals.push(((*name).to_owned(), cell));
    }
    for name in parts.redirected.iter().chain(&parts.brought) {
        if parts.thread_locals.contains(name) {
            continue;
        }
        cells.root(name);
    }
    let numbers: HashMap<&str, u32> = parts.slotted.iter().copied().zip(0..).collect();
    let brought: HashSet<&str> = parts.brought.iter().copied().collect();
    let is_here = |name: &str| brought.contains(name);
    let folder = parts.output.with_extension("objects");
    fs::create_dir_all(&folder)
        .with_context(|| format!("failed to create `{}`", folder.display()))?;
    let mut files = Vec::new();
    let mut fixes = Vec::new();
    for (name, mut bytes) in parts.objects {
        without_lists(&mut bytes)?;
        tls::rewrite(&mut bytes, |name| match is_here(name) {
            true => None,
            false => (parts.thread_local)(name),
        })
        .context("failed to bind a thread-local")?;
        let made = retarget(
            &bytes,
            &mut cells,
            parts.near.is_some().then_some(&mut fixes),
            true,
            |name, _| match (numbers.get(name), is_here(name)) {
                (Some(cell), _) => Target::Slot(*cell),
                (None, true) => Target::Same,
                (None, false) => (parts.address)(name).map_or(Target::Same, Target::Address),
            },
            |_, _| false,
        )
        .context("failed to bind the patch")?;
        let path = folder.join(&name);
        write(&path, &made)?;
        files.push(path);
    }
    let table = folder.join("cells.o");
    write(&table, &cells.object()?)?;
    files.push(table);
    let link = Link {
        objects: &files,
        libraries: parts.libraries,
        output: parts.output,
    };
    let option = |option: &str| match parts.linker {
        Linker::RustLld(_) => option.to_owned(),
        Linker::Cc(_) => format!("-Wl,{option}"),
    };
    let has_roots = !(parts.redirected.is_empty() && parts.brought.is_empty());
    let roots = has_roots.then(|| option(&format!("--undefined={ROOTS}")));
    // Code of cells that nothing in the library refers to.
    let loads = !(parts.thread_locals.is_empty() && parts.told.is_empty());
    let loads = loads.then(|| option(&format!("--undefined={JUMPS}")));
    let linked = |place: Option<u64>| -> Result<(Vec<u8>, PatchImage)> {
        let mut command = link_command(parts.linker, &link).into_iter();
        let program = command.next().context("the linker has no name")?;
        let place = place.map(|address| match parts.linker {
            Linker::RustLld(_) => format!("--image-base={address:#x}"),
            Linker::Cc(_) => format!("-Wl,-Ttext-segment={address:#x}"),
        });
        Tool::new(program)
            .args(command)
            .args([
                option("--gc-sections"),
                option(&format!("--undefined={CELLS}")),
            ])
            .args(roots.clone())
            .args(loads.clone())
            .args(place)
            .run_checked(cancel)
            .context("failed to link the patch")?;
        let data = fs::read(parts.output)
            .with_context(|| format!("failed to read `{}`", parts.output.display()))?;
        let image = PatchImage::parse(&data).context("failed to read the linked patch")?;
        Ok((data, image))
    };
    // What was not selected is not in the library.
    let has_fixes = |image: &PatchImage| {
        let mut fixes = fixes.iter();
        fixes.any(|fix| image.symbols.get(&fix.symbol).is_some())
    };
    let is_near_likely = parts.is_near_likely || parts.brings_data;
    let (mut data, mut image) = linked(parts.near.filter(|_| is_near_likely))?;
    let has_fixes = has_fixes(&image);
    let is_fixed = parts.near.is_some() && (has_fixes || parts.brings_data);
    // std takes a library that lies where it was linked for to be the program itself, and finds no names in it for its
    // backtraces: only what has to be near is.
    if parts.near.is_some() && is_fixed != is_near_likely {
        (data, image) = linked(parts.near.filter(|_| is_fixed))?;
    }
    if has_fixes {
        fill_in(&mut data, &image, &fixes)?;
        write(parts.output, &data)?;
    }
    let end = Elf::parse(&data)?
        .sections
        .iter()
        .filter(|s| s.is_loaded())
        .fold(0, |end, s| end.max(s.address + s.size as u64));
    // Only scratch.
    let _ = fs::remove_dir_all(&folder);
    let mut offsets = Vec::new();
    for (name, number) in thread_locals {
        let load = image.symbols.get(JUMPS).context("the patch has no jumps")?;
        let load = load.address + u64::from(number) * SIZE;
        offsets.push((name, loaded_from(&data, load)?));
    }
    let array = |name: &str| image.symbols.get(name).map_or(0, |symbol| symbol.address);
    Ok(Library {
        path: parts.output.to_owned(),
        cells: array(CELLS),
        jumps: array(JUMPS),
        image,
        bytes: data.len() as u64,
        is_fixed,
        end,
        slots,
        tellers,
        thread_locals: offsets,
    })
}

/// The address that the instruction of a [`Content::ThreadOffset`] loads from.
fn loaded_from(data: &[u8], instruction: u64) -> Result<u64> {
    let elf = Elf::parse(data)?;
    let at = file_offset(&elf, instruction + LOAD_OPERAND)?;
    let distance = elf::u32_at(data, at).context("an instruction lies outside of the library")?;
    let end = instruction + LOAD_OPERAND + 4;
    Ok(end.wrapping_add_signed(i64::from(distance.cast_signed())))
}

/// Where in a linked file the byte at an address is.
fn file_offset(elf: &Elf<'_>, address: u64) -> Result<usize> {
    let holds = |section: &&Section<'_>| {
        let from = section.address;
        section.is_loaded() && (from..from + section.size as u64).contains(&address)
    };
    let section = elf.sections.iter().find(holds);
    let section = section.context("a reference lies in no section")?;
    Ok(section.offset + usize::try_from(address - section.address)?)
}

/// Fills in the references that no linker could make.
fn fill_in(data: &mut [u8], image: &PatchImage, fixes: &[Fix]) -> Result<()> {
    let mut places = Vec::new();
    {
        let elf = Elf::parse(data)?;
        for fix in fixes {
            // What was not selected is not in the library.
            let Some(symbol) = image.symbols.get(&fix.symbol) else {
                continue;
            };
            let address = symbol.address;
            let at = file_offset(&elf, address)?;
            let distance = fix.value.wrapping_sub(address).cast_signed();
            let distance = i32::try_from(distance).ok().with_context(|| {
                format!("what is at {:#x} is too far from the patch", fix.value)
            })?;
            places.push((at, distance.to_le_bytes()));
        }
    }
    for (at, bytes) in places {
        let place = data.get_mut(at..at + bytes.len());
        let place = place.context("a reference lies outside of the library")?;
        place.copy_from_slice(&bytes);
    }
    Ok(())
}

fn write(path: &Path, data: &[u8]) -> Result<()> {
    fs::write(path, data).with_context(|| format!("failed to write `{}`", path.display()))
}

/// Takes constructors and other lists out of an object: they have run, or were read, when the program started, and a
/// library's would run again.
fn without_lists(object: &mut [u8]) -> Result<(), ElfError> {
    const SHF_EXCLUDE: u64 = object::elf::SHF_EXCLUDE.0;
    const FLAGS: usize = 8;
    const HEADER: usize = 64;
    let elf = Elf::parse(object)?;
    let listed: Vec<usize> = elf
        .sections
        .iter()
        .enumerate()
        .filter(|(_, section)| section.is_loaded() && is_constructors(section.name))
        .map(|(index, _)| index)
        .collect();
    let headers = elf::u64_at(object, 0x28).and_then(|at| usize::try_from(at).ok());
    let headers = headers.ok_or(ElfError::OutOfBounds("the section table"))?;
    for index in listed {
        let at = headers + index * HEADER + FLAGS;
        let flags = elf::u64_at(object, at).ok_or(ElfError::OutOfBounds("a section"))?;
        let flags = flags | SHF_EXCLUDE;
        object[at..at + 8].copy_from_slice(&flags.to_le_bytes());
    }
    Ok(())
}

fn is_constructors(section: &str) -> bool {
    is_list(section) && section.starts_with('.') && section.contains("_array")
        || section.starts_with(".ctors")
        || section.starts_with(".dtors")
}
