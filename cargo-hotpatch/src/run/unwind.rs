//! Walks the stack of a thread that stands still, by the tables that panics unwind with.
//!
//! The tables are read from the process itself and not from its files: a file may have been replaced since by the
//! next build, and the kernel's own library has none. **Invariant:** a walk that is called exact used tables alone, or
//! what follows from the code where a register is not known; one that may have missed a frame says so.

use std::sync::Arc;

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EhFrameOffset, EndianSlice, EvaluationResult,
    FrameDescriptionEntry, LittleEndian, Register, RegisterRule, UnwindContext, UnwindExpression,
    UnwindSection, Value, X86_64,
};
use object::LittleEndian as LE;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};

use super::code::frame_size;
use super::memory::{Maps, Memory};
use super::scan::{follows_a_call, scan};

/// Deeper stacks are those of endless recursion.
const FRAMES_MAX: usize = 1 << 20;
/// The largest section that is read.
const SECTION_MAX: u64 = 1 << 28;
/// Where the program headers of a file end at the latest.
const HEADERS: u64 = 4096;

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type Function<'a> = FrameDescriptionEntry<Slice<'a>>;

/// The registers by their DWARF numbers, the sixteenth the place in the code; `None` where one is not known.
pub(super) type Registers = [Option<u64>; 17];

const RBP: usize = 6;
const RSP: usize = 7;
pub(super) const PC: usize = 16;
/// What a function gives back as it was: rbx, rbp, r12 to r15.
const KEPT: [usize; 6] = [3, RBP, 12, 13, 14, 15];

/// The registers of which only these two are known.
pub(super) fn registers(stack: u64, code: u64) -> Registers {
    let mut registers = Registers::default();
    (registers[RSP], registers[PC]) = (Some(stack), Some(code));
    registers
}

/// The unwinding tables of one file: addresses as the file has them.
#[derive(Debug)]
pub(super) struct Tables {
    section: Vec<u8>,
    bases: BaseAddresses,
    /// Start and end of each function and where its entry is, sorted.
    index: Vec<(u64, u64, usize)>,
}

impl Tables {
    /// Reads the section from the process, and everything else only if it is not that of `known`.
    fn read(
        memory: &Memory<'_>,
        maps: &Maps,
        bias: u64,
        header: u64,
        known: Option<&Arc<Self>>,
    ) -> Option<Arc<Self>> {
        let bytes = memory.bytes(bias.wrapping_add(header), 64);
        let bases = BaseAddresses::default().set_eh_frame_hdr(header);
        let parsed = EhFrameHdr::new(&bytes, LittleEndian)
            .parse(&bases, 8)
            .ok()?;
        let address = parsed.eh_frame_ptr().direct().ok()?;
        let start = bias.wrapping_add(address);
        let length = maps.at(start)?.end - start;
        let section = memory.large(start, length.min(SECTION_MAX))?;
        let bases = bases.set_eh_frame(address);
        if let Some(known) = known.filter(|known| known.section == section && known.bases == bases)
        {
            return Some(Arc::clone(known));
        }
        let mut index = Vec::new();
        let frames = EhFrame::new(&section, LittleEndian);
        let mut entries = frames.entries(&bases);
        // Behind the section other things may follow that are no entries.
        while let Ok(Some(entry)) = entries.next() {
            let gimli::CieOrFde::Fde(entry) = entry else {
                continue;
            };
            if let Ok(function) = entry.parse(EhFrame::cie_from_offset) {
                let at = function.offset();
                index.push((function.initial_address(), function.end_address(), at));
            }
        }
        index.sort_unstable();
        Some(Arc::new(Self {
            section,
            bases,
            index,
        }))
    }

    fn function(&self, address: u64) -> Option<Function<'_>> {
        let after = self.index.partition_point(|(start, ..)| *start <= address);
        let (_, end, at) = *self.index.get(after.checked_sub(1)?)?;
        let frames = EhFrame::new(&self.section, LittleEndian);
        let parse =
            || frames.fde_from_offset(&self.bases, EhFrameOffset(at), EhFrame::cie_from_offset);
        (address < end).then(parse)?.ok()
    }
}

/// One file in the process with code.
#[derive(Debug)]
pub(super) struct Image {
    start: u64,
    end: u64,
    bias: u64,
    pub(super) file: String,
    pub(super) tables: Arc<Tables>,
}

/// The files with code in a process; those whose tables cannot be found are left out. `known` gives the tables that
/// were found for a file before.
pub(super) fn images<'a>(
    memory: &Memory<'_>,
    maps: &Maps,
    known: impl Fn(&str) -> Option<&'a Arc<Tables>>,
) -> Vec<Image> {
    let mut images: Vec<Image> = Vec::new();
    for (index, mapping) in maps.0.iter().enumerate() {
        if !mapping.is_executable || !mapping.is_of_a_file() {
            continue;
        }
        // The loader maps a file from its start on, all of its parts in order.
        let first = maps.0[..=index]
            .iter()
            .rev()
            .find(|first| first.offset == 0 && first.file == mapping.file);
        let Some(first) = first.filter(|first| first.is_readable) else {
            continue;
        };
        let found = headers(memory, first.start).and_then(|(bias, header)| {
            let tables = Tables::read(memory, maps, bias, header, known(&mapping.file))?;
            Some((bias, tables))
        });
        if let Some((bias, tables)) = found {
            images.push(Image {
                start: mapping.start,
                end: mapping.end,
                bias,
                file: mapping.file.clone(),
                tables,
            });
        }
    }
    images
}

/// How far the file that starts here was moved, and where in it the header of the tables is.
fn headers(memory: &Memory<'_>, start: u64) -> Option<(u64, u64)> {
    let bytes = memory.large(start, HEADERS)?;
    let header = FileHeader64::<LE>::parse(&*bytes).ok()?;
    let segments = header.program_headers(LE, &*bytes).ok()?;
    let find = |kind| move |segment: &&elf::ProgramHeader64<LE>| segment.p_type(LE) == kind;
    let first = segments
        .iter()
        .filter(find(elf::PT_LOAD))
        .find(|load| load.p_offset(LE) < HEADERS)?;
    let tables = segments.iter().find(find(elf::PT_GNU_EH_FRAME))?;
    let moved = start.wrapping_sub(first.p_vaddr(LE) - first.p_offset(LE));
    Some((moved, tables.p_vaddr(LE)))
}

/// How well the frames of a stack are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// All of them, by the unwinding tables.
    Exact,
    /// All of them. Some were found by a search and may have returned already.
    Searched,
    /// Some or all may be missing.
    Partial,
}

/// Walks stacks of one process.
pub(super) struct Walker<'a> {
    pub(super) memory: &'a Memory<'a>,
    pub(super) maps: &'a Maps,
    pub(super) images: &'a [Image],
}

/// What an address in the code is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The next instruction: the thread stands there.
    Place,
    /// Where a call returns to, which may be behind the function's last instruction.
    Return,
}

impl Walker<'_> {
    /// The place in the code and the return addresses of a thread, innermost first, and how well they are known.
    pub(super) fn walk(&self, mut registers: Registers) -> (Vec<u64>, Coverage) {
        let mut context = UnwindContext::new();
        let mut kind = Kind::Place;
        let mut frames: Vec<u64> = registers[PC].into_iter().collect();
        while frames.len() < FRAMES_MAX {
            match self.step(&registers, kind, &mut context) {
                Some((caller, next)) => {
                    // Nobody called the outermost function.
                    let Some(code) = caller[PC].filter(|code| *code != 0) else {
                        return (frames, Coverage::Exact);
                    };
                    if !self.maps.is_code(code) {
                        break;
                    }
                    frames.push(code);
                    (registers, kind) = (caller, next);
                }
                None => break,
            }
        }
        let searched =
            registers[RSP].is_some_and(|stack| scan(self.memory, self.maps, stack, &mut frames));
        let coverage = match searched {
            true => Coverage::Searched,
            false => Coverage::Partial,
        };
        (frames, coverage)
    }

    /// From a function to its caller, whose place in the code is not known if there is none; `None` if the tables do
    /// not tell.
    fn step(
        &self,
        registers: &Registers,
        kind: Kind,
        context: &mut UnwindContext<usize>,
    ) -> Option<(Registers, Kind)> {
        let code = registers[PC]?;
        let within = code - u64::from(kind == Kind::Return);
        let image = self
            .images
            .iter()
            .find(|image| (image.start..image.end).contains(&within))?;
        let tables = &image.tables;
        let address = within.wrapping_sub(image.bias);
        let function = tables.function(address)?;
        let section = EhFrame::new(&tables.section, LittleEndian);
        let row = function
            .unwind_info_for_address(&section, &tables.bases, context, address)
            .ok()?;
        let evaluate = |expression: &UnwindExpression<usize>, first| {
            self.evaluate(expression, &section, &function, registers, first)
        };
        let cfa = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                let value = *registers.get(usize::from(register.0))?;
                let known = value.map(|value| value.wrapping_add_signed(*offset));
                match known {
                    None if *register == X86_64::RBP && *offset == 16 => self.frame_by_code(
                        image.bias.wrapping_add(function.initial_address()),
                        within,
                        registers,
                    )?,
                    known => known?,
                }
            }
            CfaRule::Expression(expression) => evaluate(expression, None)?,
        };
        let value = |register: usize| -> Option<Option<u64>> {
            Some(match row.register(Register(register as u16)) {
                None | Some(RegisterRule::SameValue) => KEPT
                    .contains(&register)
                    .then_some(registers[register])
                    .flatten(),
                Some(RegisterRule::Undefined) => None,
                Some(RegisterRule::Offset(offset)) => {
                    Some(self.memory.word(cfa.wrapping_add_signed(offset))?)
                }
                Some(RegisterRule::ValOffset(offset)) => Some(cfa.wrapping_add_signed(offset)),
                Some(RegisterRule::Register(other)) => *registers.get(usize::from(other.0))?,
                Some(RegisterRule::Expression(expression)) => {
                    Some(self.memory.word(evaluate(&expression, Some(cfa))?)?)
                }
                Some(RegisterRule::ValExpression(expression)) => {
                    Some(evaluate(&expression, Some(cfa))?)
                }
                Some(_) => return None,
            })
        };
        let mut caller = Registers::default();
        for (register, restored) in caller.iter_mut().enumerate() {
            *restored = value(register)?;
        }
        if caller[PC].is_none() {
            return Some((caller, Kind::Place));
        }
        // An interrupted function's stack is where the kernel says, and any other's above this one's.
        if function.is_signal_trampoline() {
            return Some((caller, Kind::Place));
        }
        caller[RSP] = Some(cfa);
        (cfa > registers[RSP]?).then_some((caller, Kind::Return))
    }

    fn evaluate(
        &self,
        expression: &UnwindExpression<usize>,
        section: &EhFrame<Slice<'_>>,
        function: &Function<'_>,
        registers: &Registers,
        first: Option<u64>,
    ) -> Option<u64> {
        let expression = expression.get(section).ok()?;
        let mut evaluation = expression.evaluation(function.cie().encoding());
        if let Some(first) = first {
            evaluation.set_initial_value(first);
        }
        let mut result = evaluation.evaluate().ok()?;
        loop {
            result = match result {
                EvaluationResult::Complete => {
                    let pieces = evaluation.as_result();
                    return match pieces {
                        [
                            gimli::Piece {
                                location: gimli::Location::Address { address },
                                ..
                            },
                        ] => Some(*address),
                        _ => None,
                    };
                }
                EvaluationResult::RequiresMemory {
                    address,
                    size: 8,
                    space: None,
                    ..
                } => {
                    let word = self.memory.word(address)?;
                    evaluation.resume_with_memory(Value::Generic(word)).ok()?
                }
                EvaluationResult::RequiresRegister { register, .. } => {
                    let value = (*registers.get(usize::from(register.0))?)?;
                    evaluation
                        .resume_with_register(Value::Generic(value))
                        .ok()?
                }
                _ => return None,
            };
        }
    }

    /// The canonical frame address of a function that keeps it in rbp, where rbp is not known: the kernel does not
    /// tell it for a thread that waits, and not all functions of libc save it.
    ///
    /// How far the stack pointer is from it then follows from the function's first instructions. That the word there
    /// is a return address is checked.
    fn frame_by_code(&self, start: u64, within: u64, registers: &Registers) -> Option<u64> {
        let length = usize::try_from((within - start).min(256)).ok()?;
        let code = self.memory.bytes(start, length);
        let cfa = registers[RSP]?.checked_add(frame_size(&code)?)?;
        let code = self.memory.word(cfa - 8)?;
        let fits = follows_a_call(self.memory, self.maps, code);
        fits.then_some(cfa)
    }
}
