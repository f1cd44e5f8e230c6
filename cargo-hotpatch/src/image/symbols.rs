//! The symbols of a linked program or patch and the addresses they have in the file.
//!
//! A name resolves to one definition or to none: a GLOBAL or WEAK definition beats a LOCAL one, and a LOCAL
//! name (hashed ones such as `.Lanon.*` above all) that stands for two addresses resolves to nothing.
//! Addresses are the file's; what the loader adds is the caller's business.

use hotpatch_rt::wire::LibraryList;
use object::read::elf::ElfFile64;
use object::{Object, ObjectSymbol, ObjectSymbolTable, RelocationTarget};

use crate::image::elf::{self, Elf, ElfError};
use crate::image::hash::hash_bytes;
use crate::image::library_list;

/// What a symbol stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Code.
    Function,
    /// A static or a constant.
    Data,
    /// A thread-local; its address is an offset in the TLS segment.
    Tls,
}

/// One definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol {
    /// `st_value`: an address of the file, or an offset in the TLS segment.
    pub address: u64,
    /// Size in bytes; 0 where the file does not say.
    pub size: u64,
    /// What it is.
    pub kind: Kind,
}

/// The answer to a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// Exactly one definition, or the preferred one.
    Found(Symbol),
    /// Several local symbols share the name.
    Ambiguous,
    /// No definition.
    Missing,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    name: u32,
    length: u32,
    local: bool,
    ambiguous: bool,
    symbol: Symbol,
}

/// All symbols a linked file defines, by name.
#[derive(Debug, Clone, Default)]
pub struct SymbolTable {
    strings: Box<[u8]>,
    entries: Vec<Entry>,
    /// `(hash of the name, index in entries)`, sorted; one per name.
    index: Vec<(u64, u32)>,
}

impl SymbolTable {
    fn read(elf: &Elf<'_>, wanted: impl Fn(&elf::RawSymbol) -> bool) -> Result<Self, ElfError> {
        let symbols = elf.symbols()?;
        let strings: Box<[u8]> = symbols.strings().into();
        let mut entries = Vec::with_capacity(symbols.len());
        let mut index = Vec::with_capacity(symbols.len());
        for raw in symbols.iter().filter(wanted) {
            let Some(symbol) = definition(elf, &raw) else {
                continue;
            };
            let Some(name) =
                elf::c_string_at(&strings, raw.name as usize).filter(|name| !name.is_empty())
            else {
                continue;
            };
            index.push((hash_bytes(name), entries.len() as u32));
            entries.push(Entry {
                name: raw.name,
                length: name.len() as u32,
                local: raw.binding == elf::STB_LOCAL,
                ambiguous: false,
                symbol,
            });
        }
        let mut table = SymbolTable {
            strings,
            entries,
            index: Vec::new(),
        };
        index.sort_unstable();
        table.index = table.deduplicated(index);
        Ok(table)
    }

    /// Keeps one entry per name: the preferred one, marked if the choice was not clear.
    fn deduplicated(&mut self, sorted: Vec<(u64, u32)>) -> Vec<(u64, u32)> {
        let mut kept: Vec<(u64, u32)> = Vec::with_capacity(sorted.len());
        for (hash, index) in sorted {
            let known = kept
                .iter()
                .rposition(|(other, _)| *other != hash)
                .map_or(0, |before| before + 1);
            let same = kept[known..]
                .iter_mut()
                .find(|(_, other)| self.bytes(*other) == self.bytes(index));
            let Some((_, chosen)) = same else {
                kept.push((hash, index));
                continue;
            };
            let (old, new) = (self.entries[*chosen as usize], self.entries[index as usize]);
            if old.local && !new.local {
                *chosen = index;
            } else if old.local && new.local && old.symbol.address != new.symbol.address {
                self.entries[*chosen as usize].ambiguous = true;
            }
        }
        kept
    }

    fn bytes(&self, entry: u32) -> &[u8] {
        let entry = &self.entries[entry as usize];
        &self.strings[entry.name as usize..][..entry.length as usize]
    }

    /// Looks a name up.
    #[must_use]
    pub fn lookup(&self, name: &str) -> Lookup {
        let hash = hash_bytes(name.as_bytes());
        let start = self.index.partition_point(|(other, _)| *other < hash);
        let same_hash = self.index[start..]
            .iter()
            .take_while(|(other, _)| *other == hash);
        for (_, index) in same_hash {
            if self.bytes(*index) == name.as_bytes() {
                let entry = &self.entries[*index as usize];
                return if entry.ambiguous {
                    Lookup::Ambiguous
                } else {
                    Lookup::Found(entry.symbol)
                };
            }
        }
        Lookup::Missing
    }

    /// The definition of a name, if there is one that is not ambiguous.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Symbol> {
        match self.lookup(name) {
            Lookup::Found(symbol) => Some(symbol),
            Lookup::Ambiguous | Lookup::Missing => None,
        }
    }

    /// Every name that resolves, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Symbol)> {
        self.index.iter().filter_map(|(_, index)| {
            let entry = &self.entries[*index as usize];
            let name = std::str::from_utf8(self.bytes(*index)).ok()?;
            (!entry.ambiguous).then_some((name, entry.symbol))
        })
    }
}

/// The definition a table entry makes; `None` for undefined, absolute, indirect, section and file symbols.
fn definition(elf: &Elf<'_>, raw: &elf::RawSymbol) -> Option<Symbol> {
    if raw.section == elf::SHN_UNDEF
        || matches!(
            raw.kind,
            elf::STT_SECTION | elf::STT_FILE | elf::STT_GNU_IFUNC
        )
    {
        return None;
    }
    let section = elf.sections.get(raw.section as usize)?;
    let kind = match raw.kind {
        elf::STT_TLS => Kind::Tls,
        elf::STT_FUNC => Kind::Function,
        _ if section.flags & elf::SHF_TLS != 0 => return None,
        elf::STT_NOTYPE if section.is_code() => Kind::Function,
        _ => Kind::Data,
    };
    Some(Symbol {
        address: raw.value,
        size: raw.size,
        kind,
    })
}

/// The thread-local segment of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsSegment {
    /// Size in memory.
    pub memsz: u64,
    /// Alignment, a power of two.
    pub align: u64,
}

/// The program of a session as it was linked.
#[derive(Debug, Clone, Default)]
pub struct BaseImage {
    /// The linker's build id; empty if there is none.
    pub build_id: Vec<u8>,
    /// Whether the loader may place it anywhere (PIE), so that addresses need the load address added.
    pub relocatable: bool,
    /// Its thread-locals.
    pub tls: Option<TlsSegment>,
    /// What it defines.
    pub symbols: SymbolTable,
    /// Where std keeps the libraries that backtraces know.
    pub library_list: Option<LibraryList>,
    /// Where its word for the function lies with which unwinding begins, if it calls that through one.
    pub raise: Option<u64>,
    /// Sonames of the libraries it is linked with, in order.
    pub needed: Vec<String>,
}

impl BaseImage {
    /// Reads a linked program.
    ///
    /// # Errors
    /// If the bytes are not a complete x86-64 ELF file.
    pub fn parse(data: &[u8]) -> Result<Self, ElfError> {
        let elf = Elf::parse(data)?;
        let symbols = SymbolTable::read(&elf, |_| true)?;
        Ok(BaseImage {
            build_id: build_id(&elf)?,
            relocatable: elf.is_relocated_by_the_loader(),
            tls: elf
                .tls_segment()?
                .map(|(memsz, align)| TlsSegment { memsz, align }),
            library_list: library_list::find(&elf, &symbols),
            symbols,
            raise: word_for(RAISE, data)?,
            needed: needed(&elf)?,
        })
    }

    /// The offset of a thread-local from the thread pointer (`%fs:0`); always negative.
    ///
    /// `None` if the program has no thread-locals.
    fn tls_offset(&self, value: u64) -> Option<i64> {
        let tls = self.tls?;
        Some(value as i64 - tls.memsz.next_multiple_of(tls.align.max(1)) as i64)
    }

    /// The offset from the thread pointer of the thread-local with this name.
    #[must_use]
    pub fn tls_offset_of(&self, name: &str) -> Option<i64> {
        let symbol = self.symbols.get(name)?;
        if symbol.kind == Kind::Tls {
            self.tls_offset(symbol.address)
        } else {
            None
        }
    }
}

/// With which unwinding begins, see the Itanium C++ ABI.
const RAISE: &str = "_Unwind_RaiseException";

/// Where the loader writes the address of a function of another library, for calls that go through that word.
fn word_for(function: &str, data: &[u8]) -> Result<Option<u64>, ElfError> {
    let file = ElfFile64::<object::LittleEndian>::parse(data)?;
    let names = file.dynamic_symbol_table();
    let mut words = file.dynamic_relocations().into_iter().flatten();
    let is_of_it = |target| match target {
        RelocationTarget::Symbol(index) => names
            .and_then(|names| names.symbol_by_index(index).ok())
            .is_some_and(|symbol| symbol.name() == Ok(function)),
        _ => false,
    };
    let found = words.find(|(_, relocation)| is_of_it(relocation.target()));
    Ok(found.map(|(word, _)| word))
}

/// A linked patch, read for what later patches may refer to.
#[derive(Debug, Clone, Default)]
pub struct PatchImage {
    /// What it defines. Thread-locals have no fixed offset: reach them by dynamic symbol.
    pub symbols: SymbolTable,
}

impl PatchImage {
    /// Reads a linked patch.
    ///
    /// # Errors
    /// If the bytes are not a complete x86-64 ELF file.
    pub fn parse(data: &[u8]) -> Result<Self, ElfError> {
        // Symbols without a type are the entries through which a patch reaches the program.
        let symbols = SymbolTable::read(&Elf::parse(data)?, |raw| raw.kind != elf::STT_NOTYPE)?;
        Ok(PatchImage { symbols })
    }
}

const SHT_DYNAMIC: u32 = object::elf::SHT_DYNAMIC.0;
const DT_NEEDED: u64 = object::elf::DT_NEEDED.0 as u64;

fn build_id(elf: &Elf<'_>) -> Result<Vec<u8>, ElfError> {
    let Some(section) = elf
        .sections
        .iter()
        .find(|section| section.name == ".note.gnu.build-id")
    else {
        return Ok(Vec::new());
    };
    let note = elf.bytes(section)?;
    let (name, id) = (
        elf::u32_at(note, 0).unwrap_or(0) as usize,
        elf::u32_at(note, 4).unwrap_or(0) as usize,
    );
    let start = 12 + name.next_multiple_of(4);
    Ok(note
        .get(start..)
        .and_then(|rest| rest.get(..id))
        .unwrap_or_default()
        .to_vec())
}

fn needed(elf: &Elf<'_>) -> Result<Vec<String>, ElfError> {
    let Some(section) = elf
        .sections
        .iter()
        .find(|section| section.kind == SHT_DYNAMIC)
    else {
        return Ok(Vec::new());
    };
    let strings = elf
        .sections
        .get(section.link as usize)
        .map_or(Ok(&[][..]), |strings| elf.bytes(strings))?;
    let (entries, _) = elf.bytes(section)?.as_chunks::<16>();
    let values = entries
        .iter()
        .filter(|entry| elf::u64_at(&entry[..], 0) == Some(DT_NEEDED));
    Ok(values
        .filter_map(|entry| elf::string_at(strings, elf::u64_at(entry, 8)? as usize))
        .map(str::to_owned)
        .collect())
}

/// Whether a program has values that survive a restart: entries of crates beside the agent's own, see
/// `hotpatch-rt/src/hook.rs`.
#[must_use]
pub fn keeps_values(data: &[u8]) -> bool {
    use object::{Object, ObjectSection};
    let size = object::File::parse(data)
        .ok()
        .and_then(|file| Some(file.section_by_name("hotpatch_keep")?.size()));
    size.is_some_and(|size| size > 8)
}

#[cfg(test)]
mod tests;
