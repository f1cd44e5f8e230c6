//! Makes a patch object reach thread-locals of the base and of earlier patches, before it is linked.
//!
//! A patch is position-independent code and asks `__tls_get_addr` for a thread-local. Those of the program
//! itself are at a fixed offset from the thread pointer, so the 16 bytes of that call are overwritten in place
//! with two instructions that compute the address. Those that an earlier patch brought are in that patch's own
//! block, wherever a thread has it: the call goes to a function of that patch, which asks in its place. Nothing
//! moves, and unwinding tables and debug information stay true.
//!
//! A patch that was written for the purpose does not define the program's thread-locals, and those that it defines are
//! left alone ([`rewrite`]). An object as cargo compiles it defines them once more, and is made to use the program's
//! ([`rewrite_defined`]).

use super::local_dynamic;
use crate::image::elf::{self, Elf, ElfError, RawSymbol, Relocation, SYMBOL_SIZE, Section, r};
use crate::image::variable::variable;
use thiserror::Error;

/// Why an access to a thread-local of the base could not be rewritten.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// Not an object, or a damaged one.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// The compiler chose an access model that does not lead to where the thread-local is.
    #[error("thread-local `{}` is accessed through {relocation}, which cannot be bound", shown(.symbol))]
    UnsupportedModel {
        /// The thread-local.
        symbol: String,
        /// The relocation's name.
        relocation: String,
    },
    /// The instructions around a relocation are not the ones the ABI prescribes.
    #[error(
        "the access to thread-local `{}` at {section}+{offset:#x} is not the code the ABI prescribes",
        shown(.symbol)
    )]
    UnexpectedCode {
        /// The thread-local.
        symbol: String,
        /// The section of the access.
        section: String,
        /// The place of its relocation.
        offset: u64,
    },
    /// The offset from the thread pointer does not fit an instruction.
    #[error("thread-local `{}` is too far from the thread pointer ({offset})", shown(.symbol))]
    TooFar {
        /// The thread-local.
        symbol: String,
        /// Its offset.
        offset: i64,
    },
    /// Code takes the addresses of several thread-locals from one, and only some of them are in the program.
    #[error(
        "thread-locals `{}` and `{}` are reached together in {section}, but only the first is in the program",
        shown(.known),
        shown(.unknown)
    )]
    TakenTogether {
        /// The one in the program.
        known: String,
        /// The one that is not.
        unknown: String,
        /// The section with the code.
        section: String,
    },
}

/// What a reader calls the thread-local behind a symbol.
fn shown(symbol: &str) -> String {
    variable(symbol).map_or_else(
        || format!("{:#}", rustc_demangle::demangle(symbol)),
        |of| format!("{}::{}", of.owner, of.name),
    )
}

/// Where a thread-local is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// So far from the thread pointer, in the program's own block.
    Offset(i64),
    /// A function returns its address. Its symbol is that of the thread-local, to be bound like any other.
    Call,
    /// In this object, under a symbol that takes this one's place later.
    Here,
}

/// How many accesses were rewritten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// General-dynamic sequences.
    pub general_dynamic: usize,
    /// Initial-exec loads and additions.
    pub initial_exec: usize,
    /// General-dynamic sequences that now call a function.
    pub called: usize,
    /// Local-dynamic sequences.
    pub local_dynamic: usize,
    /// Offsets from the thread pointer that a linker would have filled in.
    pub local_exec: usize,
}

/// `mov %fs:0,%rax; lea OFFSET(%rax),%rax`, the offset in the last four bytes.
const LOCAL_EXEC: [u8; 12] = [0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x48, 0x8d, 0x80];
const LEA: [u8; 4] = [0x66, 0x48, 0x8d, 0x3d];
const CALL_DIRECT: [u8; 4] = [0x66, 0x66, 0x48, 0xe8];
const CALL_THROUGH_GOT: [u8; 4] = [0x66, 0x48, 0xff, 0x15];

/// `nopl 0(%rax,%rax)`, as long as the instruction it takes the place of.
const NOP: [u8; 8] = [0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0];

/// Rewrites every access to an undefined thread-local of which `resolve` knows where it is.
///
/// The object is changed only if everything could be rewritten.
///
/// # Errors
/// If the object is damaged, or accesses such a thread-local in another way.
pub fn rewrite(
    object: &mut [u8],
    resolve: impl Fn(&str) -> Option<Reach>,
) -> Result<Count, TlsError> {
    rewrite_all(object, false, &resolve)
}

/// As [`rewrite`], for an object that may define thread-locals which the program has too: all that `resolve` knows
/// are accessed where the program has them, whatever their binding.
///
/// Their definitions stay, and nothing refers to them any more. One that is [`Reach::Here`] is left alone.
///
/// # Errors
/// As [`rewrite`], and if code reaches one of the program's together with one that is only in the object. One that an
/// earlier patch brought ([`Reach::Call`]) must not be defined.
pub fn rewrite_defined(
    object: &mut [u8],
    resolve: impl Fn(&str) -> Option<Reach>,
) -> Result<Count, TlsError> {
    rewrite_all(object, true, &resolve)
}

fn rewrite_all(
    object: &mut [u8],
    defined_too: bool,
    resolve: &dyn Fn(&str) -> Option<Reach>,
) -> Result<Count, TlsError> {
    let mut edits = Edits::default();
    let elf = Elf::parse(object)?;
    let symbols = elf.symbols()?;
    let undefined = |raw: &RawSymbol| raw.section == elf::SHN_UNDEF && raw.name != 0;
    let meant = |raw: &RawSymbol| {
        undefined(raw) || (defined_too && raw.kind == elf::STT_TLS && raw.name != 0)
    };
    for (target, section) in elf.relocation_sections() {
        let relocations: Vec<Relocation> = elf.relocations(section)?.collect();
        let access = |symbol| Access {
            elf: &elf,
            section: &elf.sections[target],
            relocations: &relocations,
            symbol,
            defined_too,
        };
        // A relocation's thread-local and where that is, if both are known.
        let reach = |relocation: &Relocation| {
            let raw = symbols.get(relocation.symbol as usize).filter(meant)?;
            let symbol = symbols.name(&raw);
            Some((symbol, resolve(symbol)?, undefined(&raw)))
        };
        let in_blocks = defined_too && elf.sections[target].is_loaded();
        for relocation in relocations
            .iter()
            .filter(|relocation| elf::is_tls_relocation(relocation.kind))
            .filter(|relocation| !in_blocks || !local_dynamic::is_part(relocation.kind))
        {
            match reach(relocation) {
                None | Some((_, Reach::Here, false)) => {}
                Some((symbol, reach, undefined)) => {
                    access(symbol).rewrite(relocation, reach, undefined, &mut edits)?;
                }
            }
        }
        if in_blocks {
            let part = |relocation: &Relocation| {
                let raw = symbols.get(relocation.symbol as usize);
                let reach = reach(relocation).map(|(_, reach, _)| reach);
                (raw.map_or("", |raw| symbols.name(&raw)), reach)
            };
            local_dynamic::rewrite(&relocations, part, access, &symbols, &mut edits)?;
        }
    }
    // A function's symbol is not that of a thread-local, and linkers see to it.
    let table = elf.sections.iter().find(|s| s.kind == elf::SHT_SYMTAB);
    for (index, raw) in symbols.iter().enumerate().filter(|(_, raw)| undefined(raw)) {
        if raw.kind == elf::STT_TLS
            && resolve(symbols.name(&raw)) == Some(Reach::Call)
            && let Some(table) = table
        {
            let info = table.offset + index * SYMBOL_SIZE + 4;
            let info_byte = raw.binding << 4 | elf::STT_NOTYPE;
            edits.bytes.push((info, vec![info_byte]));
        }
    }
    let Edits { count, bytes } = edits;
    for (at, new) in bytes {
        object[at..at + new.len()].copy_from_slice(&new);
    }
    Ok(count)
}

/// Changes to apply once all of them are known; each place was found inside the file.
#[derive(Default)]
pub(super) struct Edits {
    pub(super) count: Count,
    pub(super) bytes: Vec<(usize, Vec<u8>)>,
}

impl Edits {
    pub(super) fn drop_relocation(&mut self, relocation: &Relocation) {
        // A relocation of type NONE and without a symbol.
        self.bytes.push((relocation.file_offset + 8, vec![0; 16]));
    }
}

/// What accesses to one thread-local in one section are rewritten with.
pub(super) struct Access<'a, 'data> {
    elf: &'a Elf<'data>,
    pub(super) section: &'a Section<'data>,
    pub(super) relocations: &'a [Relocation],
    symbol: &'a str,
    /// The object is one for a program, where offsets are constants to the linker.
    defined_too: bool,
}

impl Access<'_, '_> {
    fn rewrite(
        &self,
        relocation: &Relocation,
        reach: Reach,
        undefined: bool,
        edits: &mut Edits,
    ) -> Result<(), TlsError> {
        if !self.section.is_loaded() {
            // Debug information: the variable has no location then.
            edits.drop_relocation(relocation);
            return Ok(());
        }
        match (reach, relocation.kind) {
            (Reach::Offset(offset), r::TLSGD) => {
                self.general_dynamic(relocation, self.pc_relative(relocation, offset)?, edits)
            }
            (Reach::Offset(offset), r::GOTTPOFF) => {
                self.initial_exec(relocation, self.pc_relative(relocation, offset)?, edits)
            }
            (Reach::Offset(offset), r::TPOFF32) if self.defined_too => {
                self.constant(relocation, offset, edits)?;
                edits.count.local_exec += 1;
                Ok(())
            }
            (Reach::Call, r::TLSGD) if undefined => self.called(relocation, edits),
            // Any other model needs room that was shared out when the program started.
            (Reach::Here, r::TLSGD) => Ok(()),
            _ => Err(self.unsupported(relocation)),
        }
    }

    pub(super) fn unsupported(&self, relocation: &Relocation) -> TlsError {
        TlsError::UnsupportedModel {
            symbol: self.symbol.to_owned(),
            relocation: elf::relocation_name(relocation.kind),
        }
    }

    /// Fills in what a linker would for this relocation, were the thread-local so far from the thread pointer.
    pub(super) fn constant(
        &self,
        relocation: &Relocation,
        offset: i64,
        edits: &mut Edits,
    ) -> Result<(), TlsError> {
        let value = self.short(offset.saturating_add(relocation.addend))?;
        let (at, [_, _, _, _]) = self.code::<4>(relocation, 0)?;
        edits.bytes.push((at, value.to_vec()));
        edits.drop_relocation(relocation);
        Ok(())
    }

    fn short(&self, offset: i64) -> Result<[u8; 4], TlsError> {
        let short = i32::try_from(offset).map_err(|_| TlsError::TooFar {
            symbol: self.symbol.to_owned(),
            offset,
        })?;
        Ok(short.to_le_bytes())
    }

    /// The offset for an instruction that reached a table, by a relocation for the four bytes before its end.
    fn pc_relative(&self, relocation: &Relocation, offset: i64) -> Result<[u8; 4], TlsError> {
        if relocation.addend != -4 {
            return Err(self.unexpected(relocation));
        }
        self.short(offset)
    }

    fn general_dynamic(
        &self,
        relocation: &Relocation,
        offset: [u8; 4],
        edits: &mut Edits,
    ) -> Result<(), TlsError> {
        let (at, call) = self.sequence(relocation)?;
        let mut new = LOCAL_EXEC.to_vec();
        new.extend(offset);
        edits.bytes.push((at, new));
        edits.drop_relocation(relocation);
        edits.drop_relocation(call);
        edits.count.general_dynamic += 1;
        Ok(())
    }

    /// The call stays, and what it calls takes no argument.
    fn called(&self, relocation: &Relocation, edits: &mut Edits) -> Result<(), TlsError> {
        let (at, call) = self.sequence(relocation)?;
        edits.bytes.push((at, NOP.to_vec()));
        let symbol = relocation.symbol.to_le_bytes().to_vec();
        edits.bytes.push((call.file_offset + 12, symbol));
        edits.drop_relocation(relocation);
        edits.count.called += 1;
        Ok(())
    }

    /// Where in the file the 16 bytes are that ask for the address, and the relocation of the call in them.
    fn sequence(&self, relocation: &Relocation) -> Result<(usize, &Relocation), TlsError> {
        let (at, code) = self.code::<16>(relocation, 4)?;
        let call = self
            .relocations
            .iter()
            .find(|other| other.place == relocation.place + 8);
        let expected = match &code[8..12] {
            call if call == CALL_DIRECT => &[r::PLT32, r::PC32][..],
            call if call == CALL_THROUGH_GOT => &[r::GOTPCREL, r::GOTPCRELX, r::REX_GOTPCRELX][..],
            _ => &[],
        };
        let call = call.filter(|call| code[..4] == LEA && expected.contains(&call.kind));
        let call = call.ok_or_else(|| self.unexpected(relocation))?;
        Ok((at, call))
    }

    /// `mov symbol@gottpoff(%rip),%reg` becomes `mov $offset,%reg`, and `add` likewise.
    fn initial_exec(
        &self,
        relocation: &Relocation,
        offset: [u8; 4],
        edits: &mut Edits,
    ) -> Result<(), TlsError> {
        let (at, [rex, opcode, operands, ..]) = self.code::<7>(relocation, 3)?;
        let new_rex = match rex {
            0x48 => 0x48,
            0x4c => 0x49,
            _ => return Err(self.unexpected(relocation)),
        };
        let new_opcode = match opcode {
            0x8b => 0xc7,
            0x03 => 0x81,
            _ => return Err(self.unexpected(relocation)),
        };
        if operands & 0xc7 != 0x05 {
            return Err(self.unexpected(relocation));
        }
        let mut new = vec![new_rex, new_opcode, 0xc0 | (operands >> 3)];
        new.extend(offset);
        edits.bytes.push((at, new));
        edits.drop_relocation(relocation);
        edits.count.initial_exec += 1;
        Ok(())
    }

    /// The code that starts `before` bytes before a relocation's place, and where in the file it is.
    pub(super) fn code<const N: usize>(
        &self,
        relocation: &Relocation,
        before: u64,
    ) -> Result<(usize, [u8; N]), TlsError> {
        let bytes = self.elf.bytes(self.section)?;
        let start = relocation
            .place
            .checked_sub(before)
            .and_then(|start| usize::try_from(start).ok());
        let code = start.and_then(|start| Some((start, *bytes.get(start..)?.first_chunk::<N>()?)));
        let (start, code) = code.ok_or_else(|| self.unexpected(relocation))?;
        Ok((self.section.offset + start, code))
    }

    pub(super) fn unexpected(&self, relocation: &Relocation) -> TlsError {
        TlsError::UnexpectedCode {
            symbol: self.symbol.to_owned(),
            section: self.section.name.to_owned(),
            offset: relocation.place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, Reach, TlsError, rewrite, rewrite_defined};
    use crate::image::elf::{Elf, STT_NOTYPE, is_tls_relocation, r};
    use crate::image::samples::Samples;

    fn assemble(code: &str) -> Vec<u8> {
        let source = format!(
            "std::arch::global_asm!(r#\".section .text.probe,\\\"ax\\\",@progbits\n{code}\"#, options(att_syntax));"
        );
        Samples::new().object(&source.replace("\\\"", "\""), &[])
    }

    fn probe(object: &[u8]) -> Vec<u8> {
        let elf = Elf::parse(object).unwrap();
        let section = elf
            .sections
            .iter()
            .find(|section| section.name == ".text.probe")
            .unwrap();
        elf.bytes(section).unwrap().to_vec()
    }

    fn tls_relocations(object: &[u8]) -> usize {
        let elf = Elf::parse(object).unwrap();
        let entries = elf
            .relocation_sections()
            .flat_map(|(_, section)| elf.relocations(section).unwrap());
        entries
            .filter(|relocation| is_tls_relocation(relocation.kind))
            .count()
    }

    fn offset(name: &str) -> Option<Reach> {
        (name == "theirs").then_some(Reach::Offset(-0x1234))
    }

    const GENERAL_DYNAMIC: &str = "data16 leaq theirs@tlsgd(%rip), %rdi\n";

    #[test]
    fn both_general_dynamic_forms() {
        let expected = [
            0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x48, 0x8d, 0x80, 0xcc, 0xed, 0xff, 0xff,
            0xc3,
        ];
        for call in [
            "data16\ndata16\nrex64\ncallq __tls_get_addr@plt\n",
            "data16\nrex64\ncallq *__tls_get_addr@gotpcrel(%rip)\n",
        ] {
            let mut object = assemble(&format!("{GENERAL_DYNAMIC}{call}ret\n"));
            assert_eq!(tls_relocations(&object), 1);
            let count = rewrite(&mut object, offset).unwrap();
            assert_eq!(
                count,
                Count {
                    general_dynamic: 1,
                    ..Count::default()
                }
            );
            assert_eq!(probe(&object), expected);
            assert_eq!(tls_relocations(&object), 0);
        }
    }

    #[test]
    fn a_function_is_asked_in_place_of_the_loader() {
        for (call, bytes, kinds) in [
            (
                "data16\ndata16\nrex64\ncallq __tls_get_addr@plt\n",
                [0x66, 0x66, 0x48, 0xe8],
                &[r::PLT32][..],
            ),
            (
                "data16\nrex64\ncallq *__tls_get_addr@gotpcrel(%rip)\n",
                [0x66, 0x48, 0xff, 0x15],
                &[r::GOTPCREL, r::GOTPCRELX, r::REX_GOTPCRELX][..],
            ),
        ] {
            let mut object = assemble(&format!("{GENERAL_DYNAMIC}{call}ret\n"));
            let count = rewrite(&mut object, |_| Some(Reach::Call)).unwrap();
            assert_eq!(count.called, 1);
            assert_eq!(tls_relocations(&object), 0);
            let code = probe(&object);
            assert_eq!(code[..8], [0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0]);
            assert_eq!((&code[8..12], code[16]), (&bytes[..], 0xc3));
            let elf = Elf::parse(&object).unwrap();
            let symbols = elf.symbols().unwrap();
            let all: Vec<_> = elf
                .relocation_sections()
                .flat_map(|(_, section)| elf.relocations(section).unwrap())
                .filter_map(|found| Some((symbols.get(found.symbol as usize)?, found.kind)))
                .filter(|(raw, _)| symbols.name(raw) == "theirs")
                .collect();
            let [(raw, kind)] = &all[..] else {
                panic!("{all:?}")
            };
            assert!(kinds.contains(kind));
            assert_eq!(raw.kind, STT_NOTYPE);
        }
        let fixed = format!(
            "{GENERAL_DYNAMIC}data16\ndata16\nrex64\ncallq __tls_get_addr@plt\nmovq theirs@gottpoff(%rip), %rax\n"
        );
        for reach in [Reach::Call, Reach::Here] {
            let error = rewrite(&mut assemble(&fixed), |_| Some(reach)).unwrap_err();
            let text = "thread-local `theirs` is accessed through R_X86_64_GOTTPOFF, which cannot be bound";
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn initial_exec_forms() {
        let mut object = assemble(
            "movq theirs@gottpoff(%rip), %rax\nmovq theirs@gottpoff(%rip), %r12\naddq theirs@gottpoff(%rip), %rsi\n",
        );
        let count = rewrite(&mut object, offset).unwrap();
        assert_eq!(
            count,
            Count {
                initial_exec: 3,
                ..Count::default()
            }
        );
        let expected = [
            [0x48, 0xc7, 0xc0, 0xcc, 0xed, 0xff, 0xff],
            [0x49, 0xc7, 0xc4, 0xcc, 0xed, 0xff, 0xff],
            [0x48, 0x81, 0xc6, 0xcc, 0xed, 0xff, 0xff],
        ];
        assert_eq!(probe(&object), expected.concat());
        assert_eq!(tls_relocations(&object), 0);
    }

    #[test]
    fn what_cannot_be_rewritten_is_named_and_left_alone() {
        let refused = |code: &str| {
            let object = assemble(code);
            let mut changed = object.clone();
            let error = rewrite(&mut changed, offset).unwrap_err();
            assert_eq!(object, changed);
            error
        };
        let fixed = "movq %fs:0, %rax\nleaq theirs@tpoff(%rax), %rax\n";
        let expected = TlsError::UnsupportedModel {
            symbol: "theirs".to_owned(),
            relocation: "R_X86_64_TPOFF32".to_owned(),
        };
        assert_eq!(refused(fixed), expected);
        let split =
            format!("{GENERAL_DYNAMIC}nop\ndata16\ndata16\nrex64\ncallq __tls_get_addr@plt\n");
        assert!(matches!(
            refused(&split),
            TlsError::UnexpectedCode { offset: 4, .. }
        ));
        let other = "cmpq theirs@gottpoff(%rip), %rax\n";
        assert!(matches!(refused(other), TlsError::UnexpectedCode { .. }));
    }

    #[test]
    fn constants_of_a_program_are_filled_in() {
        let code =
            "movq %fs:0, %rax\nleaq theirs@tpoff+8(%rax), %rax\nmovl %fs:theirs@tpoff, %ecx\n";
        let mut object = assemble(code);
        let count = rewrite_defined(&mut object, offset).unwrap();
        assert_eq!((count.local_exec, tls_relocations(&object)), (2, 0));
        let code = probe(&object);
        assert_eq!(code[9..16], [0x48, 0x8d, 0x80, 0xd4, 0xed, 0xff, 0xff]);
        assert_eq!(code[16..], [0x64, 0x8b, 0x0c, 0x25, 0xcc, 0xed, 0xff, 0xff]);
    }

    /// Definitions as the compiler writes them: one of the program's and one that is only here.
    const DEFINED: &str = ".section .tbss,\"awT\",@nobits\n.hidden theirs\n.globl theirs\n.type theirs,@object\ntheirs: .zero 16\n.hidden mine\n.globl mine\n.type mine,@object\nmine: .zero 8\n";
    const START: [&str; 2] = [
        "@tlsld(%rip), %rdi\ncallq __tls_get_addr@plt\n",
        "@tlsld(%rip), %rdi\ncallq *__tls_get_addr@gotpcrel(%rip)\n",
    ];

    fn defined(code: &str) -> Vec<u8> {
        assemble(&format!("{code}{DEFINED}"))
    }

    #[test]
    fn the_start_of_the_block_becomes_the_thread_pointer() {
        for (start, nop) in START
            .iter()
            .zip([&[0x0f, 0x1f, 0][..], &[0x0f, 0x1f, 0x40, 0]])
        {
            let code = format!(
                "leaq theirs{start}leaq theirs@dtpoff(%rax), %rdi\nmovq %rax, %r12\ncmpb $7, theirs@dtpoff+8(%r12)\n"
            );
            let mut object = defined(&code);
            assert_eq!(rewrite(&mut object, offset).unwrap(), Count::default());
            let count = rewrite_defined(&mut object, offset).unwrap();
            let expected = Count {
                local_dynamic: 1,
                ..Count::default()
            };
            assert_eq!((count, tls_relocations(&object)), (expected, 0));
            let expected = [
                &[0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0][..],
                nop,
                &[0x48, 0x8d, 0xb8, 0xcc, 0xed, 0xff, 0xff],
                &[0x49, 0x89, 0xc4],
                &[0x41, 0x80, 0xbc, 0x24, 0xd4, 0xed, 0xff, 0xff, 7],
            ];
            assert_eq!(probe(&object), expected.concat());
            assert!(!calls_for_an_address(&object));
        }
    }

    fn calls_for_an_address(object: &[u8]) -> bool {
        let elf = Elf::parse(object).unwrap();
        let symbols = elf.symbols().unwrap();
        elf.relocation_sections()
            .flat_map(|(_, section)| elf.relocations(section).unwrap())
            .filter_map(|found| symbols.get(found.symbol as usize))
            .any(|raw| symbols.name(&raw) == "__tls_get_addr")
    }

    #[test]
    fn what_is_only_in_the_object_stays_beside_what_is_in_the_program() {
        for start in START {
            let pair = |name, register| {
                format!("leaq {name}{start}leaq {name}@dtpoff(%rax), %{register}\n")
            };
            let mut mine = defined(&pair("mine", "rdi"));
            let before = mine.clone();
            assert_eq!(
                rewrite_defined(&mut mine, offset).unwrap(),
                Count::default()
            );
            assert_eq!(before, mine);
            let mut object = defined(&(pair("mine", "rdi") + &pair("theirs", "rsi")));
            let length = probe(&object).len() / 2;
            let count = rewrite_defined(&mut object, offset).unwrap();
            assert_eq!((count.local_dynamic, tls_relocations(&object)), (1, 2));
            let code = probe(&object);
            assert_eq!(code[..3], [0x48, 0x8d, 0x3d]);
            assert_eq!(code[length..length + 4], [0x64, 0x48, 0x8b, 0x04]);
            assert_eq!(
                code[2 * length - 7..],
                [0x48, 0x8d, 0xb0, 0xcc, 0xed, 0xff, 0xff]
            );
            // One start for both, and one whose user cannot be told.
            let one = format!(
                "leaq theirs{start}leaq theirs@dtpoff(%rax), %rdi\nleaq mine@dtpoff(%rax), %rsi\n"
            );
            let crossed = format!(
                "leaq theirs{start}movq %rax, %rbx\nleaq mine{start}leaq mine@dtpoff(%rax), %rdi\nleaq theirs@dtpoff(%rbx), %rsi\n"
            );
            let kept = format!(
                "leaq theirs{start}leaq theirs@dtpoff(%r8), %rdi\n{}",
                pair("mine", "rsi")
            );
            for code in [one, crossed, kept] {
                let object = defined(&code);
                let mut changed = object.clone();
                let error = rewrite_defined(&mut changed, offset).unwrap_err();
                assert_eq!(object, changed);
                assert_eq!(
                    error.to_string(),
                    "thread-locals `theirs` and `mine` are reached together in .text.probe, but only the first is in the program"
                );
            }
        }
    }

    #[test]
    fn other_code_around_a_start_is_refused() {
        let refused = |code: &str, reach: Reach| {
            let object = defined(code);
            let mut changed = object.clone();
            let error = rewrite_defined(&mut changed, |_| Some(reach)).unwrap_err();
            assert_eq!(object, changed);
            error
        };
        let program = Reach::Offset(-16);
        let added = "leaq theirs@dtpoff(%rax), %rdi\n";
        let other = format!("leaq theirs@tlsld(%rip), %rdi\ncallq elsewhere@plt\n{added}");
        let split =
            format!("leaq theirs@tlsld(%rip), %rdi\nnop\ncallq __tls_get_addr@plt\n{added}");
        for code in [other, split] {
            let error = refused(&code, program);
            assert!(matches!(error, TlsError::UnexpectedCode { offset: 3, .. }));
        }
        let text =
            "thread-local `theirs` is accessed through R_X86_64_DTPOFF32, which cannot be bound";
        assert_eq!(refused(added, program).to_string(), text);
        let called = format!("leaq theirs{}{added}", START[0]);
        assert_eq!(refused(&called, Reach::Call).to_string(), text);
        let mut here = defined(&called);
        let count = rewrite_defined(&mut here, |_| Some(Reach::Here));
        assert_eq!(count.unwrap(), Count::default());
    }

    /// Every kind of thread-local that the standard library's macro makes, and two of them in one function.
    const LOCALS: &str = "
        use std::cell::{Cell, RefCell};
        pub struct Noisy(pub u32);
        impl Drop for Noisy { fn drop(&mut self) { println!(\"dropped {}\", self.0); } }
        thread_local! {
            static LAZY: RefCell<Noisy> = RefCell::new(Noisy(1));
            static CONST: Cell<u32> = const { Cell::new(5) };
            static OWNED: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
        }
        pub fn both() -> u32 {
            LAZY.with_borrow_mut(|noisy| noisy.0 += 1);
            CONST.set(CONST.get() + OWNED.with_borrow(Vec::len) as u32);
            OWNED.with_borrow_mut(|all| all.push(CONST.get()));
            CONST.get()
        }";

    #[test]
    fn objects_of_the_compiler() {
        for level in [
            "-Copt-level=0",
            "-Copt-level=1",
            "-Copt-level=3",
            "-Copt-level=s",
        ] {
            for rest in [&["-Cdebuginfo=2"][..], &["-Clink-dead-code"]] {
                let known = [rest, &[level]].concat();
                let mut object = Samples::new().object(LOCALS, &known);
                let before = tls_relocations(&object);
                assert!(before > 0 && calls_for_an_address(&object));
                let count = rewrite_defined(&mut object, |_| Some(Reach::Offset(-4096))).unwrap();
                assert!(count.local_dynamic > 0, "{known:?} {count:?}");
                assert_eq!(tls_relocations(&object), 0);
                assert!(!calls_for_an_address(&object));
            }
        }
    }

    #[test]
    fn objects_of_a_program() {
        for level in ["-Copt-level=0", "-Copt-level=3"] {
            let source = format!("{LOCALS} fn main() {{ both(); }}");
            let arguments = ["--crate-type=bin", "--emit=obj", "-Ccodegen-units=1", level];
            let samples = Samples::new();
            let object = samples.rustc(&source, "app.o", &arguments);
            let mut object = std::fs::read(object).unwrap();
            let count = rewrite_defined(&mut object, |_| Some(Reach::Offset(-4096))).unwrap();
            assert!(count.local_exec > 0);
            assert_eq!(tls_relocations(&object), 0);
        }
    }

    #[test]
    fn other_thread_locals_stay() {
        let own = "std::thread_local! { static OWN: std::cell::Cell<u8> = const { std::cell::Cell::new(1) }; }
            pub fn own() -> u8 { OWN.set(OWN.get() + 1); OWN.get() }
            #[unsafe(no_mangle)] #[inline(never)] pub fn probe() -> u8 { own() }";
        let object = Samples::new().object(own, &["-Copt-level=3"]);
        assert!(tls_relocations(&object) > 0);
        let mut changed = object.clone();
        assert_eq!(
            rewrite(&mut changed, |_| Some(Reach::Offset(-8))).unwrap(),
            Count::default()
        );
        assert_eq!(object, changed);
        let mut unknown = assemble(&format!("{GENERAL_DYNAMIC}callq __tls_get_addr@plt\n"));
        assert_eq!(rewrite(&mut unknown, |_| None).unwrap(), Count::default());
    }
}
