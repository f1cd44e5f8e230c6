//! Makes a patch object reach the base's thread-locals, before it is linked.
//!
//! A patch is position-independent code and asks `__tls_get_addr` for a thread-local. Those of the program
//! itself are at a fixed offset from the thread pointer, so the 16 bytes of that call are overwritten in place
//! with two instructions that compute the address. Nothing moves, and unwinding tables and debug information
//! stay true. Thread-locals that the patch defines are left alone.

use crate::image::elf::{self, Elf, ElfError, RawSymbol, Relocation, Section, r};
use thiserror::Error;

/// Why an access to a thread-local of the base could not be rewritten.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// Not an object, or a damaged one.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// The compiler chose an access model other than general or initial dynamic.
    #[error(
        "thread-local `{symbol}` is accessed through {relocation}, which cannot be bound to the program's"
    )]
    UnsupportedModel {
        /// The thread-local.
        symbol: String,
        /// The relocation's name.
        relocation: String,
    },
    /// The instructions around a relocation are not the ones the ABI prescribes.
    #[error(
        "the access to thread-local `{symbol}` at {section}+{offset:#x} is not the code the ABI prescribes"
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
    #[error("thread-local `{symbol}` is too far from the thread pointer ({offset})")]
    TooFar {
        /// The thread-local.
        symbol: String,
        /// Its offset.
        offset: i64,
    },
}

/// How many accesses were rewritten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// General-dynamic sequences.
    pub general_dynamic: usize,
    /// Initial-exec loads and additions.
    pub initial_exec: usize,
}

/// `mov %fs:0,%rax; lea OFFSET(%rax),%rax`, the offset in the last four bytes.
const LOCAL_EXEC: [u8; 12] = [0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x48, 0x8d, 0x80];
const LEA: [u8; 4] = [0x66, 0x48, 0x8d, 0x3d];
const CALL_DIRECT: [u8; 4] = [0x66, 0x66, 0x48, 0xe8];
const CALL_THROUGH_GOT: [u8; 4] = [0x66, 0x48, 0xff, 0x15];

/// Rewrites every access to an undefined thread-local for which `resolve` gives an offset from `%fs:0`.
///
/// The object is changed only if everything could be rewritten.
///
/// # Errors
/// If the object is damaged, or accesses such a thread-local in another way.
pub fn rewrite(
    object: &mut [u8],
    resolve: impl Fn(&str) -> Option<i64>,
) -> Result<Count, TlsError> {
    let mut edits = Edits::default();
    let elf = Elf::parse(object)?;
    let symbols = elf.symbols()?;
    let thread_local = |raw: &RawSymbol| raw.section == elf::SHN_UNDEF && raw.name != 0;
    for (target, section) in elf.relocation_sections() {
        let relocations: Vec<Relocation> = elf.relocations(section)?.collect();
        for relocation in relocations
            .iter()
            .filter(|relocation| elf::is_tls_relocation(relocation.kind))
        {
            let Some(raw) = symbols.get(relocation.symbol as usize).filter(thread_local) else {
                continue;
            };
            let symbol = symbols.name(&raw);
            let Some(offset) = resolve(symbol) else {
                continue;
            };
            let access = Access {
                elf: &elf,
                section: &elf.sections[target],
                relocations: &relocations,
                symbol,
            };
            access.rewrite(relocation, offset, &mut edits)?;
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
struct Edits {
    count: Count,
    bytes: Vec<(usize, Vec<u8>)>,
}

impl Edits {
    fn drop_relocation(&mut self, relocation: &Relocation) {
        // A relocation of type NONE and without a symbol.
        self.bytes.push((relocation.file_offset + 8, vec![0; 16]));
    }
}

struct Access<'a, 'data> {
    elf: &'a Elf<'data>,
    section: &'a Section<'data>,
    relocations: &'a [Relocation],
    symbol: &'a str,
}

impl Access<'_, '_> {
    fn rewrite(
        &self,
        relocation: &Relocation,
        offset: i64,
        edits: &mut Edits,
    ) -> Result<(), TlsError> {
        if !self.section.is_loaded() {
            // Debug information: the variable has no location then.
            edits.drop_relocation(relocation);
            return Ok(());
        }
        let offset = i32::try_from(offset)
            .map_err(|_| TlsError::TooFar {
                symbol: self.symbol.to_owned(),
                offset,
            })?
            .to_le_bytes();
        match relocation.kind {
            r::TLSGD => self.general_dynamic(relocation, offset, edits),
            r::GOTTPOFF => self.initial_exec(relocation, offset, edits),
            kind => Err(TlsError::UnsupportedModel {
                symbol: self.symbol.to_owned(),
                relocation: elf::relocation_name(kind),
            }),
        }
    }

    fn general_dynamic(
        &self,
        relocation: &Relocation,
        offset: [u8; 4],
        edits: &mut Edits,
    ) -> Result<(), TlsError> {
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
        let mut new = LOCAL_EXEC.to_vec();
        new.extend(offset);
        edits.bytes.push((at, new));
        edits.drop_relocation(relocation);
        edits.drop_relocation(call);
        edits.count.general_dynamic += 1;
        Ok(())
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
    fn code<const N: usize>(
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

    fn unexpected(&self, relocation: &Relocation) -> TlsError {
        TlsError::UnexpectedCode {
            symbol: self.symbol.to_owned(),
            section: self.section.name.to_owned(),
            offset: relocation.place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, TlsError, rewrite};
    use crate::image::elf::{Elf, is_tls_relocation};
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

    fn offset(name: &str) -> Option<i64> {
        (name == "theirs").then_some(-0x1234)
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
                    initial_exec: 0
                }
            );
            assert_eq!(probe(&object), expected);
            assert_eq!(tls_relocations(&object), 0);
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
                general_dynamic: 0,
                initial_exec: 3
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
    fn other_thread_locals_stay() {
        let own = "std::thread_local! { static OWN: std::cell::Cell<u8> = const { std::cell::Cell::new(1) }; }
            pub fn own() -> u8 { OWN.set(OWN.get() + 1); OWN.get() }
            #[unsafe(no_mangle)] #[inline(never)] pub fn probe() -> u8 { own() }";
        let object = Samples::new().object(own, &["-Copt-level=3"]);
        assert!(tls_relocations(&object) > 0);
        let mut changed = object.clone();
        assert_eq!(
            rewrite(&mut changed, |_| Some(-8)).unwrap(),
            Count::default()
        );
        assert_eq!(object, changed);
        let mut unknown = assemble(&format!("{GENERAL_DYNAMIC}callq __tls_get_addr@plt\n"));
        assert_eq!(rewrite(&mut unknown, |_| None).unwrap(), Count::default());
    }
}
