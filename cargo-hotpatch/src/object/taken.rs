//! Functions of an unoptimised object whose addresses it takes, so that somebody may keep them, and not just call them.

use iced_x86::{Decoder, DecoderOptions, FlowControl, InstructionInfoFactory, Mnemonic, OpKind};

use crate::image::elf::{self, Elf, ElfError, RawSymbol, Relocation, Section, r};

/// The first of the functions that are meant which the object refers to otherwise than by calling it.
///
/// # Errors
/// This is no object, or a damaged one.
pub fn taken(object: &[u8], is_meant: impl Fn(&str) -> bool) -> Result<Option<String>, ElfError> {
    let elf = Elf::parse(object)?;
    let symbols = elf.symbols()?;
    for (index, section) in elf.relocation_sections() {
        let holder = &elf.sections[index];
        let is_table =
            holder.name.starts_with(".eh_frame") || holder.name.starts_with(".gcc_except_table");
        if !holder.is_loaded() || is_table {
            continue;
        }
        for relocation in elf.relocations(section)? {
            let Some(symbol) = symbols.get(relocation.symbol as usize) else {
                continue;
            };
            let name = match symbol.kind {
                elf::STT_SECTION => function_of(&elf, &symbol),
                _ => symbols.name(&symbol),
            };
            if is_meant(name) && !is_call(&elf, holder, &relocation) {
                return Ok(Some(name.to_owned()));
            }
        }
    }
    Ok(None)
}

/// The function that has this section to itself.
fn function_of<'data>(elf: &Elf<'data>, symbol: &RawSymbol) -> &'data str {
    let section = elf.sections.get(symbol.section as usize);
    let name = section.map_or("", |section| section.name);
    let name = name.strip_prefix(".text.").unwrap_or(name);
    name.strip_prefix("unlikely.").unwrap_or(name)
}

const CALL: u8 = 0xe8;
const JUMP: u8 = 0xe9;
/// `call` and `jmp` through a pointer relative to the next instruction.
const THROUGH_POINTER: [[u8; 2]; 2] = [[0xff, 0x15], [0xff, 0x25]];
/// Bytes of `mov pointer(%rip),%register` before the pointer.
const LOAD: u64 = 3;
/// How many instructions after a load its register is looked for.
const NEAR: usize = 8;

/// Whether a reference is a call's, or that of a jump at a function's end.
fn is_call(elf: &Elf<'_>, holder: &Section<'_>, relocation: &Relocation) -> bool {
    if !holder.is_code() {
        return false;
    }
    let from = |back: u64| -> Option<&[u8]> {
        let start = usize::try_from(relocation.place.checked_sub(back)?).ok()?;
        elf.bytes(holder).ok()?.get(start..)
    };
    let Some([first, second]) = from(2).and_then(<[u8]>::first_chunk::<2>) else {
        return false;
    };
    match relocation.kind {
        r::PLT32 | r::PC32 => matches!(*second, CALL | JUMP),
        r::GOTPCREL | r::GOTPCRELX | r::REX_GOTPCRELX => {
            THROUGH_POINTER.contains(&[*first, *second])
                || from(LOAD).is_some_and(is_loaded_for_a_call)
        }
        _ => false,
    }
}

/// Whether code begins with a load of a register that is called next.
fn is_loaded_for_a_call(code: &[u8]) -> bool {
    let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
    let load = decoder.decode();
    if load.mnemonic() != Mnemonic::Mov || load.op0_kind() != OpKind::Register {
        return false;
    }
    let register = load.op0_register();
    let mut info = InstructionInfoFactory::new();
    for next in decoder.iter().take(NEAR) {
        if next.mnemonic() == Mnemonic::Call && next.op0_register() == register {
            return true;
        }
        let mut used = info.info(&next).used_registers().iter();
        let says_it = used.any(|of| of.register().full_register() == register.full_register());
        if says_it || next.flow_control() != FlowControl::Next {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::taken;
    use crate::image::samples::Samples;

    #[test]
    fn calls_are_told_from_all_else() {
        let source = "
            pub struct Dropped(pub Vec<u8>);
            pub fn drops(it: Dropped) -> usize { let copy = Dropped(it.0.clone()); copy.0.len() + it.0.len() }
            pub fn called() -> u8 { 1 }
            pub fn kept() -> u8 { 2 }
            pub fn in_data() -> u8 { 3 }
            pub static TABLE: [fn() -> u8; 1] = [in_data];
            pub fn all() -> (u8, fn() -> u8) { (called(), kept) }
        ";
        let object = Samples::new().object(source, &["-Clink-dead-code", "-Copt-level=0"]);
        let drop = |symbol: &str| symbol.contains("13drop_in_place") && symbol.contains("7Dropped");
        assert_eq!(taken(&object, drop).unwrap(), None);
        let is_taken = |name: &str| {
            let spelled = format!("{}{name}", name.len());
            let found = taken(&object, |symbol| symbol.ends_with(&spelled));
            found.unwrap().is_some()
        };
        assert_eq!(
            ["called", "kept", "in_data", "all"].map(is_taken),
            [false, true, true, false]
        );
    }
}
