//! Points an object's references elsewhere: at slots and stubs, and at what is in the process already.
//!
//! Only relocations of a copy change, and here and there the opcode before one; names stay, and nothing in sections
//! moves. References from debug information and unwinding tables stay too: they are about the code beside them.

use thiserror::Error;

use super::cells::{CELLS, Cells, Content, JUMPS, RENAMED, SIZE};
use crate::image::elf::{self, Elf, ElfError, RawSymbol, Relocation, Section, r};

/// Where references to a symbol lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// To the function whose slot is this cell.
    Slot(u32),
    /// To what is at this address of the process, which may be far away.
    Address(u64),
    /// Where they led.
    Same,
}

/// Why an object could not be retargeted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RetargetError {
    /// Not an object, or a damaged one.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// A reference that cannot be led there.
    #[error("`{symbol}` is referred to by {relocation} in {section}, which cannot lead elsewhere")]
    Rigid {
        /// The symbol.
        symbol: String,
        /// The relocation's name.
        relocation: String,
        /// The section that refers to it.
        section: String,
    },
}

/// A reference that no linker can make, as its target is not linked with it: it is filled in after the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// The symbol that stands at the reference's place.
    pub symbol: String,
    /// What the four bytes there are to lead to, relative to their own place.
    pub value: u64,
}

/// The object with its references led to their targets; the cells that takes are added to `cells`.
///
/// References that neither a cell nor a jump can serve, as instructions that read a static have, become `fixes` where
/// those are wanted: they need the process's addresses to be near.
///
/// With `hide` no definition can be seen outside of the linked file, and one that nothing refers to can be left out.
///
/// `target` is asked once for each symbol that is not local. Definitions that `renames` picks get [`RENAMED`] before
/// their names, so that a stub can have the name.
///
/// # Errors
/// See [`RetargetError`].
pub fn retarget(
    object: &[u8],
    cells: &mut Cells,
    fixes: Option<&mut Vec<Fix>>,
    hide: bool,
    mut target: impl FnMut(&str, &RawSymbol) -> Target,
    renames: impl Fn(&str, &RawSymbol) -> bool,
) -> Result<Vec<u8>, RetargetError> {
    let elf = Elf::parse(object)?;
    let symbols = elf.symbols()?;
    let count = u32::try_from(symbols.len()).unwrap_or(u32::MAX);
    let is_named = |raw: &RawSymbol| raw.binding != elf::STB_LOCAL && raw.name != 0;
    let targets: Vec<Target> = symbols
        .iter()
        .map(|raw| match is_named(&raw) {
            true => target(symbols.name(&raw), &raw),
            false => Target::Same,
        })
        .collect();
    let mut edits = Edits {
        elf: &elf,
        cells,
        cells_symbol: count,
        jumps_symbol: count + 1,
        bytes: Vec::new(),
    };
    let mut fixes = fixes;
    let mut marks: Vec<Mark> = Vec::new();
    for (index, section) in elf.relocation_sections() {
        let holder = &elf.sections[index];
        if !holder.is_loaded() || holder.name.starts_with(".eh_frame") {
            continue;
        }
        for relocation in elf.relocations(section)? {
            let target = targets.get(relocation.symbol as usize);
            let target = *target.unwrap_or(&Target::Same);
            if target == Target::Same || elf::is_tls_relocation(relocation.kind) {
                continue;
            }
            if edits.lead(holder, &relocation, target).is_some() {
                continue;
            }
            if let (Target::Address(address), r::PC32) = (target, relocation.kind)
                && let Some(fixes) = &mut fixes
            {
                let symbol = format!("{FIX}{}", fixes.len());
                fixes.push(Fix {
                    symbol: symbol.clone(),
                    value: address.wrapping_add_signed(relocation.addend),
                });
                marks.push(Mark {
                    symbol,
                    section: index,
                    place: relocation.place,
                });
                edits.drop_relocation(&relocation);
                continue;
            }
            {
                let raw = symbols.get(relocation.symbol as usize);
                return Err(RetargetError::Rigid {
                    symbol: raw.map_or("", |raw| symbols.name(&raw)).to_owned(),
                    relocation: elf::relocation_name(relocation.kind),
                    section: holder.name.to_owned(),
                });
            }
        }
    }
    let changed = std::mem::take(&mut edits.bytes);
    let renamed: Vec<(usize, &str)> = symbols
        .iter()
        .enumerate()
        .filter(|(_, raw)| is_named(raw) && raw.section != elf::SHN_UNDEF)
        .filter(|(_, raw)| renames(symbols.name(raw), raw))
        .map(|(index, raw)| (index, symbols.name(&raw)))
        .collect();
    let defined = symbols
        .iter()
        .enumerate()
        .filter(|(_, raw)| hide && is_named(raw) && raw.section != elf::SHN_UNDEF);
    let hidden: Vec<usize> = defined.map(|(index, _)| index).collect();
    let added = Added {
        undefined: &[CELLS, JUMPS],
        marks: &marks,
        renamed: &renamed,
        hidden: &hidden,
    };
    let mut out = with_symbols(&elf, object, &added)?;
    for (at, bytes) in changed {
        out[at..at + bytes.len()].copy_from_slice(&bytes);
    }
    Ok(out)
}

/// What precedes the numbers of [`Fix::symbol`]s.
const FIX: &str = "__hotpatch_fix_";

/// A symbol to be defined at a place in a section.
struct Mark {
    symbol: String,
    section: usize,
    place: u64,
}

struct Edits<'a, 'data> {
    elf: &'a Elf<'data>,
    cells: &'a mut Cells,
    cells_symbol: u32,
    jumps_symbol: u32,
    bytes: Vec<(usize, Vec<u8>)>,
}

/// Opcodes before a reference relative to the next instruction.
const CALL_OR_JUMP_THROUGH: [[u8; 2]; 2] = [[0xff, 0x15], [0xff, 0x25]];
const MOV: u8 = 0x8b;
const LEA: u8 = 0x8d;

impl Edits<'_, '_> {
    /// Leads one reference to its target; `None` if that cannot be done.
    fn lead(&mut self, holder: &Section<'_>, relocation: &Relocation, to: Target) -> Option<()> {
        let through_got = matches!(
            relocation.kind,
            r::GOTPCREL | r::GOTPCRELX | r::REX_GOTPCRELX
        );
        // The address of the next instruction, or of an operand behind this one, is no part of the target.
        let offset = relocation.addend + 4;
        match (relocation.kind, to) {
            (_, Target::Same) => Some(()),
            (_, Target::Slot(cell)) if through_got => {
                let opcode = self.opcode(holder, relocation);
                if opcode.is_some_and(|(_, code)| CALL_OR_JUMP_THROUGH.contains(&code)) {
                    self.relative(relocation, self.cells_symbol, cell);
                } else if let Some((at, [MOV, operands])) = opcode
                    && operands & 0xc7 == 0x05
                {
                    self.bytes.push((at, vec![LEA]));
                    self.relative(relocation, self.jumps_symbol, cell);
                } else {
                    let pointer = self.cells.cell(Content::Jump(cell));
                    self.relative(relocation, self.cells_symbol, pointer);
                }
                Some(())
            }
            (_, Target::Address(address)) if through_got => {
                let pointer = self.cells.cell(Content::Address(address));
                self.relative(relocation, self.cells_symbol, pointer);
                Some(())
            }
            (r::PLT32 | r::PC32, Target::Slot(cell)) => {
                self.relative(relocation, self.jumps_symbol, cell);
                Some(())
            }
            (r::PLT32, Target::Address(address)) => {
                let cell = self.cells.cell(Content::Address(address));
                self.relative(relocation, self.jumps_symbol, cell);
                Some(())
            }
            (r::PC32, Target::Address(address)) if holder.is_code() => {
                let (at, code) = self.opcode(holder, relocation)?;
                match code {
                    [_, 0xe8 | 0xe9] if offset == 0 => {
                        let cell = self.cells.cell(Content::Address(address));
                        self.relative(relocation, self.jumps_symbol, cell);
                    }
                    [LEA, operands] if operands & 0xc7 == 0x05 => {
                        let address = address.wrapping_add_signed(offset);
                        let cell = self.cells.cell(Content::Address(address));
                        self.bytes.push((at, vec![MOV]));
                        self.reference(relocation, r::PC32, self.cells_symbol, cell, -4);
                    }
                    _ => return None,
                }
                Some(())
            }
            // Behind its beginning, a stub is not like the function.
            (r::ABS64, Target::Slot(cell)) if relocation.addend == 0 => {
                self.reference(relocation, r::ABS64, self.jumps_symbol, cell, 0);
                Some(())
            }
            (r::ABS64, Target::Address(address)) => {
                let place = usize::try_from(relocation.place).ok()?;
                let bytes = self.elf.bytes(holder).ok()?;
                bytes.get(place..place.checked_add(8)?)?;
                let value = address.wrapping_add_signed(relocation.addend);
                let at = holder.offset + place;
                self.bytes.push((at, value.to_le_bytes().to_vec()));
                self.drop_relocation(relocation);
                Some(())
            }
            _ => None,
        }
    }

    /// Makes it a relocation of type NONE.
    fn drop_relocation(&mut self, relocation: &Relocation) {
        self.bytes.push((relocation.file_offset + 8, vec![0; 16]));
    }

    /// The two bytes before a reference, and where in the file they are.
    fn opcode(&self, holder: &Section<'_>, relocation: &Relocation) -> Option<(usize, [u8; 2])> {
        let start = usize::try_from(relocation.place).ok()?.checked_sub(2)?;
        let bytes = self.elf.bytes(holder).ok()?;
        let code = *bytes.get(start..)?.first_chunk::<2>()?;
        Some((holder.offset + start, code))
    }

    fn relative(&mut self, relocation: &Relocation, array: u32, index: u32) {
        self.reference(relocation, r::PC32, array, index, relocation.addend);
    }

    fn reference(&mut self, at: &Relocation, kind: u32, array: u32, index: u32, addend: i64) {
        let addend = addend + i64::from(index) * SIZE as i64;
        let mut entry = Vec::with_capacity(16);
        entry.extend(kind.to_le_bytes());
        entry.extend(array.to_le_bytes());
        entry.extend(addend.to_le_bytes());
        self.bytes.push((at.file_offset + 8, entry));
    }
}

const SHT_SYMTAB_SHNDX: u32 = object::elf::SHT_SYMTAB_SHNDX.0;
/// Bytes of a section header, and where in it offset and size are.
const HEADER: usize = 64;
const HEADER_OFFSET: usize = 0x18;
/// `STB_GLOBAL`, `STT_NOTYPE`.
const GLOBAL: u8 = 0x10;
/// `STB_GLOBAL`, `STT_OBJECT`.
const GLOBAL_OBJECT: u8 = 0x11;
/// Where in a symbol its visibility is.
const OTHER: usize = 5;
/// `STV_HIDDEN`.
const HIDDEN: u8 = 2;

/// What changes in an object's table of symbols.
struct Added<'a> {
    /// New symbols that others define.
    undefined: &'a [&'a str],
    /// New symbols at places of the object.
    marks: &'a [Mark],
    /// Symbols that get other names.
    renamed: &'a [(usize, &'a str)],
    /// Symbols that nobody outside of the linked file is to see.
    hidden: &'a [usize],
}

/// The object with symbols added, renamed and hidden: its tables of symbols and of names move to
/// the end of the file.
fn with_symbols(elf: &Elf<'_>, object: &[u8], added: &Added<'_>) -> Result<Vec<u8>, RetargetError> {
    let Added {
        undefined,
        marks,
        renamed,
        hidden,
    } = added;
    let damaged = || RetargetError::Elf(ElfError::OutOfBounds("the table of symbols"));
    let table = elf.sections.iter().position(|s| s.kind == elf::SHT_SYMTAB);
    let table = table.ok_or_else(damaged)?;
    let strings = elf.sections[table].link as usize;
    let mut names = elf
        .bytes(elf.sections.get(strings).ok_or_else(damaged)?)?
        .to_vec();
    let mut entries = elf.bytes(&elf.sections[table])?.to_vec();
    let mut name = |text: &str| -> u32 {
        let at = u32::try_from(names.len()).unwrap_or_default();
        names.extend(text.as_bytes());
        names.push(0);
        at
    };
    for index in *hidden {
        let at = index * elf::SYMBOL_SIZE + OTHER;
        *entries.get_mut(at).ok_or_else(damaged)? |= HIDDEN;
    }
    for (index, old) in *renamed {
        let at = index * elf::SYMBOL_SIZE;
        let place = entries.get_mut(at..at + 4).ok_or_else(damaged)?;
        place.copy_from_slice(&name(&format!("{RENAMED}{old}")).to_le_bytes());
    }
    for text in *undefined {
        entries.extend(name(text).to_le_bytes());
        entries.extend([GLOBAL, 0]);
        entries.extend([0; 18]);
    }
    let mut places = Vec::new();
    for Mark {
        symbol,
        section,
        place,
    } in *marks
    {
        // A section with a large number stands in a table of its own.
        let short = u16::try_from(*section).ok().filter(|short| *short < 0xff00);
        entries.extend(name(symbol).to_le_bytes());
        entries.extend([GLOBAL_OBJECT, HIDDEN]);
        entries.extend(short.unwrap_or(0xffff).to_le_bytes());
        entries.extend(place.to_le_bytes());
        entries.extend([0; 8]);
        let long = u32::try_from(*section).unwrap_or_default();
        places.extend(if short.is_some() { 0 } else { long }.to_le_bytes());
    }
    let mut moved = vec![(table, entries), (strings, names)];
    let indices = elf.sections.iter().position(|s| s.kind == SHT_SYMTAB_SHNDX);
    if let Some(indices) = indices {
        let mut words = elf.bytes(&elf.sections[indices])?.to_vec();
        words.extend(vec![0; 4 * undefined.len()]);
        words.extend(places);
        moved.push((indices, words));
    }
    let headers = elf::u64_at(object, 0x28).and_then(|at| usize::try_from(at).ok());
    let headers = headers.ok_or_else(damaged)?;
    let mut out = object.to_vec();
    for (section, bytes) in moved {
        out.resize(out.len().next_multiple_of(8), 0);
        let header = headers + section * HEADER + HEADER_OFFSET;
        let place = [out.len() as u64, bytes.len() as u64].map(u64::to_le_bytes);
        let slot = out.get_mut(header..header + 16).ok_or_else(damaged)?;
        slot.copy_from_slice(&place.concat());
        out.extend(bytes);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{Fix, RetargetError, Target, retarget};
    use crate::image::elf::{self, Elf, r};
    use crate::image::samples::Samples;
    use crate::object::cells::{Cells, Content};

    const SOURCE: &str = r#"
        pub trait Shape { fn area(&self) -> u32; }
        pub struct Square(pub u32);
        impl Shape for Square { fn area(&self) -> u32 { self.0 * self.0 } }
        impl Drop for Square { fn drop(&mut self) {} }
        pub fn twice(x: u32) -> u32 { x * 2 }
        pub fn counted(x: u32) -> u32 { if x == 0 { 0 } else { counted(x - 1) + twice(x) } }
        pub static TABLE: [fn(u32) -> u32; 2] = [twice, counted];
        pub fn all() -> u32 {
            let shape: Box<dyn Shape> = Box::new(Square(3));
            let pointer: fn(u32) -> u32 = twice;
            shape.area() + pointer(1) + TABLE[1](2) + [1, 2].into_iter().map(counted).sum::<u32>()
        }
        std::arch::global_asm!(".section .text.probe,\"ax\"", "probe:", "cmpq target@GOTPCREL(%rip), %rax", "leaq target(%rip), %rdx",
            "jmp target@PLT", "movl value(%rip), %eax", "leaq value+4(%rip), %rax", options(att_syntax));
    "#;

    fn object(level: &str) -> Vec<u8> {
        Samples::new().object(SOURCE, &["-Clink-dead-code", level])
    }

    /// The names that loaded sections refer to.
    fn references(object: &[u8]) -> Vec<(String, u32, i64)> {
        let elf = Elf::parse(object).unwrap();
        let symbols = elf.symbols().unwrap();
        let mut found = Vec::new();
        for (index, section) in elf.relocation_sections() {
            let holder = &elf.sections[index];
            if holder.is_loaded() && !holder.name.starts_with(".eh_frame") {
                for relocation in elf.relocations(section).unwrap() {
                    let raw = symbols.get(relocation.symbol as usize).unwrap();
                    found.push((
                        symbols.name(&raw).to_owned(),
                        relocation.kind,
                        relocation.addend,
                    ));
                }
            }
        }
        found
    }

    #[test]
    fn every_reference_to_a_function_goes_through_its_slot() {
        for level in ["-Copt-level=0", "-Copt-level=3"] {
            let object = object(level);
            let mut cells = Cells::default();
            let is_own = |name: &str| name.contains("3app") || name == "target";
            let mut slots = Vec::new();
            let made = retarget(
                &object,
                &mut Cells::default(),
                None,
                false,
                |name, raw| {
                    let is_function = raw.kind == elf::STT_FUNC || name == "target";
                    if is_function && is_own(name) {
                        slots.push(name.to_owned());
                        Target::Slot(cells.cell(Content::Symbol(name.to_owned())))
                    } else {
                        Target::Same
                    }
                },
                |_, _| false,
            )
            .unwrap();
            assert!(
                references(&object)
                    .iter()
                    .any(|(name, ..)| slots.contains(name))
            );
            let left: Vec<_> = references(&made)
                .into_iter()
                .filter(|(name, ..)| slots.contains(name))
                .collect();
            assert_eq!(left, [], "{level}");
            assert!(!cells.object().unwrap().is_empty());
        }
    }

    #[test]
    fn what_is_far_is_reached_through_cells_and_what_is_near_filled_in() {
        let object = object("-Copt-level=0");
        let target = |name: &str, _: &_| match name {
            "value" => Target::Address(0x1000),
            _ => Target::Same,
        };
        let far = retarget(
            &object,
            &mut Cells::default(),
            None,
            true,
            target,
            |_, _| false,
        );
        let error = far.unwrap_err();
        assert!(
            matches!(&error, RetargetError::Rigid { symbol, .. } if symbol == "value"),
            "{error}"
        );
        let (mut cells, mut fixes) = (Cells::default(), Vec::new());
        let near = retarget(
            &object,
            &mut cells,
            Some(&mut fixes),
            true,
            target,
            |_, _| false,
        )
        .unwrap();
        let expected = Fix {
            symbol: "__hotpatch_fix_0".to_owned(),
            value: 0x1000 - 4,
        };
        assert_eq!(fixes, [expected]);
        // The other reference takes an address, which a cell can hold.
        assert_eq!(cells.cell(Content::Address(0x1004)), 0);
        let left = references(&near);
        assert!(left.iter().all(|(name, ..)| name != "value"));
        assert!(left.contains(&("__hotpatch_cells".to_owned(), r::PC32, -4)));
    }
}
