//! The debug sections of an ELF file as `gimli` wants them.
//!
//! `object` finds and unpacks them. In an object file they still have to be relocated: references from one debug
//! section to another are entries of a relocation table there.

use std::borrow::Cow;

use gimli::{DwarfSections, EndianSlice, LittleEndian, SectionId};
use object::{Object, ObjectKind, ObjectSection, ObjectSymbol, RelocationTarget, SymbolIndex};
use thiserror::Error;

/// Why debug information could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The file itself.
    #[error("truncated or damaged ELF file")]
    File(#[from] object::Error),
    /// Its debug information.
    #[error("truncated or damaged debug information")]
    Dwarf(#[from] gimli::Error),
}

/// How `gimli` reads a section.
pub(crate) type Reader<'data> = EndianSlice<'data, LittleEndian>;

/// Sections as they are in the file, or unpacked and relocated.
type Sections<'data> = DwarfSections<Cow<'data, [u8]>>;

/// An address of 8 bytes in a debug section.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    /// Where in the section it is.
    pub(crate) at: u64,
    /// The symbol it is relative to.
    pub(crate) symbol: SymbolIndex,
    /// What is added to the symbol.
    pub(crate) addend: i64,
}

/// The addresses in the entries, and those that entries refer to by number, each in the order of their places.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    pub(crate) info: Vec<Address>,
    pub(crate) table: Vec<Address>,
}

/// All debug sections of an object, and what the addresses in them mean, which are not known before it is linked.
pub(crate) fn load_with_addresses<'data>(
    file: &object::File<'data>,
) -> Result<(Sections<'data>, Addresses), LayoutError> {
    let mut addresses = Addresses::default();
    let sections = DwarfSections::load(|id| section(file, id, &mut addresses))?;
    for list in [&mut addresses.info, &mut addresses.table] {
        if !list.is_sorted_by_key(|address| address.at) {
            list.sort_by_key(|address| address.at);
        }
    }
    Ok((sections, addresses))
}

fn section<'data>(
    file: &object::File<'data>,
    id: SectionId,
    addresses: &mut Addresses,
) -> Result<Cow<'data, [u8]>, LayoutError> {
    // Of the rest nothing is asked; of lines and addresses only that they are there.
    let is_wanted = matches!(
        id,
        SectionId::DebugAbbrev
            | SectionId::DebugInfo
            | SectionId::DebugStr
            | SectionId::DebugLineStr
            | SectionId::DebugStrOffsets
            | SectionId::DebugLine
            | SectionId::DebugAddr
    );
    let Some(section) = file.section_by_name(id.name()).filter(|_| is_wanted) else {
        return Ok(Cow::Borrowed(&[]));
    };
    let mut bytes = section.uncompressed_data()?;
    let is_followed = matches!(
        id,
        SectionId::DebugInfo
            | SectionId::DebugStrOffsets
            | SectionId::DebugLine
            | SectionId::DebugAddr
    );
    if file.kind() != ObjectKind::Relocatable || !is_followed {
        return Ok(bytes);
    }
    let place = bytes.to_mut();
    for (at, relocation) in section.relocations() {
        let RelocationTarget::Symbol(symbol) = relocation.target() else {
            continue;
        };
        if relocation.size() == 64 {
            let list = match id {
                SectionId::DebugInfo => Some(&mut addresses.info),
                SectionId::DebugAddr => Some(&mut addresses.table),
                _ => None,
            };
            if let Some(list) = list {
                list.push(Address {
                    at,
                    symbol,
                    addend: relocation.addend(),
                });
            }
        }
        let value = file
            .symbol_by_index(symbol)?
            .address()
            .wrapping_add_signed(relocation.addend())
            .to_le_bytes();
        let size = usize::from(relocation.size() / 8);
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let (Some(place), Some(value)) = (
            at.checked_add(size).and_then(|end| place.get_mut(at..end)),
            value.get(..size),
        ) else {
            return Err(gimli::Error::OffsetOutOfBounds(at as u64).into());
        };
        place.copy_from_slice(value);
    }
    Ok(bytes)
}
