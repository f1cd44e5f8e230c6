//! What a function does, step by step, whichever way it comes to what it calls.
//!
//! A function that its own crate makes is called directly. Of one that another crate makes, such as an instance of generic
//! code, the address is loaded first, some instructions ahead, and called then. So an edit of one crate can give functions
//! of others another code that does the same.

use std::collections::{BTreeSet, HashMap};

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpKind,
};

use super::fingerprint::{Hashers, Reader};
use super::names::Names;
use crate::image::elf::{self, Elf, ElfError, Relocation, r};

/// A sum over the steps of a function: if it is the same for two of them, they do the same. Nothing if there is no such
/// function, or if it cannot be told. `crates` are those that edits can change.
///
/// # Errors
/// This is no object, or a damaged one.
pub fn steps(object: &[u8], symbol: &str, crates: &[String]) -> Result<Option<u128>, ElfError> {
    let elf = Elf::parse(object)?;
    let mut names = Names::default();
    names.set_crates(crates);
    let mut reader = Reader::new(&elf, &mut names, &|_| false)?;
    let mut all = reader.symbols.iter();
    let raw = all.find(|raw| {
        raw.section != elf::SHN_UNDEF && raw.value == 0 && reader.symbols.name(raw) == symbol
    });
    let Some((index, section)) = raw.and_then(|raw| {
        let index = raw.section as usize;
        Some((index, *elf.sections.get(index)?))
    }) else {
        return Ok(None);
    };
    let relocations = std::mem::take(&mut reader.relocations[index]);
    reader.open.push(index);
    let Some(code) = Function::read(elf.bytes(&section)?, &relocations) else {
        return Ok(None);
    };
    let mut hashers = Hashers::default();
    if !code.describe(&mut reader, &mut hashers)? {
        return Ok(None);
    }
    let table = format!(".gcc_except_table.{symbol}");
    let mut sections = elf.sections.iter().enumerate();
    if let Some((index, table)) = sections.find(|(_, section)| section.name == table) {
        // Types that are caught: nothing that Rust says.
        if !reader.relocations[index].is_empty() {
            return Ok(None);
        }
        let Some(pads) = landing_pads(elf.bytes(table)?, &code) else {
            return Ok(None);
        };
        for pad in pads {
            hashers.both(&pad.to_le_bytes());
        }
    }
    Ok(Some(hashers.placeless.digest128()))
}

/// The code of a function, taken apart.
struct Function<'a> {
    bytes: &'a [u8],
    instructions: Vec<Instruction>,
    relocations: &'a [Relocation],
    /// Loads of addresses that are called later, and nothing else is done with.
    loads: BTreeSet<usize>,
    /// For calls of such an address what was loaded.
    loaded: HashMap<usize, Relocation>,
    /// The number of the step at an address, or of the next one.
    numbers: HashMap<u64, usize>,
}

fn is_indirect(kind: u32) -> bool {
    matches!(kind, r::GOTPCREL | r::GOTPCRELX | r::REX_GOTPCRELX)
}

impl<'a> Function<'a> {
    /// Nothing for what is no code.
    fn read(bytes: &'a [u8], relocations: &'a [Relocation]) -> Option<Self> {
        let decoder = Decoder::new(64, bytes, DecoderOptions::NONE);
        let instructions: Vec<Instruction> = decoder.into_iter().collect();
        if instructions.iter().any(Instruction::is_invalid) {
            return None;
        }
        let mut function = Self {
            bytes,
            instructions,
            relocations,
            loads: BTreeSet::new(),
            loaded: HashMap::new(),
            numbers: HashMap::new(),
        };
        function.find_loads();
        let mut number = 0;
        for (index, instruction) in function.instructions.iter().enumerate() {
            function.numbers.insert(instruction.ip(), number);
            number += usize::from(!function.loads.contains(&index));
        }
        function.numbers.insert(bytes.len() as u64, number);
        Some(function)
    }

    /// What an instruction refers to.
    fn references(
        &self,
        instruction: &Instruction,
    ) -> impl Iterator<Item = &'a Relocation> + use<'a> {
        let (start, end) = (instruction.ip(), instruction.next_ip());
        let relocations = self.relocations.iter();
        relocations.filter(move |of| (start..end).contains(&of.place))
    }

    fn find_loads(&mut self) {
        let targets: BTreeSet<u64> = self
            .instructions
            .iter()
            .filter(|of| is_branch(of))
            .map(Instruction::near_branch_target)
            .collect();
        let mut uses = InstructionInfoFactory::new();
        for (index, load) in self.instructions.iter().enumerate() {
            let mut references = self.references(load);
            let Some(reference) = references.next().filter(|of| is_indirect(of.kind)) else {
                continue;
            };
            if load.code() != Code::Mov_r64_rm64 {
                continue;
            }
            let register = load.op0_register();
            for (later, next) in self.instructions.iter().enumerate().skip(index + 1) {
                if targets.contains(&next.ip()) {
                    break;
                }
                let is_call = next.code() == Code::Call_rm64
                    && next.op0_kind() == OpKind::Register
                    && next.op0_register() == register;
                if is_call {
                    self.loads.insert(index);
                    self.loaded.insert(later, *reference);
                    break;
                }
                let used = uses.info(next).used_registers();
                let mut used = used.iter().map(|of| of.register().full_register());
                if next.flow_control() != FlowControl::Next || used.any(|of| of == register) {
                    break;
                }
            }
        }
    }

    /// Takes in the steps; not if there is one that cannot be told.
    fn describe(
        &self,
        reader: &mut Reader<'_, '_>,
        hashers: &mut Hashers,
    ) -> Result<bool, ElfError> {
        let mut references = Vec::new();
        for (index, instruction) in self.instructions.iter().enumerate() {
            if self.loads.contains(&index) {
                continue;
            }
            let own: Vec<Relocation> = self.references(instruction).copied().collect();
            let called = self.loaded.get(&index).or(own.first());
            let is_call = matches!(instruction.code(), Code::Call_rm64 | Code::Call_rel32_64);
            let is_called = called.is_some_and(|of| {
                instruction.code() == Code::Call_rel32_64 || is_indirect(of.kind)
            });
            if let Some(called) = called.filter(|_| is_call && is_called) {
                hashers.both(b"call");
                let target = Relocation {
                    place: 0,
                    kind: r::PLT32,
                    ..*called
                };
                reader.target(&target, hashers, &mut references)?;
                continue;
            }
            if is_branch(instruction) && own.is_empty() {
                let Some(to) = self.numbers.get(&instruction.near_branch_target()) else {
                    return Ok(false);
                };
                hashers.both(format!("{:?}", instruction.mnemonic()).as_bytes());
                hashers.both(&to.to_le_bytes());
                continue;
            }
            let start = instruction.ip();
            let range = usize::try_from(start)
                .ok()
                .zip(usize::try_from(instruction.next_ip()).ok());
            let Some(bytes) = range.and_then(|(start, end)| self.bytes.get(start..end)) else {
                return Ok(false);
            };
            hashers.both(bytes);
            for reference in &own {
                let target = Relocation {
                    place: reference.place - start,
                    ..*reference
                };
                reader.target(&target, hashers, &mut references)?;
            }
        }
        Ok(true)
    }
}

/// Whether an instruction goes on at an address that it says.
fn is_branch(instruction: &Instruction) -> bool {
    let flow = instruction.flow_control();
    matches!(
        flow,
        FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch
    ) && instruction.op0_kind() == OpKind::NearBranch64
}

/// The steps at which a function unwinds and where it goes on then, from its table of exceptions; nothing if that is of a
/// kind that is not known.
fn landing_pads(table: &[u8], code: &Function<'_>) -> Option<Vec<u64>> {
    const NONE: u8 = 0xff;
    const VARIABLE: u8 = 1;
    let mut rest = table;
    // Where it begins to count: at the function, if it does not say.
    if byte(&mut rest)? != NONE {
        return None;
    }
    // What is caught stands behind all else. It is filled in by relocations but for what catches all.
    if byte(&mut rest)? != NONE {
        number(&mut rest)?;
    }
    if byte(&mut rest)? != VARIABLE {
        return None;
    }
    let length = usize::try_from(number(&mut rest)?).ok()?;
    let (mut sites, actions) = rest.split_at_checked(length)?;
    let step = |at: u64| Some(*code.numbers.get(&at)? as u64);
    let mut found = Vec::new();
    while !sites.is_empty() {
        let (start, covered) = (number(&mut sites)?, number(&mut sites)?);
        let (pad, action) = (number(&mut sites)?, number(&mut sites)?);
        found.extend([step(start)?, step(start + covered)?, step(pad)?, action]);
    }
    // How many zeros fill it up depends on what is before.
    let end = actions.iter().rposition(|byte| *byte != 0);
    let actions = &actions[..end.map_or(0, |end| end + 1)];
    found.extend(actions.iter().map(|byte| u64::from(*byte)));
    Some(found)
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, others) = rest.split_first()?;
    *rest = others;
    Some(*first)
}

/// A number in groups of seven bits, the lowest first.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let next = byte(rest)?;
        value |= u64::from(next & 0x7f) << shift;
        if next & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::steps;
    use crate::image::samples::Samples;
    use crate::object::fingerprint::definitions;
    use crate::object::names::Names;

    /// A function that calls another one twice, with a landing pad for the first call. `load` stands before an argument is
    /// set, `call` after it.
    fn source(load: &str, call: &str, changed: (&str, &str)) -> String {
        let text = format!(
            "
            .section .text.caller,\"ax\",@progbits
            .globl caller
            .type caller,@function
            caller:
                pushq %rbx
            .Lbegin:
                {load}
                movl $7, %edi
                {call}
            .Lend:
                cmpl $3, %eax
                jg .Lmore
                popq %rbx
                retq
            .Lmore:
                {load}
                leaq .Ltext(%rip), %rdi
                {call}
                popq %rbx
                retq
            .Lpad:
                movq %rax, %rdi
                callq _Unwind_Resume@PLT
            .Lfunc_end:
            .size caller, .-caller
            .section .gcc_except_table.caller,\"a\",@progbits
                .byte 255, 155
                .uleb128 .Ltypes-.Lsites_at
            .Lsites_at:
                .byte 1
                .uleb128 .Lsites_end-.Lsites
            .Lsites:
                .uleb128 .Lbegin-caller
                .uleb128 .Lend-.Lbegin
                .uleb128 .Lpad-caller
                .byte 0
                .uleb128 .Lend-caller
                .uleb128 .Lfunc_end-.Lend
                .byte 0, 0
            .Lsites_end:
                .byte 127, 0
                .p2align 2
                .long 0
            .Ltypes:
            .section .rodata.text,\"a\",@progbits
            .Ltext: .asciz \"text\"
            .text"
        );
        let (from, to) = changed;
        assert!(text.contains(from));
        let text = text.replace(from, to);
        format!("std::arch::global_asm!({text:?}, options(att_syntax));")
    }

    fn object(source: &str) -> Vec<u8> {
        Samples::new().object(source, &["-Copt-level=0"])
    }

    fn of(source: &str) -> Option<u128> {
        steps(&object(source), "caller", &["app".to_owned()]).unwrap()
    }

    fn fingerprint(source: &str) -> u128 {
        let mut names = Names::default();
        let found = definitions(&object(source), &mut names, &|_| false).unwrap();
        let caller = names.get("caller").unwrap();
        let found = found.iter().find(|of| of.name == caller);
        found.unwrap().exact
    }

    #[test]
    fn how_it_comes_to_what_it_calls_does_not_matter() {
        const LOAD: &str = "movq other@GOTPCREL(%rip), %rax";
        let direct = |changed| source("", "callq other@PLT", changed);
        let unchanged = ("caller", "caller");
        let known = of(&direct(unchanged)).unwrap();
        for (load, call) in [(LOAD, "callq *%rax"), ("", "callq *other@GOTPCREL(%rip)")] {
            let indirect = source(load, call, unchanged);
            assert_eq!(of(&indirect), Some(known), "{call}");
            assert_ne!(fingerprint(&indirect), fingerprint(&direct(unchanged)));
        }
        // What is loaded may be used for something else as well.
        let kept = source(LOAD, "movq %rax, %rbx\ncallq *%rax", unchanged);
        assert_ne!(of(&kept), Some(known));
        for changed in [
            ("cmpl $3", "cmpl $4"),
            ("movl $7", "movl $8"),
            ("other@PLT", "another@PLT"),
            ("jg .Lmore", "jl .Lmore"),
            ("jg .Lmore", "jg .Lpad"),
            (".uleb128 .Lpad-caller", ".uleb128 .Lmore-caller"),
            (".uleb128 .Lend-.Lbegin", ".uleb128 .Lmore-.Lbegin"),
            (".byte 127, 0", ".byte 125, 0"),
            ("asciz \"text\"", "asciz \"test\""),
        ] {
            let edited = of(&direct(changed));
            assert!(edited.is_some_and(|of| of != known), "{changed:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_told() {
        assert_eq!(of("pub fn another() {}"), None);
    }
}
