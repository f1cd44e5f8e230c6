//! Ties a patch object to what is in the process already, before it is linked: its own bodies for the
//! functions it replaces ([`redirect`]), addresses for everything the base or an earlier patch holds ([`bind`]).
//!
//! Linkers disagree about absolute symbols in shared libraries (GNU ld 2.40 rejects or asserts on GOT entries
//! for them), so none are used. Each bound symbol becomes an entry of 16 bytes in the patch itself:
//! its address, then a jump there. A load from the GOT becomes a load from the entry, a direct call
//! a call of the jump, and a pointer in data is filled in at once. All edits are in place; nothing moves.

use crate::image::elf::{self, Elf, ElfError, Relocation, Section, r};
use crate::image::object_file::PAIRS_SECTION;
use object::write::{Object, StandardSection, Symbol, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, SymbolFlags, SymbolKind, SymbolScope};
use std::collections::{BTreeMap, HashMap};
use thiserror::Error;

/// Why a patch object could not be bound.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// Not an object, or a damaged one.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// A pair names a replacement that the object does not define.
    #[error("the patch does not define `{new}`, which is to replace `{old}`")]
    MissingReplacement {
        /// The symbol to be replaced.
        old: String,
        /// The missing one.
        new: String,
    },
    /// A reference that cannot span the distance between a patch and the program.
    #[error(
        "`{symbol}` is referred to by {relocation} in {section}, which cannot reach outside the patch"
    )]
    OutOfReach {
        /// The symbol.
        symbol: String,
        /// The relocation's name.
        relocation: String,
        /// The section that refers to it.
        section: String,
    },
    /// The object with the addresses could not be written.
    #[error("failed to write the object with the addresses of the program")]
    Write(#[from] object::write::Error),
}

/// Makes everything in the object that refers to `old` refer to `new`, for each pair `(old, new)`.
///
/// The table of pairs and debug information keep the old symbol. Returns how many references changed; the
/// object is changed only if every pair could be followed.
///
/// # Errors
/// If the object is damaged or does not define a `new`.
pub fn redirect<Old: AsRef<str>, New: AsRef<str>>(
    object: &mut [u8],
    pairs: &[(Old, New)],
) -> Result<usize, BindError> {
    let elf = Elf::parse(object)?;
    let symbols = elf.symbols()?;
    let mut defined: HashMap<&str, u32> = HashMap::new();
    let mut by_name: HashMap<&str, Vec<u32>> = HashMap::new();
    for (index, raw) in symbols.iter().enumerate() {
        let name = symbols.name(&raw);
        if raw.section != elf::SHN_UNDEF {
            defined.insert(name, index as u32);
        }
        by_name.entry(name).or_default().push(index as u32);
    }
    let mut replacement: HashMap<u32, u32> = HashMap::new();
    for (old, new) in pairs {
        let (old, new) = (old.as_ref(), new.as_ref());
        let missing = || BindError::MissingReplacement {
            old: old.to_owned(),
            new: new.to_owned(),
        };
        let new = *defined.get(new).ok_or_else(missing)?;
        let olds = by_name.get(old).into_iter().flatten();
        replacement.extend(olds.filter(|old| **old != new).map(|old| (*old, new)));
    }
    let mut edits = Edits::default();
    for (target, section) in elf.relocation_sections() {
        let target = &elf.sections[target];
        if !target.is_loaded() || target.name == PAIRS_SECTION {
            continue;
        }
        for relocation in elf.relocations(section)? {
            if let Some(new) = replacement.get(&relocation.symbol) {
                edits.set_symbol(&relocation, *new);
            }
        }
    }
    let changed = edits.0.len();
    edits.apply(object);
    Ok(changed)
}

/// What [`bind`] adds to a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// A relocatable object with the entries, to be linked with the patch.
    pub table: Vec<u8>,
    /// The symbols that `address` did not know and that loaded sections refer to, sorted. They must come from
    /// shared libraries, or the link fails.
    pub left: Vec<String>,
}

/// Binds every undefined symbol, thread-locals aside, for which `address` knows where it is in the process.
///
/// The object is changed only if all of them could be bound.
///
/// # Errors
/// If the object is damaged or refers to a symbol in a way that cannot reach the program.
pub fn bind(object: &mut [u8], address: impl Fn(&str) -> Option<u64>) -> Result<Bound, BindError> {
    let elf = Elf::parse(object)?;
    let symbols = elf.symbols()?;
    let mut known: HashMap<u32, Option<u64>> = HashMap::new();
    for (index, raw) in symbols.iter().enumerate() {
        let name = symbols.name(&raw);
        if raw.section == elf::SHN_UNDEF && raw.kind != elf::STT_TLS && !name.is_empty() {
            known.insert(index as u32, address(name));
        }
    }
    let name = |symbol: u32| {
        symbols
            .get(symbol as usize)
            .map_or("", |raw| symbols.name(&raw))
    };
    let mut entries: BTreeMap<&str, u64> = BTreeMap::new();
    let mut left = Vec::new();
    let mut edits = Edits::default();
    for (target, section) in elf.relocation_sections() {
        let target = &elf.sections[target];
        for relocation in elf
            .relocations(section)?
            .filter(|relocation| relocation.kind != r::NONE)
        {
            let Some(address) = known.get(&relocation.symbol) else {
                continue;
            };
            let symbol = name(relocation.symbol);
            if let Some(address) = address {
                entries.insert(symbol, *address);
                // What debug information says about a symbol of the program is not used by anyone.
                if target.is_loaded() {
                    edits.bind(&elf, target, &relocation, *address, symbol)?;
                }
            } else if target.is_loaded() {
                left.push(symbol.to_owned());
            }
        }
    }
    left.sort_unstable();
    left.dedup();
    let table = table(&entries)?;
    edits.apply(object);
    Ok(Bound { table, left })
}

/// Changes to apply once all of them are known; each place was found inside the file.
#[derive(Default)]
struct Edits(Vec<(usize, Vec<u8>)>);

impl Edits {
    fn apply(self, object: &mut [u8]) {
        for (at, bytes) in self.0 {
            object[at..at + bytes.len()].copy_from_slice(&bytes);
        }
    }

    fn set_symbol(&mut self, relocation: &Relocation, symbol: u32) {
        self.0
            .push((relocation.file_offset + 12, symbol.to_le_bytes().to_vec()));
    }

    fn set_kind(&mut self, relocation: &Relocation, kind: u32) {
        self.0
            .push((relocation.file_offset + 8, kind.to_le_bytes().to_vec()));
    }

    fn bind(
        &mut self,
        elf: &Elf<'_>,
        section: &Section<'_>,
        relocation: &Relocation,
        address: u64,
        symbol: &str,
    ) -> Result<(), BindError> {
        let out_of_reach = || BindError::OutOfReach {
            symbol: symbol.to_owned(),
            relocation: elf::relocation_name(relocation.kind),
            section: section.name.to_owned(),
        };
        match relocation.kind {
            r::GOTPCREL | r::GOTPCRELX | r::REX_GOTPCRELX => self.set_kind(relocation, r::PC32),
            r::PLT32 => {
                let addend = relocation.addend.wrapping_add(ENTRY_JUMP as i64);
                self.0
                    .push((relocation.file_offset + 16, addend.to_le_bytes().to_vec()));
            }
            r::ABS64 => {
                let place = usize::try_from(relocation.place).ok();
                let inside = |place: &usize| {
                    elf.bytes(section)
                        .is_ok_and(|bytes| bytes.get(*place..).is_some_and(|rest| rest.len() >= 8))
                };
                let place = place.filter(inside).ok_or_else(out_of_reach)?;
                let value = address.wrapping_add_signed(relocation.addend);
                self.0
                    .push((section.offset + place, value.to_le_bytes().to_vec()));
                self.0.push((relocation.file_offset + 8, vec![0; 16]));
            }
            _ => return Err(out_of_reach()),
        }
        Ok(())
    }
}

/// Where in an entry the jump is.
const ENTRY_JUMP: usize = 8;

/// An address, `jmp *-14(%rip)` and padding.
fn entry(address: u64) -> [u8; 16] {
    let mut entry = [
        0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0x25, 0xf2, 0xff, 0xff, 0xff, 0xcc, 0xcc,
    ];
    entry[..ENTRY_JUMP].copy_from_slice(&address.to_le_bytes());
    entry
}

fn table(entries: &BTreeMap<&str, u64>) -> Result<Vec<u8>, BindError> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    // Without this note GNU ld takes the object for one that needs an executable stack.
    object.add_section(
        Vec::new(),
        b".note.GNU-stack".to_vec(),
        object::SectionKind::Other,
    );
    let text = object.section_id(StandardSection::Text);
    for (name, address) in entries {
        let value = object.append_section_data(text, &entry(*address), 16);
        object.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value,
            size: 0,
            // Without a type: `PatchImage` must not take the entry for the symbol itself.
            kind: SymbolKind::Label,
            scope: SymbolScope::Linkage,
            weak: false,
            section: SymbolSection::Section(text),
            flags: SymbolFlags::None,
        });
    }
    Ok(object.write()?)
}

#[cfg(test)]
mod tests {
    use super::{BindError, bind, entry, redirect};
    use crate::image::elf::{Elf, r};
    use crate::image::samples::Samples;

    const PATCH: &str = r#"
        unsafe extern "Rust" { safe fn old() -> u32; safe fn other() -> u32; static DATA: u32; }
        unsafe extern "C" { fn unknown(); }
        #[inline(never)] fn new() -> u32 { 1 }
        #[unsafe(no_mangle)] pub fn user() -> u32 { unsafe { unknown() }; old() + other() + unsafe { DATA } + new() }
        #[repr(C)] pub struct Pair(*const (), *const (), usize);
        unsafe impl Sync for Pair {}
        #[unsafe(no_mangle)] pub static POINTER: fn() -> u32 = old;
        #[used] #[unsafe(link_section = ".hp_pairs")]
        static PAIRS: Pair = Pair(old as *const (), new as *const (), 0);
        std::arch::global_asm!(".text", "jmp other@plt");
    "#;

    /// The relocations against a symbol in loaded sections, as `(section, type, addend)`.
    fn references(object: &[u8], wanted: &str) -> Vec<(String, u32, i64)> {
        let elf = Elf::parse(object).unwrap();
        let symbols = elf.symbols().unwrap();
        let mut found = Vec::new();
        for (target, section) in elf
            .relocation_sections()
            .filter(|(target, _)| elf.sections[*target].is_loaded())
        {
            for relocation in elf.relocations(section).unwrap() {
                let name = symbols.name(&symbols.get(relocation.symbol as usize).unwrap());
                if name == wanted {
                    found.push((
                        elf.sections[target].name.to_owned(),
                        relocation.kind,
                        relocation.addend,
                    ));
                }
            }
        }
        found
    }

    #[test]
    fn old_becomes_new_except_in_the_table_of_pairs() {
        let mut object = Samples::new().object(PATCH, &["-Cdebuginfo=2"]);
        let new = crate::image::object_file::PatchObject::parse(&object)
            .unwrap()
            .pairs[0]
            .new
            .clone();
        let before = references(&object, &new).len();
        assert_eq!(references(&object, "old").len(), 3);
        assert_eq!(redirect(&mut object, &[("old", &new)]).unwrap(), 2);
        let left = references(&object, "old");
        assert_eq!(left, [(".hp_pairs".to_owned(), r::ABS64, 0)]);
        assert_eq!(references(&object, &new).len(), before + 2);
        let unchanged = object.clone();
        let error = redirect(&mut object, &[("other", "missing")]).unwrap_err();
        assert!(matches!(error, BindError::MissingReplacement { new, .. } if new == "missing"));
        assert_eq!(object, unchanged);
    }

    #[test]
    fn references_reach_the_entries() {
        let mut object = Samples::new().object(PATCH, &["-Cdebuginfo=2"]);
        let address = |name: &str| match name {
            "old" => Some(0x1111),
            "other" => Some(0x2222),
            "DATA" => Some(0x3333),
            _ => None,
        };
        let bound = bind(&mut object, address).unwrap();
        assert_eq!(
            bound.left.iter().filter(|name| *name == "unknown").count(),
            1
        );
        let kinds = |name| {
            references(&object, name)
                .into_iter()
                .map(|(_, kind, addend)| (kind, addend))
        };
        assert!(kinds("DATA").all(|found| found == (r::PC32, -4)));
        let mut other: Vec<_> = kinds("other").collect();
        other.sort_unstable();
        other.dedup();
        assert_eq!(other, [(r::PC32, -4), (r::PLT32, 4)]);
        // Pointers in data are filled in.
        let elf = Elf::parse(&object).unwrap();
        let pairs = elf
            .sections
            .iter()
            .find(|section| section.name == ".hp_pairs")
            .unwrap();
        assert_eq!(elf.bytes(pairs).unwrap()[..8], 0x1111_u64.to_le_bytes());
        let table = Elf::parse(&bound.table).unwrap();
        let symbols = table.symbols().unwrap();
        let data = symbols
            .iter()
            .find(|raw| symbols.name(raw) == "DATA")
            .unwrap();
        let text = table.bytes(&table.sections[data.section as usize]).unwrap();
        assert_eq!(text[data.value as usize..][..16], entry(0x3333));
    }

    #[test]
    fn a_reference_that_cannot_reach_is_named() {
        let source = "std::arch::global_asm!(\".text\", \"lea rax, [rip + far]\");";
        let mut object = Samples::new().object(source, &[]);
        let error = bind(&mut object, |_| Some(1)).unwrap_err();
        let expected =
            "`far` is referred to by R_X86_64_PC32 in .text, which cannot reach outside the patch";
        assert_eq!(error.to_string(), expected);
    }
}
