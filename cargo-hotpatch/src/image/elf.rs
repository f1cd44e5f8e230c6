//! A view of one little-endian ELF64 file: sections, symbols and relocations with their file offsets.
//!
//! The `object` crate reads the tables. What this adds is one place for the choice of class and machine, and the
//! offset of each relocation in the file, because patch objects are edited in place.

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, Rela64};
use object::read::SymbolIndex;
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym, SymbolTable};
use thiserror::Error;

/// Why bytes could not be read as an ELF file for x86-64.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElfError {
    /// The file is not 64-bit little-endian ELF for x86-64.
    #[error("not a 64-bit little-endian x86-64 ELF file")]
    WrongFormat,
    /// A table cannot be read.
    #[error("truncated or damaged ELF file")]
    Damaged(#[from] object::Error),
    /// A section or an entry of it points outside the file.
    #[error("truncated or damaged ELF file: {0} is out of bounds")]
    OutOfBounds(&'static str),
}

pub(crate) const SHT_NOBITS: u32 = elf::SHT_NOBITS.0;
pub(crate) const SHT_SYMTAB: u32 = elf::SHT_SYMTAB.0;
/// Bytes of an entry of a table of symbols.
pub(crate) const SYMBOL_SIZE: usize = size_of::<elf::Sym64<LE>>();
pub(crate) const SHT_RELA: u32 = elf::SHT_RELA.0;
pub(crate) const SHF_TLS: u64 = elf::SHF_TLS.0;
const SHF_ALLOC: u64 = elf::SHF_ALLOC.0;
const SHF_EXECINSTR: u64 = elf::SHF_EXECINSTR.0;
pub(crate) const SHN_UNDEF: u32 = elf::SHN_UNDEF.0 as u32;
pub(crate) const STB_LOCAL: u8 = elf::STB_LOCAL.0;
pub(crate) const STT_NOTYPE: u8 = elf::STT_NOTYPE.0;
pub(crate) const STT_FUNC: u8 = elf::STT_FUNC.0;
pub(crate) const STT_SECTION: u8 = elf::STT_SECTION.0;
pub(crate) const STT_FILE: u8 = elf::STT_FILE.0;
pub(crate) const STT_TLS: u8 = elf::STT_TLS.0;
pub(crate) const STT_GNU_IFUNC: u8 = elf::STT_GNU_IFUNC.0;

/// Relocation types of the x86-64 psABI.
pub(crate) mod r {
    use object::elf;

    pub(crate) const ABS64: u32 = elf::R_X86_64_64.0;
    pub(crate) const PC32: u32 = elf::R_X86_64_PC32.0;
    pub(crate) const PLT32: u32 = elf::R_X86_64_PLT32.0;
    pub(crate) const GOTPCREL: u32 = elf::R_X86_64_GOTPCREL.0;
    pub(crate) const DTPMOD64: u32 = elf::R_X86_64_DTPMOD64.0;
    pub(crate) const TLSGD: u32 = elf::R_X86_64_TLSGD.0;
    pub(crate) const TLSLD: u32 = elf::R_X86_64_TLSLD.0;
    pub(crate) const DTPOFF32: u32 = elf::R_X86_64_DTPOFF32.0;
    pub(crate) const GOTTPOFF: u32 = elf::R_X86_64_GOTTPOFF.0;
    pub(crate) const TPOFF32: u32 = elf::R_X86_64_TPOFF32.0;
    pub(crate) const GOTPC32_TLSDESC: u32 = elf::R_X86_64_GOTPC32_TLSDESC.0;
    pub(crate) const TLSDESC_CALL: u32 = elf::R_X86_64_TLSDESC_CALL.0;
    pub(crate) const TLSDESC: u32 = elf::R_X86_64_TLSDESC.0;
    pub(crate) const GOTPCRELX: u32 = elf::R_X86_64_GOTPCRELX.0;
    pub(crate) const REX_GOTPCRELX: u32 = elf::R_X86_64_REX_GOTPCRELX.0;
}

/// One section header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section<'data> {
    /// Its name.
    pub name: &'data str,
    /// `sh_type`.
    pub kind: u32,
    /// `sh_flags`.
    pub flags: u64,
    /// `sh_addr`: where it lies in the image; 0 in an object.
    pub address: u64,
    /// Where its bytes start in the file.
    pub offset: usize,
    /// Its size in memory.
    pub size: usize,
    /// `sh_addralign`.
    pub align: u64,
    /// `sh_link`.
    pub link: u32,
    /// `sh_info`.
    pub info: u32,
}

impl Section<'_> {
    /// Whether the section is part of the running image.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.flags & SHF_ALLOC != 0
    }

    /// Whether the section holds instructions.
    #[must_use]
    pub fn is_code(&self) -> bool {
        self.flags & SHF_EXECINSTR != 0
    }
}

/// One entry of a symbol table, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawSymbol {
    /// Offset of the name in the string table.
    pub name: u32,
    /// `STT_*`.
    pub kind: u8,
    /// `STB_*`.
    pub binding: u8,
    pub section: u32,
    /// `st_value`.
    pub value: u64,
    /// `st_size`.
    pub size: u64,
}

/// One entry of a `SHT_RELA` section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relocation {
    /// Where in the file the 24-byte entry is.
    pub file_offset: usize,
    /// The offset in the relocated section.
    pub place: u64,
    /// `R_X86_64_*`.
    pub kind: u32,
    /// Index in the symbol table.
    pub symbol: u32,
    /// `r_addend`.
    pub addend: i64,
}

/// The symbol table of a file with its strings.
#[derive(Debug, Clone, Copy)]
pub struct Symbols<'data> {
    table: SymbolTable<'data, FileHeader64<LE>>,
    strings: &'data [u8],
}

impl<'data> Symbols<'data> {
    /// Number of entries, the null symbol included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// The entry with this index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<RawSymbol> {
        let entry = self.table.symbols().get(index)?;
        let section = match entry.st_shndx(LE) {
            elf::SHN_XINDEX => self.table.shndx(LE, SymbolIndex(index))?,
            section => section.0.into(),
        };
        Some(RawSymbol {
            name: entry.st_name(LE),
            kind: entry.st_type().0,
            binding: entry.st_bind().0,
            section,
            value: entry.st_value(LE),
            size: entry.st_size(LE),
        })
    }

    /// All entries in order, the null symbol included.
    pub fn iter(&self) -> impl Iterator<Item = RawSymbol> + use<'data> {
        let this = *self;
        (0..this.len()).filter_map(move |index| this.get(index))
    }

    /// The name of an entry; empty if it has none or it is not UTF-8.
    #[must_use]
    pub fn name(&self, symbol: &RawSymbol) -> &'data str {
        let name = self.table.strings().get(symbol.name).unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }

    /// The whole string table.
    #[must_use]
    pub fn strings(&self) -> &'data [u8] {
        self.strings
    }
}

/// A parsed ELF file.
#[derive(Debug, Clone)]
pub struct Elf<'data> {
    /// The bytes it was parsed from.
    pub data: &'data [u8],
    /// All sections, the null section included.
    pub sections: Vec<Section<'data>>,
    header: &'data FileHeader64<LE>,
}

impl<'data> Elf<'data> {
    /// Reads the header and the section table.
    ///
    /// # Errors
    /// If this is not an x86-64 ELF file or its tables are out of bounds.
    pub fn parse(data: &'data [u8]) -> Result<Self, ElfError> {
        let header = FileHeader64::<LE>::parse(data).map_err(|_| ElfError::WrongFormat)?;
        if !header.is_little_endian() || header.e_machine(LE) != elf::EM_X86_64 {
            return Err(ElfError::WrongFormat);
        }
        let table = header.sections(LE, data)?;
        let section = |header| {
            let name = table.section_name(LE, header).unwrap_or_default();
            section_from(header, std::str::from_utf8(name).unwrap_or_default())
        };
        Ok(Elf {
            data,
            sections: table.iter().map(section).collect(),
            header,
        })
    }

    /// Whether the loader may place the file anywhere (a shared library or a position-independent program).
    #[must_use]
    pub fn is_relocated_by_the_loader(&self) -> bool {
        self.header.e_type(LE) == elf::ET_DYN
    }

    /// The bytes of a section in the file; none for `SHT_NOBITS`.
    ///
    /// # Errors
    /// If the section is out of bounds.
    pub fn bytes(&self, section: &Section<'data>) -> Result<&'data [u8], ElfError> {
        if section.kind == SHT_NOBITS {
            return Ok(&[]);
        }
        let end = section.offset.checked_add(section.size);
        let bytes = end.and_then(|end| self.data.get(section.offset..end));
        bytes.ok_or(ElfError::OutOfBounds("a section"))
    }

    /// `.symtab`; empty if the file is stripped.
    ///
    /// # Errors
    /// If the table is out of bounds.
    pub fn symbols(&self) -> Result<Symbols<'data>, ElfError> {
        self.symbols_in(elf::SHT_SYMTAB)
    }

    fn symbols_in(&self, kind: elf::SectionType) -> Result<Symbols<'data>, ElfError> {
        let table = self
            .header
            .sections(LE, self.data)?
            .symbols(LE, self.data, kind)?;
        let strings = self
            .sections
            .get(table.string_section().0)
            .filter(|_| !table.is_empty());
        Ok(Symbols {
            strings: strings.map_or(Ok(&[][..]), |section| self.bytes(section))?,
            table,
        })
    }

    /// Size in memory and alignment of the thread-local segment.
    ///
    /// # Errors
    /// If the program headers are out of bounds.
    pub fn tls_segment(&self) -> Result<Option<(u64, u64)>, ElfError> {
        let mut segments = self.header.program_headers(LE, self.data)?.iter();
        let segment = segments.find(|segment| segment.p_type(LE) == elf::PT_TLS);
        Ok(segment.map(|segment| (segment.p_memsz(LE), segment.p_align(LE))))
    }

    /// Every `SHT_RELA` section with the index of the section it relocates.
    pub fn relocation_sections(&self) -> impl Iterator<Item = (usize, &Section<'data>)> {
        self.sections
            .iter()
            .filter(|section| section.kind == SHT_RELA)
            .map(|section| (section.info as usize, section))
            .filter(|(target, _)| *target < self.sections.len())
    }

    /// The entries of one `SHT_RELA` section.
    ///
    /// # Errors
    /// If the section is out of bounds.
    pub fn relocations(
        &self,
        section: &Section<'data>,
    ) -> Result<impl Iterator<Item = Relocation> + use<'data>, ElfError> {
        let bytes = self.bytes(section)?;
        let count = bytes.len() / size_of::<Rela64<LE>>();
        let entries = object::pod::slice_from_bytes::<Rela64<LE>>(bytes, count);
        let (entries, _) = entries.map_err(|()| ElfError::OutOfBounds("a relocation"))?;
        let start = section.offset;
        Ok(entries
            .iter()
            .enumerate()
            .map(move |(index, entry)| Relocation {
                file_offset: start + index * size_of::<Rela64<LE>>(),
                place: entry.r_offset.get(LE),
                kind: entry.r_type(LE, false).0,
                symbol: entry.r_sym(LE, false),
                addend: entry.r_addend.get(LE),
            }))
    }
}

fn section_from<'data>(header: &elf::SectionHeader64<LE>, name: &'data str) -> Section<'data> {
    Section {
        name,
        kind: header.sh_type(LE).0,
        flags: header.sh_flags(LE).0,
        address: header.sh_addr(LE),
        offset: header.sh_offset(LE) as usize,
        size: header.sh_size(LE) as usize,
        align: header.sh_addralign(LE),
        link: header.sh_link(LE),
        info: header.sh_info(LE),
    }
}

/// Whether a relocation type belongs to a thread-local access.
pub(crate) fn is_tls_relocation(kind: u32) -> bool {
    matches!(kind, r::DTPMOD64..=r::TPOFF32 | r::GOTPC32_TLSDESC..=r::TLSDESC)
}

/// A relocation type as messages call it.
pub(crate) fn relocation_name(kind: u32) -> String {
    let name = match kind {
        r::PC32 => "R_X86_64_PC32",
        r::PLT32 => "R_X86_64_PLT32",
        r::TLSLD => "R_X86_64_TLSLD",
        r::DTPOFF32 => "R_X86_64_DTPOFF32",
        r::GOTTPOFF => "R_X86_64_GOTTPOFF",
        r::TPOFF32 => "R_X86_64_TPOFF32",
        r::GOTPC32_TLSDESC => "R_X86_64_GOTPC32_TLSDESC",
        r::TLSDESC_CALL => "R_X86_64_TLSDESC_CALL",
        _ => return format!("relocation type {kind}"),
    };
    name.to_owned()
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

/// The NUL-terminated string at an offset of a string table.
pub(crate) fn string_at(strings: &[u8], at: usize) -> Option<&str> {
    std::str::from_utf8(c_string_at(strings, at)?).ok()
}

/// The same as bytes.
pub(crate) fn c_string_at(strings: &[u8], at: usize) -> Option<&[u8]> {
    let rest = strings.get(at..)?;
    // `CStr` uses the platform's `strlen`, several times faster than a loop.
    std::ffi::CStr::from_bytes_until_nul(rest)
        .ok()
        .map(std::ffi::CStr::to_bytes)
}

#[cfg(test)]
mod tests {
    use super::{Elf, ElfError};

    #[test]
    fn damaged_files_are_errors_not_panics() {
        assert_eq!(Elf::parse(b"!<arch>\n").err(), Some(ElfError::WrongFormat));
        assert_eq!(Elf::parse(b"\x7fELF").err(), Some(ElfError::WrongFormat));
        let mut header = [0_u8; 64];
        header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        assert_eq!(Elf::parse(&header).err(), Some(ElfError::WrongFormat));
        header[18] = 62;
        assert!(Elf::parse(&header).is_ok_and(|elf| elf.sections.is_empty()));
        header[40] = 0xff;
        header[58] = 64;
        header[60] = 3;
        assert!(matches!(Elf::parse(&header), Err(ElfError::Damaged(_))));
    }
}
