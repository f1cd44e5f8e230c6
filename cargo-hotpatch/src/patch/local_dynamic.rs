//! Accesses through the start of the object's own block of thread-locals.
//!
//! Code that knows its thread-locals to be in one block asks once where the block is, and adds what each is into it.
//! If the thread-locals are the program's, the thread pointer takes the place of the block's start. **Invariant:** all
//! that is added to one start is rewritten, or nothing.

use super::tls::{Access, Edits, TlsError};
use crate::image::elf::{Relocation, Symbols, r};

/// `mov %fs:0,%rax`, then a `nop` of three bytes or of four.
const DIRECT: [u8; 12] = [0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x0f, 0x1f, 0x00];
const THROUGH_GOT: [u8; 13] = [
    0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x0f, 0x1f, 0x40, 0x00,
];
/// `lea symbol@tlsld(%rip),%rdi`
const LEA: [u8; 3] = [0x48, 0x8d, 0x3d];
/// How far behind the call the start of the block surely still is where the call left it.
const NEAR: u64 = 16;

/// Whether a relocation asks for the start of the block or adds to it.
pub(super) fn is_part(kind: u32) -> bool {
    matches!(kind, r::TLSLD | r::DTPOFF32)
}

/// Something added to a start.
struct Added<'a> {
    relocation: &'a Relocation,
    symbol: &'a str,
    /// Its offset from the thread pointer, if it is the program's.
    offset: Option<i64>,
}

/// Rewrites what one section does with the block; a compiler gives each function a section.
///
/// `part` gives a relocation's symbol and the offset of that thread-local, if it is known.
pub(super) fn rewrite<'a, 'data: 'a>(
    relocations: &'a [Relocation],
    part: impl Fn(&Relocation) -> (&'a str, Option<i64>),
    access: impl Fn(&'a str) -> Access<'a, 'data>,
    symbols: &Symbols<'_>,
    edits: &mut Edits,
) -> Result<(), TlsError> {
    let mut in_order: Vec<&Relocation> = relocations
        .iter()
        .filter(|relocation| is_part(relocation.kind))
        .collect();
    in_order.sort_by_key(|relocation| relocation.place);
    let mut starts = Vec::new();
    let mut added = Vec::new();
    for relocation in &in_order {
        let (symbol, offset) = part(relocation);
        if relocation.kind == r::TLSLD {
            starts.push((*relocation, symbol));
            continue;
        }
        added.push(Added {
            relocation,
            symbol,
            offset,
        });
    }
    let Some(known) = added.iter().find(|one| one.offset.is_some()) else {
        return Ok(());
    };
    if starts.is_empty() {
        // Who knows where it has the start from.
        return Err(access(known.symbol).unsupported(known.relocation));
    }
    let unknown = added.iter().find(|one| one.offset.is_none());
    // With nothing but the program's behind them, all starts become the thread pointer.
    let mut kept = Vec::new();
    if let Some(unknown) = unknown {
        let together = || TlsError::TakenTogether {
            known: known.symbol.to_owned(),
            unknown: unknown.symbol.to_owned(),
            section: access(known.symbol).section.name.to_owned(),
        };
        if starts.len() != added.len() {
            return Err(together());
        }
        for ((start, symbol), one) in starts.iter().zip(&added) {
            if !is_pair(&access(symbol), start, symbol, one, symbols)? {
                return Err(together());
            }
            if one.offset.is_none() {
                kept.push(start.place);
            }
        }
    }
    for (start, symbol) in &starts {
        if kept.contains(&start.place) {
            continue;
        }
        let access = access(symbol);
        let (call, length) = call(&access, start, symbols)?;
        let new = match length {
            12 => DIRECT.to_vec(),
            _ => THROUGH_GOT.to_vec(),
        };
        let (at, [_, _, _]) = access.code::<3>(start, 3)?;
        edits.bytes.push((at, new));
        edits.drop_relocation(start);
        edits.drop_relocation(call);
    }
    for one in &added {
        if let Some(offset) = one.offset {
            access(one.symbol).constant(one.relocation, offset, edits)?;
        }
    }
    Ok(())
}

/// Whether what is added is added to this very start: it is for the same thread-local and just behind the call, and
/// to the register that the call returns the start in.
fn is_pair(
    access: &Access<'_, '_>,
    start: &Relocation,
    symbol: &str,
    one: &Added<'_>,
    symbols: &Symbols<'_>,
) -> Result<bool, TlsError> {
    let (_, length) = call(access, start, symbols)?;
    let end = start.place - 3 + length;
    let place = one.relocation.place;
    let (_, [prefix, _, operand]) = access.code::<3>(one.relocation, 3)?;
    let adds_to_rax = operand & 0xc7 == 0x80 && prefix & 0xf1 != 0x41;
    Ok(symbol == one.symbol && (end..end + NEAR).contains(&place) && adds_to_rax)
}

/// The relocation of the call that asks for a start, and how long the two instructions are.
fn call<'a>(
    access: &Access<'a, '_>,
    start: &Relocation,
    symbols: &Symbols<'_>,
) -> Result<(&'a Relocation, u64), TlsError> {
    let (_, code) = access.code::<12>(start, 3)?;
    let (length, kinds) = match code[7..] {
        [0xe8, ..] => (12, &[r::PLT32, r::PC32][..]),
        [0xff, 0x15, ..] => (13, &[r::GOTPCREL, r::GOTPCRELX, r::REX_GOTPCRELX][..]),
        _ => return Err(access.unexpected(start)),
    };
    // The call's relocation is for the last four of its bytes.
    let place = start.place - 3 + length - 4;
    let asks = |relocation: &&Relocation| {
        let symbol = symbols.get(relocation.symbol as usize);
        relocation.place == place
            && kinds.contains(&relocation.kind)
            && symbol.is_some_and(|raw| symbols.name(&raw) == "__tls_get_addr")
    };
    let call = access.relocations.iter().find(asks);
    let call = call.filter(|_| code[..3] == LEA);
    Ok((call.ok_or_else(|| access.unexpected(start))?, length))
}

#[cfg(test)]
mod tests {
    use crate::image::elf::{RawSymbol, SHN_UNDEF};
    use crate::image::samples::{Samples, run, rust_lld};
    use crate::image::symbols::BaseImage;
    use crate::object::cells::Cells;
    use crate::object::retarget::{Target, retarget};
    use crate::patch::link::{Link, Linker, link_command};
    use crate::patch::tls;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    const APP: &str = r#"
        use std::cell::{Cell, RefCell};
        pub struct Noisy(pub u32);
        impl Drop for Noisy { fn drop(&mut self) { println!("dropped {}", self.0); } }
        thread_local! {
            static LAZY: RefCell<Noisy> = RefCell::new(Noisy(1));
            static PLAIN: Cell<u32> = const { Cell::new(5) };
            static OWNED: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
        }
        #[inline(never)] pub fn tick() -> u32 {
            LAZY.with_borrow_mut(|noisy| noisy.0 += STEP);
            PLAIN.set(PLAIN.get() + STEP + OWNED.with_borrow(Vec::len) as u32);
            OWNED.with_borrow_mut(|all| all.push(STEP));
            OWNED.with_borrow(|all| all.iter().sum::<u32>()) + PLAIN.get()
        }
        #[inline(never)] pub fn state() -> String {
            format!("{} {} {:?}", LAZY.with_borrow(|noisy| noisy.0), PLAIN.get(), OWNED.take())
        }
        #[inline(never)] pub fn anchor() -> u32 { std::hint::black_box(70) }
    "#;

    const MAIN: &str = r#"
        use std::ffi::{CString, c_char, c_void};
        unsafe extern "C" {
            fn dlopen(path: *const c_char, flags: i32) -> *mut c_void;
            fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
        }
        fn main() {
            app::tick();
            println!("{:x}", app::anchor as *const () as usize);
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).unwrap();
            let path = CString::new(line.trim()).unwrap();
            let entry: fn() = unsafe {
                let library = dlopen(path.as_ptr(), 2);
                assert!(!library.is_null());
                std::mem::transmute(dlsym(library, c"entry".as_ptr()))
            };
            entry();
            println!("{}", app::state());
            std::thread::spawn(move || { app::tick(); entry(); println!("{}", app::state()); }).join().unwrap();
            std::thread::spawn(move || { entry(); app::tick(); println!("{}", app::state()); }).join().unwrap();
        }
    "#;

    /// A whole object of the edited crate, in which its thread-locals are defined once more.
    #[test]
    fn the_same_thread_locals_defined_again_are_those_of_the_program() {
        for level in ["-Copt-level=0", "-Copt-level=3"] {
            for rest in [&["-Clink-dead-code"][..], &[]] {
                let printed = patched_run(&[rest, &[level]].concat());
                let expected = "102 107 [1, 100]\n102 107 [1, 100]\ndropped 102\n102 107 [100, 1]\ndropped 102\ndropped 102\n";
                assert_eq!(printed, expected, "{level} {rest:?}");
            }
        }
    }

    fn patched_run(arguments: &[&str]) -> String {
        let samples = Samples::new();
        let with = |fixed: &[&'static str]| -> Vec<String> {
            let all = fixed.iter().chain(arguments);
            all.map(|argument| (*argument).to_owned()).collect()
        };
        let compile = |source: &str, output: &str, fixed: &[&'static str]| {
            let arguments = with(fixed);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            samples.rustc(source, output, &arguments)
        };
        let library = ["--crate-type=rlib", "-Cmetadata=base", "-Ccodegen-units=1"];
        compile(&APP.replace("STEP", "1"), "libapp.rlib", &library);
        let main = ["--crate-name=main", "--extern=app=libapp.rlib"];
        let program = compile(MAIN, "program", &main);
        let edited = APP.replace("STEP", "100")
            + "#[unsafe(no_mangle)] pub fn entry() { std::hint::black_box(tick()); }";
        let object = [&library[..], &["--emit=obj"]].concat();
        let object = compile(&edited, "patch.o", &object);

        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let base = BaseImage::parse(&std::fs::read(&program).unwrap()).unwrap();
        let mut patch = std::fs::read(&object).unwrap();
        let anchor = u64::from_str_radix(line.trim(), 16).unwrap();
        let mut symbols = base.symbols.iter();
        let named = symbols.find(|(name, _)| name.ends_with("3app6anchor"));
        let moved = anchor - named.unwrap().1.address;

        tls::rewrite(&mut patch, |name| base.tls_offset_of(name)).unwrap();
        let mut cells = Cells::default();
        let target = |name: &str, raw: &RawSymbol| match base.symbols.get(name) {
            Some(symbol) if raw.section == SHN_UNDEF => Target::Address(symbol.address + moved),
            _ => Target::Same,
        };
        let patch = retarget(&patch, &mut cells, None, false, target, |_, _| false);
        let objects = [samples.path("patch.o"), samples.path("cells.o")];
        std::fs::write(&objects[0], patch.unwrap()).unwrap();
        std::fs::write(&objects[1], cells.object().unwrap()).unwrap();
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap();
        let mut libraries: Vec<PathBuf> = maps
            .lines()
            .filter_map(|line| Some(line[line.find('/')?..].into()))
            .collect();
        libraries.retain(|path| path.extension().is_some() && *path != program);
        libraries.dedup();
        let library = samples.path("patch.so");
        let command = link_command(
            &Linker::RustLld(rust_lld()),
            &Link {
                objects: &objects,
                libraries: &libraries,
                output: &library,
            },
        );
        run(Command::new(&command[0]).args(&command[1..]));
        writeln!(child.stdin.take().unwrap(), "{}", library.display()).unwrap();
        let mut printed = String::new();
        output.read_to_string(&mut printed).unwrap();
        assert!(child.wait().unwrap().success(), "{printed}");
        printed
    }
}
