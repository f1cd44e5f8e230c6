//! Programs that print their own addresses.

use super::{BaseImage, Kind, Lookup};
use crate::image::samples::{Samples, run};
use std::process::Command;

const PROGRAM: &str = r#"
    use std::cell::Cell;
    #[unsafe(no_mangle)] pub static COUNTER: Cell2 = Cell2(7);
    pub struct Cell2(u64);
    thread_local! { static LOCAL: Cell<u64> = const { Cell::new(5) }; }
    std::arch::global_asm!(
        ".pushsection .tdata,\"awT\",@progbits", ".balign 64", ".globl in_tls", ".type in_tls,@object",
        "in_tls: .quad 1", ".popsection",
    );
    std::arch::global_asm!(".globl only", ".type only,@function", "only: ret");
    unsafe extern "C" { fn only(); }
    fn main() {
        let pointer: u64;
        unsafe { std::arch::asm!("mov {}, fs:0", out(reg) pointer) };
        let local: u64;
        unsafe { std::arch::asm!("lea {0}, [{1} + in_tls@tpoff]", out(reg) local, in(reg) pointer) };
        unsafe { only() };
        println!("{:x} {} {}", only as *const () as usize, local.wrapping_sub(pointer) as i64, COUNTER.0);
    }
"#;

#[test]
fn a_program_knows_its_addresses() {
    let samples = Samples::new();
    for pie in ["pie", "static-relocation"] {
        let model = if pie == "pie" {
            "-Crelocation-model=pie"
        } else {
            "-Crelocation-model=static"
        };
        let program = samples.rustc(
            PROGRAM,
            "program",
            &[model, "-Clink-arg=-Wl,--build-id=sha1"],
        );
        let base = BaseImage::parse(&std::fs::read(&program).unwrap()).unwrap();
        let printed = run(&mut Command::new(&program));
        let mut printed = printed.split_whitespace();
        let address = u64::from_str_radix(printed.next().unwrap(), 16).unwrap();
        let symbol = base.symbols.get("only").unwrap();
        assert_eq!(
            (symbol.kind, base.relocatable),
            (Kind::Function, pie == "pie")
        );
        if base.relocatable {
            assert_eq!(address % 4096, symbol.address % 4096);
        } else {
            assert_eq!(address, symbol.address);
        }
        let offset: i64 = printed.next().unwrap().parse().unwrap();
        assert_eq!(base.tls_offset_of("in_tls"), Some(offset));
        assert_eq!(base.tls_offset_of("only"), None);
        assert_eq!(
            base.symbols
                .get("COUNTER")
                .map(|symbol| (symbol.kind, symbol.size)),
            Some((Kind::Data, 8))
        );
        assert_eq!(base.build_id.len(), 20);
        assert!(base.needed.iter().any(|name| name == "libc.so.6"));
        assert_eq!(base.symbols.lookup("no such symbol"), Lookup::Missing);
    }
}

#[test]
fn local_names_with_two_addresses_are_ambiguous() {
    let samples = Samples::new();
    let unit = |name: &str, body: &str| {
        let source = format!("std::arch::global_asm!(\".text\", \"nop\", {body});");
        let object = samples.object(&source, &[]);
        std::fs::write(samples.path(name), object).unwrap();
    };
    let define = |name: &str| format!("\".type {name},@function\", \"{name}: ret\"");
    unit(
        "a.o",
        &format!(
            "{}, {}, {}",
            define("twice"),
            define("both"),
            define("once")
        ),
    );
    unit(
        "b.o",
        &format!("\".globl both\", {}, {}", define("twice"), define("both")),
    );
    let mut link = Command::new(crate::image::samples::rust_lld());
    link.current_dir(samples.path(""))
        .args(["-flavor", "gnu", "-shared", "-o", "both.so", "a.o", "b.o"]);
    run(&mut link);
    let image = super::PatchImage::parse(&std::fs::read(samples.path("both.so")).unwrap()).unwrap();
    assert_eq!(image.symbols.lookup("twice"), Lookup::Ambiguous);
    assert_eq!(image.symbols.get("twice"), None);
    let [once, both] = ["once", "both"].map(|name| image.symbols.get(name).unwrap().address);
    // The global one is the second object's.
    assert!(both > once);
    assert!(image.symbols.iter().all(|(name, _)| name != "twice"));
}

#[test]
fn a_program_that_keeps_values_has_more_than_the_agents_own_entry() {
    let samples = Samples::new();
    let entry = |name: &str| {
        format!("#[used] #[unsafe(link_section = \"hotpatch_keep\")] static {name}: &u8 = &1;")
    };
    let keeps = |entries: &[&str]| {
        let entries: String = entries.iter().map(|name| entry(name)).collect();
        let program = samples.rustc(&(entries + "fn main() {}"), "program", &[]);
        super::keeps_values(&std::fs::read(program).unwrap())
    };
    let found = [keeps(&["AGENT"]), keeps(&["AGENT", "KEEP"]), keeps(&[])];
    assert_eq!(found, [false, true, false]);
    assert!(!super::keeps_values(b"no program"));
}
