//! Where a program's std keeps the list of libraries that its backtraces know.
//!
//! Two names inside std, which may change with any release: where they, their number or their sizes are not what they
//! are today, there is no answer, and frames of patches stay without a place in backtraces that come after the first.
//! `backtrace/src/symbolize/gimli.rs` and `std/src/sys/backtrace.rs` of rustc 1.95 are where the names come from.

use hotpatch_rt::wire::LibraryList;

use crate::image::elf::{Elf, SHT_NOBITS};
use crate::image::symbols::{Kind, Symbol, SymbolTable};

/// The list as the two manglings spell it, v0 and legacy.
const LIST: [&str; 2] = [
    "<std::backtrace_rs::symbolize::gimli::Cache>::with_global::MAPPINGS_CACHE",
    "std::backtrace_rs::symbolize::gimli::Cache::with_global::MAPPINGS_CACHE",
];
const LOCK: [&str; 2] = [
    "std::sys::backtrace::lock::LOCK",
    "std::sys::backtrace::lock::LOCK",
];
/// Size of the list in bytes, in 1.95 and in the nightlies of 1.97: an `Option` of what std keeps, and no lock or
/// other wrapper around it.
const LIST_SIZE: u64 = 0x940;
/// Size of the lock in bytes.
const LOCK_SIZE: u64 = 8;

/// The list of a linked program, with the bytes that it starts with.
#[must_use]
pub fn find(elf: &Elf<'_>, symbols: &SymbolTable) -> Option<LibraryList> {
    let list = only(symbols, "14MAPPINGS_CACHE", LIST, LIST_SIZE)?;
    let lock = only(symbols, "4lock4LOCK", LOCK, LOCK_SIZE)?;
    Some(LibraryList {
        lock: lock.address,
        lock_size: lock.size,
        list: list.address,
        empty: initial(elf, list)?,
    })
}

/// The one symbol with this meaning; `part` is in its mangled name.
fn only(symbols: &SymbolTable, part: &str, spelt: [&str; 2], size: u64) -> Option<Symbol> {
    let mut found = symbols.iter().filter(|(name, symbol)| {
        symbol.kind == Kind::Data
            && name.contains(part)
            && spelt.contains(&format!("{:#}", rustc_demangle::demangle(name)).as_str())
    });
    let (_, symbol) = found.next()?;
    (symbol.size == size && found.next().is_none()).then_some(symbol)
}

/// The bytes of a static as the loader maps them.
fn initial(elf: &Elf<'_>, symbol: Symbol) -> Option<Vec<u8>> {
    let size = usize::try_from(symbol.size).ok()?;
    let section = elf.sections.iter().find(|section| {
        section.is_loaded()
            && (section.address..section.address + section.size as u64).contains(&symbol.address)
    })?;
    if section.kind == SHT_NOBITS {
        return Some(vec![0; size]);
    }
    let start = usize::try_from(symbol.address - section.address).ok()?;
    let bytes = elf.bytes(section).ok()?.get(start..)?.get(..size)?;
    Some(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use crate::image::samples::Samples;
    use crate::image::symbols::BaseImage;

    const PROGRAM: &str = "fn main() { println!(\"{}\", std::backtrace::Backtrace::capture()) }";

    #[test]
    fn this_toolchains_std_has_the_list_where_we_look_for_it() {
        let samples = Samples::new();
        let program = samples.rustc(PROGRAM, "program", &[]);
        let data = std::fs::read(program).unwrap();
        let found = BaseImage::parse(&data).unwrap().library_list.unwrap();
        assert_eq!((found.empty.len(), found.lock_size), (0x940, 8));
        // `None` is a tag and nothing else.
        let words = found.empty.chunks(8).filter(|word| word != &[0; 8]);
        assert!(words.count() <= 1, "{:?}", found.empty);
        assert!(found.lock.is_multiple_of(4) && found.list.is_multiple_of(8));
    }

    #[test]
    fn a_program_that_is_stripped_has_none() {
        let samples = Samples::new();
        let program = samples.rustc(PROGRAM, "program", &["-Cstrip=symbols"]);
        let data = std::fs::read(program).unwrap();
        assert_eq!(BaseImage::parse(&data).unwrap().library_list, None);
    }
}
