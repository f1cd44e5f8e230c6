//! Makes a patch object reach the thread-locals that are in the process, before it is linked.
//!
//! Each of them is at a fixed offset from the thread pointer. An object of a patch defines them once more, as rustc
//! compiled it, and reaches its own in one of the ways that the ABI knows. Each of these is overwritten in place with
//! instructions of the same length that compute the address from the offset. Nothing moves, and unwinding tables and
//! debug information stay true.

use super::local_dynamic;
use crate::image::elf::{self, Elf, ElfError, RawSymbol, Relocation, Section, r};
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

/// What a reader calls the thread-local behind a symbol. The standard library's macro makes it inside of a closure inside
/// of a constant, and by that it is recognised, whatever it is called.
fn shown(symbol: &str) -> String {
    let text = format!("{:#}", rustc_demangle::demangle(symbol));
    let around = || {
        let mut around = &text[..text.rfind("::")?];
        while around.ends_with('}') {
            around = &around[..around.rfind("::{")?];
        }
        Some(around.to_owned())
    };
    match around() {
        Some(around) if text[around.len()..].starts_with("::{") => around,
        _ => text,
    }
}

/// `mov %fs:0,%rax; lea OFFSET(%rax),%rax`, the offset in the last four bytes.
const LOCAL_EXEC: [u8; 12] = [0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x48, 0x8d, 0x80];
const LEA: [u8; 4] = [0x66, 0x48, 0x8d, 0x3d];
const CALL_DIRECT: [u8; 4] = [0x66, 0x66, 0x48, 0xe8];
const CALL_THROUGH_GOT: [u8; 4] = [0x66, 0x48, 0xff, 0x15];

/// Rewrites every access to a thread-local of which `resolve` knows the offset from the thread pointer. The object may
/// define such ones once more: their definitions stay, and nothing refers to them any more.
///
/// The object is changed only if everything could be rewritten.
///
/// # Errors
/// If the object is damaged, accesses such a thread-local in another way, or reaches one of the process together with
/// one that is only in the object.
pub fn rewrite(object: &mut [u8], resolve: impl Fn(&str) -> Option<i64>) -> Result<(), TlsError> {
    let mut edits = Edits::default();
    let elf = Elf::parse(object)?;
    let symbols = elf.symbols()?;
    let is_meant = |raw: &RawSymbol| {
        raw.name != 0 && (raw.section == elf::SHN_UNDEF || raw.kind == elf::STT_TLS)
    };
    for (target, section) in elf.relocation_sections() {
        let relocations: Vec<Relocation> = elf.relocations(section)?.collect();
        let access = |symbol| Access {
            elf: &elf,
            section: &elf.sections[target],
            relocations: &relocations,
            symbol,
        };
        // A relocation's thread-local and where that is, if both are known.
        let found = |relocation: &Relocation| {
            let raw = symbols.get(relocation.symbol as usize).filter(is_meant)?;
            let symbol = symbols.name(&raw);
            Some((symbol, resolve(symbol)?))
        };
        let in_blocks = elf.sections[target].is_loaded();
        for relocation in relocations
            .iter()
            .filter(|relocation| elf::is_tls_relocation(relocation.kind))
            .filter(|relocation| !in_blocks || !local_dynamic::is_part(relocation.kind))
        {
            if let Some((symbol, offset)) = found(relocation) {
                access(symbol).rewrite(relocation, offset, &mut edits)?;
            }
        }
        if in_blocks {
            let part = |relocation: &Relocation| {
                let raw = symbols.get(relocation.symbol as usize);
                let offset = found(relocation).map(|(_, offset)| offset);
                (raw.map_or("", |raw| symbols.name(&raw)), offset)
            };
            local_dynamic::rewrite(&relocations, part, access, &symbols, &mut edits)?;
        }
    }
    for (at, new) in edits.bytes {
        object[at..at + new.len()].copy_from_slice(&new);
    }
    Ok(())
}

/// Changes to apply once all of them are known; each place was found inside the file.
#[derive(Default)]
pub(super) struct Edits {
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
        match relocation.kind {
            r::TLSGD => {
                self.general_dynamic(relocation, self.pc_relative(relocation, offset)?, edits)
            }
            r::GOTTPOFF => {
                self.initial_exec(relocation, self.pc_relative(relocation, offset)?, edits)
            }
            r::TPOFF32 => self.constant(relocation, offset, edits),
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
    use super::{TlsError, rewrite, shown};
    use crate::image::elf::{Elf, STT_TLS, is_tls_relocation};
    use crate::image::samples::Samples;
    use std::collections::BTreeSet;

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
            rewrite(&mut object, offset).unwrap();
            assert_eq!(probe(&object), expected);
            assert_eq!(tls_relocations(&object), 0);
        }
    }

    #[test]
    fn initial_exec_forms() {
        let mut object = assemble(
            "movq theirs@gottpoff(%rip), %rax\nmovq theirs@gottpoff(%rip), %r12\naddq theirs@gottpoff(%rip), %rsi\n",
        );
        rewrite(&mut object, offset).unwrap();
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
        rewrite(&mut object, offset).unwrap();
        assert_eq!(tls_relocations(&object), 0);
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
            rewrite(&mut object, offset).unwrap();
            assert_eq!(tls_relocations(&object), 0);
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
            rewrite(&mut mine, offset).unwrap();
            assert_eq!(before, mine);
            let mut object = defined(&(pair("mine", "rdi") + &pair("theirs", "rsi")));
            let length = probe(&object).len() / 2;
            rewrite(&mut object, offset).unwrap();
            assert_eq!(tls_relocations(&object), 2);
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
                let error = rewrite(&mut changed, offset).unwrap_err();
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
        let refused = |code: &str| {
            let object = defined(code);
            let mut changed = object.clone();
            let error = rewrite(&mut changed, |_| Some(-16)).unwrap_err();
            assert_eq!(object, changed);
            error
        };
        let added = "leaq theirs@dtpoff(%rax), %rdi\n";
        let other = format!("leaq theirs@tlsld(%rip), %rdi\ncallq elsewhere@plt\n{added}");
        let split =
            format!("leaq theirs@tlsld(%rip), %rdi\nnop\ncallq __tls_get_addr@plt\n{added}");
        for code in [other, split] {
            let error = refused(&code);
            assert!(matches!(error, TlsError::UnexpectedCode { offset: 3, .. }));
        }
        let text =
            "thread-local `theirs` is accessed through R_X86_64_DTPOFF32, which cannot be bound";
        assert_eq!(refused(added).to_string(), text);
    }

    #[test]
    fn thread_locals_are_called_what_their_authors_call_them() {
        let source = "pub mod m { thread_local! { pub static OUTER: std::cell::Cell<u8> = const { std::cell::Cell::new(1) }; } }
            pub fn f() -> u8 { (|| { thread_local!(static INNER: Vec<u8> = vec![1]); INNER.with(|v| v[0]) + m::OUTER.get() })() }";
        let data = Samples::new().object(source, &["-Copt-level=1"]);
        let elf = Elf::parse(&data).unwrap();
        let symbols = elf.symbols().unwrap();
        let locals = symbols.iter().filter(|raw| raw.kind == STT_TLS);
        let found: BTreeSet<String> = locals.map(|raw| shown(symbols.name(&raw))).collect();
        let expected = ["app::f::{closure#0}::INNER", "app::m::OUTER"];
        assert_eq!(found, expected.map(str::to_owned).into());
        assert_eq!(shown("theirs"), "theirs");
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
                rewrite(&mut object, |_| Some(-4096)).unwrap();
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
            assert!(tls_relocations(&object) > 0);
            rewrite(&mut object, |_| Some(-4096)).unwrap();
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
        rewrite(&mut changed, |_| None).unwrap();
        assert_eq!(object, changed);
        let unknown = assemble(&format!("{GENERAL_DYNAMIC}callq __tls_get_addr@plt\n"));
        let mut changed = unknown.clone();
        rewrite(&mut changed, |_| None).unwrap();
        assert_eq!(unknown, changed);
    }
}
