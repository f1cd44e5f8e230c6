//! The object that is linked beside retargeted ones: cells, and a jump through each.
//!
//! A cell holds the address that calls go to; its jump is what stands for the function wherever its address is taken.
//! For a function that can be replaced the cell is its *slot* and the jump its *stub* (DESIGN.md). For a symbol that
//! lies elsewhere in the process the cell holds where that is, and nothing ever stores to it. Cells and jumps are two
//! arrays with elements of [`SIZE`] bytes, so that only the arrays need names.

use std::collections::BTreeMap;

use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionFlags, SectionKind,
    SymbolFlags, SymbolKind, SymbolScope,
};

use crate::image::elf::r;

/// Symbol of the array of cells.
pub const CELLS: &str = "__hotpatch_cells";
/// Symbol of the array of jumps.
pub const JUMPS: &str = "__hotpatch_jumps";
/// Bytes of a cell, and of a jump.
pub const SIZE: u64 = 8;
/// Where in the instruction of [`Content::ThreadOffset`] the distance of the number is, from the instruction's end.
pub const LOAD_OPERAND: u64 = 3;
/// What precedes the name of a definition whose own name is taken by its stub.
pub const RENAMED: &str = "hotpatch$";

/// What a cell holds at first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    /// The address of a symbol that is linked with it.
    Symbol(String),
    /// The jump of another cell: the address by which a function is known.
    Jump(u32),
    /// An address in the process.
    Address(u64),
    /// Nothing: in the jump's place is an instruction that loads how far from the thread pointer a thread-local is that
    /// is linked with it. Linkers put that number only where such an instruction finds it.
    ThreadOffset(String),
    /// Zero, until the code in the jump's place runs: it makes it one, and goes on with the jump behind it.
    Told,
}

/// The cells of one link.
#[derive(Debug, Default)]
pub struct Cells {
    contents: Vec<Content>,
    known: BTreeMap<Content, u32>,
    /// Plain names that stand for the jumps of cells.
    aliases: Vec<(String, u32)>,
    /// Symbols that are kept though nothing in the link refers to them.
    roots: Vec<String>,
    /// The symbol that is called before the program's `main`.
    starter: Option<String>,
}

impl Cells {
    /// The number of the cell with this content, made now if there is none.
    ///
    /// # Panics
    /// With more than 2^32 cells.
    pub fn cell(&mut self, content: Content) -> u32 {
        if let Some(known) = self.known.get(&content) {
            return *known;
        }
        let number = u32::try_from(self.contents.len()).expect("invariant: fewer than 2^32 cells");
        self.known.insert(content.clone(), number);
        self.contents.push(content);
        number
    }

    /// The number of a new cell that tells whether a function was called through it. Behind it is one that leads there.
    ///
    /// # Panics
    /// As [`Cells::cell`].
    pub fn teller(&mut self, function: &str) -> u32 {
        let number = u32::try_from(self.contents.len()).expect("invariant: fewer than 2^32 cells");
        let body = Content::Symbol(function.to_owned());
        self.contents.extend([Content::Told, body]);
        number
    }

    /// Lets a name that other objects refer to stand for a cell's jump.
    pub fn alias(&mut self, name: &str, cell: u32) {
        if !self.aliases.iter().any(|(known, _)| known == name) {
            self.aliases.push((name.to_owned(), cell));
        }
    }

    /// Keeps a symbol in the link.
    pub fn root(&mut self, name: &str) {
        self.roots.push(name.to_owned());
    }

    /// Has `main` call this function first. The program's own `main` must be called [`RENAMED`]`main`.
    pub fn start_with(&mut self, name: &str) {
        self.starter = Some(name.to_owned());
    }

    /// The object.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn object(&self) -> Result<Vec<u8>, object::write::Error> {
        let mut writer = Writer::new();
        writer.cells(&self.contents)?;
        for (name, cell) in &self.aliases {
            writer.define(
                name,
                writer.jumps,
                u64::from(*cell) * SIZE,
                SymbolScope::Dynamic,
            );
        }
        writer.roots(&self.roots)?;
        if let Some(starter) = &self.starter {
            writer.main(starter)?;
        }
        writer.object.write()
    }
}

struct Writer<'a> {
    object: Object<'a>,
    cells: SectionId,
    jumps: SectionId,
    undefined: BTreeMap<String, SymbolId>,
}

const SHF_WRITE: u64 = object::elf::SHF_WRITE.0;
const SHF_ALLOC: u64 = object::elf::SHF_ALLOC.0;
const SHF_EXECINSTR: u64 = object::elf::SHF_EXECINSTR.0;

impl Writer<'_> {
    fn new() -> Self {
        let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
        // Without this note GNU ld takes the object for one that needs an executable stack.
        object.add_section(Vec::new(), b".note.GNU-stack".to_vec(), SectionKind::Other);
        let cells = section(&mut object, ".data.hotpatch", SectionKind::Data, SHF_WRITE);
        // gdb steps through code in a section of this name as it does through calls into shared libraries.
        let jumps = section(&mut object, ".plt.sec", SectionKind::Text, SHF_EXECINSTR);
        Self {
            object,
            cells,
            jumps,
            undefined: BTreeMap::new(),
        }
    }

    fn cells(&mut self, contents: &[Content]) -> Result<(), object::write::Error> {
        let size = contents.len() as u64 * SIZE;
        let data: Vec<u8> = contents
            .iter()
            .flat_map(|content| match content {
                Content::Address(address) => address.to_le_bytes(),
                Content::Symbol(_)
                | Content::Jump(_)
                | Content::ThreadOffset(_)
                | Content::Told => [0; 8],
            })
            .collect();
        // `jmp *cell(%rip)` and a two-byte nop.
        let jump = [0xff, 0x25, 0, 0, 0, 0, 0x66, 0x90];
        // `mov offset(%rip),%rax` and a nop.
        let load = [0x48, 0x8b, 0x05, 0, 0, 0, 0, 0x90];
        // `movb $1,cell(%rip)` and a nop.
        let tell = [0xc6, 0x05, 0, 0, 0, 0, 1, 0x90];
        let code: Vec<u8> = contents
            .iter()
            .flat_map(|content| match content {
                Content::Told => tell,
                Content::ThreadOffset(_) => load,
                _ => jump,
            })
            .collect();
        self.object.append_section_data(self.cells, &data, SIZE);
        self.object.append_section_data(self.jumps, &code, 16);
        let cells = self.define(CELLS, self.cells, 0, SymbolScope::Linkage);
        let jumps = self.define(JUMPS, self.jumps, 0, SymbolScope::Linkage);
        for (index, content) in contents.iter().enumerate() {
            let at = index as u64 * SIZE;
            let (symbol, addend) = match content {
                Content::Symbol(name) => (self.undefined(name), 0),
                Content::Jump(cell) => (jumps, i64::from(*cell) * SIZE as i64),
                Content::ThreadOffset(name) => {
                    let symbol = self.undefined(name);
                    let place = at + LOAD_OPERAND;
                    self.relocate(self.jumps, place, symbol, -4, r::GOTTPOFF)?;
                    continue;
                }
                Content::Told => {
                    // The instruction ends with the byte that it stores.
                    self.relocate(self.jumps, at + 2, cells, at as i64 - 5, r::PC32)?;
                    continue;
                }
                Content::Address(_) => {
                    self.relocate(self.jumps, at + 2, cells, at as i64 - 4, r::PC32)?;
                    continue;
                }
            };
            self.relocate(self.cells, at, symbol, addend, r::ABS64)?;
            self.relocate(self.jumps, at + 2, cells, at as i64 - 4, r::PC32)?;
        }
        self.unwinding(jumps, size)
    }

    /// One entry says of all jumps that the return address is on top of the stack.
    fn unwinding(&mut self, jumps: SymbolId, size: u64) -> Result<(), object::write::Error> {
        let frames = section(&mut self.object, ".eh_frame", SectionKind::ReadOnlyData, 0);
        let mut data = Vec::new();
        // The common entry: version 1, "zR", alignments 1 and -8, return address in register 16, pointers relative to
        // their place in four bytes; the frame's address is register 7 plus 8, and the return address lies below it.
        data.extend(20_u32.to_le_bytes());
        data.extend(0_u32.to_le_bytes());
        data.extend([
            1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1, 0, 0,
        ]);
        let begin = data.len() as u64 + 8;
        data.extend(16_u32.to_le_bytes());
        data.extend((data.len() as u32).to_le_bytes());
        data.extend(0_u32.to_le_bytes());
        data.extend(u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
        data.extend([0; 4]);
        self.object.append_section_data(frames, &data, 8);
        self.relocate(frames, begin, jumps, 0, r::PC32)
    }

    /// Pointers to what must be kept.
    fn roots(&mut self, names: &[String]) -> Result<(), object::write::Error> {
        if names.is_empty() {
            return Ok(());
        }
        let roots = section(
            &mut self.object,
            ".data.hotpatch.roots",
            SectionKind::Data,
            SHF_WRITE,
        );
        self.object
            .append_section_data(roots, &vec![0; names.len() * 8], 8);
        self.define(ROOTS, roots, 0, SymbolScope::Linkage);
        for (index, name) in names.iter().enumerate() {
            let symbol = self.undefined(name);
            self.relocate(roots, index as u64 * 8, symbol, 0, r::ABS64)?;
        }
        Ok(())
    }

    /// `main`: saves its three arguments, calls the starter with the places of the first two, and goes on to the program's own
    /// with what is there then.
    fn main(&mut self, starter: &str) -> Result<(), object::write::Error> {
        let text = section(
            &mut self.object,
            ".text.hotpatch.main",
            SectionKind::Text,
            SHF_EXECINSTR,
        );
        let code = [
            0x57, 0x56, 0x52, // push %rdi, %rsi, %rdx
            0x48, 0x8d, 0x7c, 0x24, 0x10, // lea 16(%rsp), %rdi
            0x48, 0x8d, 0x74, 0x24, 0x08, // lea 8(%rsp), %rsi
            0xe8, 0, 0, 0, 0, // call
            0x5a, 0x5e, 0x5f, // pop %rdx, %rsi, %rdi
            0xe9, 0, 0, 0, 0, // jmp
        ];
        self.object.append_section_data(text, &code, 16);
        self.define("main", text, 0, SymbolScope::Dynamic);
        let starter = self.undefined(starter);
        let main = self.undefined(&format!("{RENAMED}main"));
        self.relocate(text, 14, starter, -4, r::PLT32)?;
        self.relocate(text, 22, main, -4, r::PLT32)
    }

    fn define(&mut self, name: &str, section: SectionId, at: u64, scope: SymbolScope) -> SymbolId {
        let kind = if section == self.cells {
            SymbolKind::Data
        } else {
            SymbolKind::Text
        };
        self.object.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value: at,
            size: 0,
            kind,
            scope,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        })
    }

    fn undefined(&mut self, name: &str) -> SymbolId {
        if let Some(known) = self.undefined.get(name) {
            return *known;
        }
        let symbol = self.object.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value: 0,
            size: 0,
            kind: SymbolKind::Unknown,
            scope: SymbolScope::Unknown,
            weak: false,
            section: SymbolSection::Undefined,
            flags: SymbolFlags::None,
        });
        self.undefined.insert(name.to_owned(), symbol);
        symbol
    }

    fn relocate(
        &mut self,
        section: SectionId,
        offset: u64,
        symbol: SymbolId,
        addend: i64,
        kind: u32,
    ) -> Result<(), object::write::Error> {
        let relocation = Relocation {
            offset,
            symbol,
            addend,
            flags: RelocationFlags::Elf {
                r_type: object::elf::RelocationType(kind),
            },
        };
        self.object.add_relocation(section, relocation)
    }
}

/// Symbol of the pointers that keep functions in a patch.
pub const ROOTS: &str = "__hotpatch_roots";

fn section(object: &mut Object<'_>, name: &str, kind: SectionKind, flags: u64) -> SectionId {
    let id = object.add_section(Vec::new(), name.as_bytes().to_vec(), kind);
    object.section_mut(id).flags = SectionFlags::Elf {
        sh_type: object::elf::SHT_PROGBITS,
        sh_flags: object::elf::SectionFlags(SHF_ALLOC | flags),
    };
    id
}
