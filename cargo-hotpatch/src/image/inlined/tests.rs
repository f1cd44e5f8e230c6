//! What the debug information of small programs says about inlined calls, and what it cannot say.

use super::{InlinedError, inlined_calls};
use crate::image::elf::ElfError;
use crate::image::samples::Samples;
use object::{Object, ObjectSection};

const APP: &str = r#"
    use std::fmt::{self, Display, Formatter};
    use std::hint::black_box;
    use std::ops::Add;
    #[derive(Clone, Copy)] pub struct Vector(u32, u32);
    impl Add for Vector {
        type Output = Self;
        fn add(self, other: Self) -> Self { Vector(self.0 * 3 + other.0, self.1 ^ other.1) }
    }
    impl Display for Vector {
        fn fmt(&self, f: &mut Formatter) -> fmt::Result { f.write_str(if self.0 > 9 { "many" } else { "few" }) }
    }
    #[inline(always)] fn deep(n: u32) -> u32 { n.rotate_left(3) ^ 77 }
    fn middle(n: u32) -> u32 { deep(n) * 5 }
    #[unsafe(no_mangle)] pub fn plain(n: u32) -> u32 { n * 11 }
    #[inline(always)] fn seven() -> u32 { 7 }
    #[inline(always)] fn same(n: u32) -> u32 { n }
    #[inline(never)] pub fn two_levels(n: u32) -> u32 { middle(n) + 1 }
    #[inline(never)] pub fn operator(a: Vector, b: Vector) -> Vector { a + b }
    #[inline(never)] pub fn display(v: &Vector, f: &mut Formatter) -> fmt::Result { Display::fmt(v, f) }
    #[inline(never)] pub fn closure(n: u32) -> u32 { let f = |m: u32| m * n + 1; f(n ^ 3) }
    #[inline(never)] pub fn in_a_block(n: u32) -> u32 { let half = n / 2; { let more = half + 3; deep(more) } }
    #[inline(never)] #[unsafe(no_mangle)] pub fn unmangled(n: u32) -> u32 { plain(n) + middle(n) }
    #[inline(never)] pub fn folded(n: u32) -> u32 { seven() + same(n) }
    struct Show(Vector);
    impl Display for Show { fn fmt(&self, f: &mut Formatter) -> fmt::Result { display(&self.0, f) } }
    fn main() {
        let n = black_box(std::env::args().count() as u32);
        let v = operator(Vector(n, 1), Vector(2, n));
        println!("{} {} {} {}", Show(v), two_levels(n), closure(n), in_a_block(n));
        println!("{} {}", unmangled(n), folded(n));
    }
"#;

/// A program without any code but its own.
const BARE: &str = r#"
    #![no_std]
    #![no_main]
    #[inline(always)] fn deep(n: u32) -> u32 { n.rotate_left(3) ^ 77 }
    #[unsafe(no_mangle)] pub extern "C" fn _start(n: u32) -> u32 { deep(n) }
    #[panic_handler] fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
"#;

type Calls = Result<Vec<(String, String)>, InlinedError>;

fn is_of_app(unit: &str) -> bool {
    unit.contains("/app.rs/@/")
}

fn program(source: &str, arguments: &[&str]) -> Vec<u8> {
    let samples = Samples::new();
    std::fs::read(samples.rustc(source, "app", arguments)).unwrap()
}

fn calls(source: &str, arguments: &[&str]) -> Calls {
    inlined_calls(&program(source, arguments), is_of_app)
}

/// Whether a pair is there whose names end like this (the ends tell the functions of `APP` apart).
fn has(calls: &[(String, String)], function: &str, inlined: &str) -> bool {
    calls
        .iter()
        .any(|(one, other)| one.ends_with(function) && other.ends_with(inlined))
}

fn assert_optimised(calls: &[(String, String)]) {
    for (function, inlined) in [
        ("3app10two_levels", "3app6middle"),
        ("3app10two_levels", "3app4deep"),
        ("3app8operator", "3Add3add"),
        ("3app7display", "7Display3fmt"),
        ("3app7closure", "3app7closure0B3_"),
        ("3app10in_a_block", "3app4deep"),
        ("unmangled", "plain"),
        ("unmangled", "3app6middle"),
        ("unmangled", "3app4deep"),
    ] {
        assert!(
            has(calls, function, inlined),
            "{function} {inlined}: {calls:#?}"
        );
    }
    assert!(!has(calls, "3app8operator", "3app4deep"));
    assert!(
        !has(calls, "3app6middle", "3app4deep"),
        "it has no code of its own"
    );
    assert!(calls.is_sorted_by(|one, other| one < other));
}

#[test]
fn calls_of_an_optimised_program() {
    for more in [
        &[][..],
        &["-Cdwarf-version=5"],
        // Several units, with references from one to another.
        &["-Cincremental=state"],
        &["-Ccodegen-units=4", "-Cdwarf-version=5"],
        &["-Clink-arg=-Wl,--compress-debug-sections=zlib"],
    ] {
        let arguments = [&["-O", "-Cdebuginfo=1"], more].concat();
        assert_optimised(&calls(APP, &arguments).unwrap());
    }
}

#[test]
fn inlined_always() {
    let calls = calls(APP, &["-Copt-level=0", "-Cdebuginfo=2"]).unwrap();
    assert!(has(&calls, "3app6middle", "3app4deep"), "{calls:#?}");
    assert!(has(&calls, "3app10in_a_block", "3app4deep"));
    assert!(
        !has(&calls, "3app10two_levels", "3app6middle"),
        "a relocation has it"
    );
}

/// Not a wish but a fact: should this test fail, the header of the module promises too little.
#[test]
fn a_call_that_folds_leaves_no_trace() {
    for level in ["-Copt-level=0", "-Copt-level=3"] {
        let calls = calls(APP, &[level, "-Cdebuginfo=2"]).unwrap();
        assert!(!has(&calls, "3app6folded", "3app5seven"), "{calls:#?}");
        assert!(!has(&calls, "3app6folded", "3app4same"));
    }
}

#[test]
fn only_wanted_units_are_read() {
    let program = program(APP, &["-O", "-Cdebuginfo=1"]);
    assert_eq!(inlined_calls(&program, |_| false), Ok(Vec::new()));
    let all = inlined_calls(&program, |_| true).unwrap();
    assert_optimised(&all);
    assert!(all.len() > inlined_calls(&program, is_of_app).unwrap().len());
    let of_crate = inlined_calls(&program, |unit| unit.contains("/@/app."));
    assert_eq!(of_crate, inlined_calls(&program, is_of_app));
}

#[test]
fn nothing_to_read() {
    assert_eq!(calls(APP, &["-O", "-Cdebuginfo=0"]), Ok(Vec::new()));
    let stripped = program(APP, &["-O", "-Cdebuginfo=1", "-Cstrip=debuginfo"]);
    assert_eq!(inlined_calls(&stripped, |_| true), Ok(Vec::new()));
}

#[test]
fn what_cannot_be_told_is_an_error() {
    let level = "-Cdebuginfo=line-tables-only";
    let error = calls(APP, &["-O", level]).unwrap_err();
    assert!(
        matches!(&error, InlinedError::NoLinkageNames { unit, .. } if is_of_app(unit)),
        "{error}"
    );
    let split = ["-O", "-Cdebuginfo=1", "-Csplit-debuginfo=unpacked"];
    let error = calls(APP, &split).unwrap_err();
    assert!(
        matches!(&error, InlinedError::Split(file) if file.ends_with(".dwo")),
        "{error}"
    );
    let object = Samples::new().object("pub fn f() {}", &["-Cdebuginfo=1"]);
    assert_eq!(
        inlined_calls(&object, |_| true),
        Err(InlinedError::NotLinked)
    );
    let other = InlinedError::Elf(ElfError::WrongFormat);
    assert_eq!(inlined_calls(b"!<arch>\n", |_| true), Err(other));
}

#[test]
fn damage_is_an_error_not_a_panic() {
    let arguments = [
        "-O",
        "-Cdebuginfo=1",
        "-Cpanic=abort",
        "-Clink-arg=-nostartfiles",
    ];
    let program = program(BARE, &arguments);
    let read = |program: &[u8]| inlined_calls(program, |_| true);
    assert!(has(&read(&program).unwrap(), "_start", "3app4deep"));
    for length in (0..program.len()).step_by(97) {
        assert!(read(&program[..length]).is_err(), "{length}");
    }
    let file = object::File::parse(&*program).unwrap();
    for name in [".debug_info", ".debug_abbrev", ".debug_str"] {
        let section = file.section_by_name(name).unwrap();
        let (start, size) = section.file_range().unwrap();
        let bytes = start as usize..(start + size) as usize;
        let mut damaged = program.clone();
        damaged[bytes.clone()].fill(0xff);
        assert!(read(&damaged).is_err(), "{name}");
        let step = (bytes.len() / 500).max(1);
        for at in bytes.step_by(step) {
            for value in [0, 0x7f, 0xff, program[at] ^ 1, program[at].wrapping_add(1)] {
                let mut damaged = program.clone();
                damaged[at] = value;
                // Any answer will do, if there is one.
                let _ = read(&damaged);
            }
        }
    }
}
