//! Calls that the optimiser inlined, which leave no relocation and which only debug information still names.
//!
//! An inlined call is found only if an instruction of it is left. One that folds to a constant, or to its own
//! argument, leaves no trace at any level of debug information, so this list must not be taken as complete for a
//! function that was optimised.

use crate::image::elf::{Elf, ElfError};
use crate::image::hash::NameHashBuilder;
use gimli::{Abbreviations, AttributeValue, DebugInfoOffset, DebugStrOffsetsBase, UnitType};
use gimli::{LittleEndian, Section};
use object::read::elf::ElfFile64;
use object::{Object, ObjectKind, ObjectSection};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use thiserror::Error;

/// Why the inlined calls of a program could not be listed.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InlinedError {
    /// The file is no ELF file for x86-64, or is damaged.
    #[error("failed to read the program")]
    Elf(#[from] ElfError),
    /// The file is an object: its debug information is not relocated yet.
    #[error("a relocatable object is not a linked program")]
    NotLinked,
    /// A section of debug information cannot be read or decompressed.
    #[error("failed to read section {name}")]
    Section {
        /// The name of the section.
        name: &'static str,
        /// Why.
        source: object::Error,
    },
    /// A compressed section claims to be larger than its bytes can be.
    #[error("damaged section {0}: its size is impossible")]
    Size(&'static str),
    /// The debug information is damaged or of an unknown kind.
    #[error("truncated or damaged debug information")]
    Dwarf(#[from] gimli::Error),
    /// An entry refers to something that is not an entry, or through too many others.
    #[error("damaged debug information: a bad reference at {0:#x}")]
    Reference(usize),
    /// The debug information of a unit is in a file of its own (`-C split-debuginfo`).
    #[error("debug information is split off into {0}")]
    Split(String),
    /// Functions of a wanted unit have no names that a linker knows (`debuginfo=line-tables-only`).
    #[error("debug information of {unit} does not name inlined functions: {function}")]
    NoLinkageNames {
        /// The unit.
        unit: String,
        /// The source name of one function.
        function: String,
    },
}

type Bytes<'data> = gimli::EndianSlice<'data, LittleEndian>;
type Header<'data> = gimli::UnitHeader<Bytes<'data>>;
type Pairs<'data> = Vec<(&'data str, &'data str)>;

/// How many entries a name may be away from the entry that is looked at.
const MAX_HOPS: usize = 8;
/// Deflate cannot do better than this, and no debug information comes near.
const MAX_COMPRESSION: u64 = 1032;

/// Pairs of linkage names: a function that has code, and a function that was inlined into it at any depth.
///
/// Sorted and without duplicates. Where an inlined function has another inlined into it, the pairs are those of
/// the function that has the code. Only units for which `wanted` returns true are read; it is given the unit's
/// name (empty if there is none), which rustc makes of the path of the crate's root and the name of the codegen
/// unit: `src/main.rs/@/app.92a842c621288330-cgu.0`. **With `-C incremental` the crate's name is not in it**
/// (`src/main.rs/@/2oxd60ly6tyt58t6w6070kcha`).
///
/// A function whose symbol equals its source name (`#[no_mangle]`, C) goes by that name. A program without debug
/// information gives an empty list.
///
/// # Errors
/// If the file or its debug information is damaged, is not in the file, or is of a level that does not name
/// inlined functions.
pub fn inlined_calls(
    program: &[u8],
    wanted: impl Fn(&str) -> bool + Sync,
) -> Result<Vec<(String, String)>, InlinedError> {
    let sections = read_sections(program)?;
    let dwarf = Dwarf::new(&sections)?;
    let mut pairs = Pairs::new();
    for unit in dwarf.read_units(&wanted) {
        pairs.extend(unit?);
    }
    pairs.sort_unstable();
    pairs.dedup();
    let owned = |(function, inlined): (&str, &str)| (function.to_owned(), inlined.to_owned());
    Ok(pairs.into_iter().map(owned).collect())
}

fn read_sections(program: &[u8]) -> Result<gimli::DwarfSections<Cow<'_, [u8]>>, InlinedError> {
    Elf::parse(program)?;
    let file = ElfFile64::<object::LittleEndian>::parse(program).map_err(ElfError::from)?;
    if file.kind() == ObjectKind::Relocatable {
        return Err(InlinedError::NotLinked);
    }
    gimli::DwarfSections::load(|id| {
        let needed = [
            gimli::DebugInfo::<Bytes>::id(),
            gimli::DebugAbbrev::<Bytes>::id(),
            gimli::DebugStr::<Bytes>::id(),
            gimli::DebugLineStr::<Bytes>::id(),
            gimli::DebugStrOffsets::<Bytes>::id(),
        ];
        let name = id.name();
        let fail = |source| InlinedError::Section { name, source };
        match file.section_by_name(name) {
            Some(section) if needed.contains(&id) => {
                let data = section.compressed_data().map_err(fail)?;
                if data.uncompressed_size / MAX_COMPRESSION > data.data.len() as u64 {
                    return Err(InlinedError::Size(name));
                }
                data.decompress().map_err(fail)
            }
            _ => Ok(Cow::Borrowed(&[][..])),
        }
    })
}

/// The debug information of a program, and where its units are.
struct Dwarf<'data> {
    sections: gimli::Dwarf<Bytes<'data>>,
    /// In the order of their offsets.
    units: Vec<Unit<'data>>,
}

struct Unit<'data> {
    header: Header<'data>,
    /// Read when it is first needed: another unit may refer to this one.
    root: OnceLock<Result<Root<'data>, gimli::Error>>,
}

/// What must be known to read the entries of a unit.
struct Root<'data> {
    abbreviations: Abbreviations,
    format: gimli::Format,
    strings: DebugStrOffsetsBase<usize>,
    name: Option<AttributeValue<Bytes<'data>>>,
    split: Option<AttributeValue<Bytes<'data>>>,
}

impl<'data> Dwarf<'data> {
    fn new(sections: &'data gimli::DwarfSections<Cow<'_, [u8]>>) -> Result<Self, InlinedError> {
        let sections = sections.borrow(|bytes| Bytes::new(bytes, LittleEndian));
        let mut units = Vec::new();
        let mut headers = sections.debug_info.units();
        while let Some(header) = headers.next()? {
            units.push(Unit {
                header,
                root: OnceLock::new(),
            });
        }
        Ok(Dwarf { sections, units })
    }

    /// The pairs of each unit, or why there are none, in the order of the file.
    fn read_units(
        &self,
        wanted: &(impl Fn(&str) -> bool + Sync),
    ) -> Vec<Result<Pairs<'data>, InlinedError>> {
        let threads = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(8);
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            // The counter hands out numbers and publishes nothing: the units are shared by the scope itself.
            while let Some((index, unit)) = Some(next.fetch_add(1, Ordering::Relaxed))
                .and_then(|index| Some((index, self.units.get(index)?)))
            {
                done.push((index, self.read_unit(unit, wanted)));
            }
            done
        };
        let mut read = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut read = work();
            for thread in others {
                match thread.join() {
                    Ok(done) => read.extend(done),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            read
        });
        read.sort_unstable_by_key(|(index, _)| *index);
        read.into_iter().map(|(_, pairs)| pairs).collect()
    }

    fn read_unit(
        &self,
        unit: &Unit<'data>,
        wanted: &impl Fn(&str) -> bool,
    ) -> Result<Pairs<'data>, InlinedError> {
        if matches!(
            unit.header.type_(),
            UnitType::Type { .. } | UnitType::SplitType { .. }
        ) {
            return Ok(Pairs::new());
        }
        let root = self.root(unit)?;
        // Such a unit has no name by which it could be found not to be wanted.
        if let Some(file) = root.split {
            return Err(InlinedError::Split(self.string(root, file)?.to_owned()));
        }
        let name = root.name.map_or(Ok(""), |name| self.string(root, name))?;
        if !wanted(name) {
            return Ok(Pairs::new());
        }
        let mut names = HashMap::<usize, &str, NameHashBuilder>::default();
        let mut name_at = |offset| match names.get(&offset) {
            Some(known) => Ok(*known),
            None => {
                let found = self.linkage_name(name, offset)?;
                names.insert(offset, found);
                Ok::<_, InlinedError>(found)
            }
        };
        let calls = calls_of(&unit.header, &root.abbreviations)?;
        calls
            .into_iter()
            .map(|(function, inlined)| Ok((name_at(function)?, name_at(inlined)?)))
            .collect()
    }

    fn root<'this>(
        &'this self,
        unit: &'this Unit<'data>,
    ) -> Result<&'this Root<'data>, gimli::Error> {
        let root = unit.root.get_or_init(|| {
            let abbreviations = unit.header.abbreviations(&self.sections.debug_abbrev)?;
            let entry = unit
                .header
                .entry(&abbreviations, unit.header.root_offset())?;
            let strings = match entry.attr_value(gimli::DW_AT_str_offsets_base) {
                Some(AttributeValue::DebugStrOffsetsBase(base)) => base,
                _ => DebugStrOffsetsBase(0),
            };
            let split = entry
                .attr_value(gimli::DW_AT_dwo_name)
                .or_else(|| entry.attr_value(gimli::DW_AT_GNU_dwo_name));
            Ok(Root {
                format: unit.header.format(),
                name: entry.attr_value(gimli::DW_AT_name),
                split,
                strings,
                abbreviations,
            })
        });
        root.as_ref().map_err(|error| *error)
    }

    /// The name by which a linker knows the function of an entry in `.debug_info`.
    fn linkage_name(&self, reader: &str, start: usize) -> Result<&'data str, InlinedError> {
        let mut offset = start;
        let mut source_name = "";
        let mut is_declared = false;
        for _ in 0..MAX_HOPS {
            let (unit, place) = self.entry_at(offset)?;
            let root = self.root(unit)?;
            let entry = unit.header.entry(&root.abbreviations, place)?;
            let mut next = None;
            for attribute in entry.attrs() {
                match attribute.name() {
                    gimli::DW_AT_linkage_name | gimli::DW_AT_MIPS_linkage_name => {
                        return self.string(root, attribute.value());
                    }
                    gimli::DW_AT_name => source_name = self.string(root, attribute.value())?,
                    gimli::DW_AT_decl_file | gimli::DW_AT_decl_line => is_declared = true,
                    gimli::DW_AT_abstract_origin | gimli::DW_AT_specification => {
                        next = Some(target(&unit.header, attribute.value(), offset)?);
                    }
                    _ => {}
                }
            }
            match next {
                Some(next) => offset = next,
                // The linkage name is left out where it equals the source name. Line tables leave it out as well,
                // and with it the place of the declaration.
                None if is_declared && !source_name.is_empty() => return Ok(source_name),
                None => {
                    return Err(InlinedError::NoLinkageNames {
                        unit: reader.to_owned(),
                        function: source_name.to_owned(),
                    });
                }
            }
        }
        Err(InlinedError::Reference(start))
    }

    fn entry_at(&self, offset: usize) -> Result<(&Unit<'data>, gimli::UnitOffset), InlinedError> {
        let starts_before = |unit: &Unit<'data>| start_of(&unit.header) <= offset;
        let unit = self.units[..self.units.partition_point(starts_before)].last();
        let place = |unit: &Unit<'data>| DebugInfoOffset(offset).to_unit_offset(&unit.header);
        unit.and_then(|unit| Some((unit, place(unit)?)))
            .ok_or(InlinedError::Reference(offset))
    }

    fn string(
        &self,
        root: &Root<'data>,
        value: AttributeValue<Bytes<'data>>,
    ) -> Result<&'data str, InlinedError> {
        let sections = &self.sections;
        let text = match value {
            AttributeValue::String(text) => text,
            AttributeValue::DebugStrRef(at) => sections.debug_str.get_str(at)?,
            AttributeValue::DebugLineStrRef(at) => sections.debug_line_str.get_str(at)?,
            AttributeValue::DebugStrOffsetsIndex(index) => {
                let offsets = &sections.debug_str_offsets;
                let at = offsets.get_str_offset(root.format, root.strings, index)?;
                sections.debug_str.get_str(at)?
            }
            _ => return Err(gimli::Error::ExpectedStringAttributeValue.into()),
        };
        std::str::from_utf8(text.slice()).map_err(|_| gimli::Error::BadUtf8.into())
    }
}

/// `(function with code, inlined function)` as offsets of entries in `.debug_info`, without duplicates.
fn calls_of(
    header: &Header<'_>,
    abbreviations: &Abbreviations,
) -> Result<Vec<(usize, usize)>, InlinedError> {
    let mut calls = Vec::new();
    // The functions around the entry with their depths; no offset if a function has no code.
    let mut around: Vec<(isize, Option<usize>)> = Vec::new();
    let mut entries = header.entries_raw(abbreviations, None)?;
    while !entries.is_empty() {
        let offset = start_of(header) + entries.next_offset().0;
        let depth = entries.next_depth();
        let Some(abbreviation) = entries.read_abbreviation()? else {
            continue;
        };
        while around.pop_if(|(other, _)| *other >= depth).is_some() {}
        let attributes = abbreviation.attributes();
        match (abbreviation.tag(), around.last()) {
            (gimli::DW_TAG_subprogram, _) => {
                let has_code = attributes
                    .iter()
                    .any(|spec| matches!(spec.name(), gimli::DW_AT_low_pc | gimli::DW_AT_ranges));
                around.push((depth, has_code.then_some(offset)));
                entries.skip_attributes(attributes)?;
            }
            (gimli::DW_TAG_inlined_subroutine, Some((_, Some(function)))) => {
                for spec in attributes {
                    let attribute = entries.read_attribute(*spec)?;
                    if attribute.name() == gimli::DW_AT_abstract_origin {
                        calls.push((*function, target(header, attribute.value(), offset)?));
                    }
                }
            }
            _ => entries.skip_attributes(attributes)?,
        }
    }
    calls.sort_unstable();
    calls.dedup();
    Ok(calls)
}

/// The offset in `.debug_info` of the entry that an attribute of the entry at `from` refers to.
fn target(
    header: &Header<'_>,
    value: AttributeValue<Bytes<'_>>,
    from: usize,
) -> Result<usize, InlinedError> {
    match value {
        AttributeValue::UnitRef(place) => start_of(header).checked_add(place.0),
        AttributeValue::DebugInfoRef(offset) => Some(offset.0),
        _ => None,
    }
    .ok_or(InlinedError::Reference(from))
}

fn start_of(header: &Header<'_>) -> usize {
    header.debug_info_offset().map_or(0, |offset| offset.0)
}

#[cfg(test)]
mod tests;
