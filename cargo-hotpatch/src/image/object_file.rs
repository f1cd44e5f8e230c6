//! What a relocatable object of a patch pairs up: functions of the program, and those that are to take their places.
//!
//! The table of pairs is the section [`PAIRS_SECTION`]: records `{ old: *const (), new: *const (), index: usize }`.
//! The relocations of the first two words name the base's symbol and the one compiled for the patch.

use std::cmp::Reverse;

use crate::image::elf::{self, Elf, ElfError, RawSymbol, Relocation, Symbols};
use thiserror::Error;

/// The section in which a patch crate lists its pairs.
pub const PAIRS_SECTION: &str = ".hp_pairs";
const PAIR_SIZE: usize = 24;

/// Why a patch object could not be read.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObjectError {
    /// Not an object, or a damaged one.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// A word of the table of pairs does not point at a symbol.
    #[error("record {record} of the table of pairs has no symbol for its `{field}` function")]
    PairWithoutSymbol {
        /// Number of the record in its section.
        record: usize,
        /// `old` or `new`.
        field: &'static str,
    },
}

/// One record of the table of pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The symbol in the base.
    pub old: String,
    /// The symbol that replaces it.
    pub new: String,
    /// The number the patch crate gave it.
    pub index: u64,
}

/// Reads the table of pairs of a relocatable object.
///
/// # Errors
/// If the object is damaged or its table is not made of symbols.
pub fn pairs(data: &[u8]) -> Result<Vec<Pair>, ObjectError> {
    let elf = Elf::parse(data)?;
    let symbols = elf.symbols()?;
    let mut pairs = Vec::new();
    for (index, section) in elf.relocation_sections() {
        let table = &elf.sections[index];
        if table.name != PAIRS_SECTION {
            continue;
        }
        let mut names = vec![(None, None); table.size / PAIR_SIZE];
        for relocation in elf.relocations(section)? {
            let place = relocation.place as usize;
            let Some((old, new)) = names.get_mut(place / PAIR_SIZE) else {
                continue;
            };
            let name = target(&symbols, &relocation);
            let name = name.map(|symbol| symbols.name(&symbol).to_owned());
            match place % PAIR_SIZE {
                0 => *old = name,
                8 => *new = name,
                _ => {}
            }
        }
        let bytes = elf.bytes(table)?;
        for (record, (old, new)) in names.into_iter().enumerate() {
            let missing = |field| ObjectError::PairWithoutSymbol { record, field };
            pairs.push(Pair {
                old: old.filter(|name| !name.is_empty()).ok_or(missing("old"))?,
                new: new.filter(|name| !name.is_empty()).ok_or(missing("new"))?,
                index: elf::u64_at(bytes, record * PAIR_SIZE + 16).unwrap_or_default(),
            });
        }
    }
    Ok(pairs)
}

/// The symbol an absolute relocation (`R_X86_64_64`) refers to, through a section symbol if need be.
fn target(symbols: &Symbols<'_>, relocation: &Relocation) -> Option<RawSymbol> {
    let raw = symbols.get(relocation.symbol as usize)?;
    if raw.kind != elf::STT_SECTION {
        return Some(raw);
    }
    let place = raw.value.checked_add_signed(relocation.addend)?;
    let named = symbols.iter().filter(|symbol| {
        symbol.section == raw.section
            && symbol.value <= place
            && !matches!(symbol.kind, elf::STT_SECTION | elf::STT_FILE)
    });
    // Of several names for one place the first one stands for all.
    named.min_by_key(|symbol| Reverse(symbol.value))
}

#[cfg(test)]
mod tests {
    use super::{ObjectError, pairs};
    use crate::image::samples::Samples;

    const PATCH: &str = r#"
        unsafe extern "Rust" { safe fn base_one(); safe fn base_two(); static BASE: u32; }
        fn private() { println!("private") }
        #[unsafe(no_mangle)] pub fn public() { println!("{}", unsafe { BASE }) }
        #[repr(C)] pub struct Pair(*const (), *const (), usize);
        unsafe impl Sync for Pair {}
        #[used] #[unsafe(link_section = ".hp_pairs")]
        static PAIRS: [Pair; 2] = [
            Pair(base_one as *const (), private as *const (), 5),
            Pair(base_two as *const (), public as *const (), usize::MAX),
        ];
    "#;

    #[test]
    fn pairs_of_an_object() {
        let samples = Samples::new();
        for level in ["-Copt-level=0", "-Copt-level=3"] {
            let data = samples.object(PATCH, &[level, "-Cdebuginfo=2"]);
            let found = pairs(&data).unwrap();
            let [one, two] = &found[..] else {
                panic!("{found:?}")
            };
            assert_eq!((one.old.as_str(), one.index), ("base_one", 5));
            assert!(one.new.ends_with("3app7private"), "{one:?}");
            assert_eq!(
                (two.old.as_str(), two.new.as_str(), two.index),
                ("base_two", "public", u64::MAX)
            );
        }
    }

    #[test]
    fn a_pair_needs_symbols() {
        let source = PATCH.replace("Pair(base_two as *const ()", "Pair(std::ptr::null()");
        let data = Samples::new().object(&source, &[]);
        let error = pairs(&data).unwrap_err();
        assert_eq!(
            error,
            ObjectError::PairWithoutSymbol {
                record: 1,
                field: "old"
            }
        );
    }
}
