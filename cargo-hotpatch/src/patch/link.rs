//! The command that makes a shared library of a patch object. Runs nothing.
//!
//! **Invariant:** the link fails if any symbol is left over, so that a patch that loads is complete.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::build::base::HOST;
use crate::build::capture::Unit;

/// The program that links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Linker {
    /// `rust-lld` of the toolchain (or any lld that knows `-flavor`), called directly.
    RustLld(PathBuf),
    /// A C compiler driver with whatever linker it is set up to use.
    Cc(PathBuf),
}

/// What to link.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// Relocatable objects: the patch and the addresses it is bound to.
    pub objects: &'a [PathBuf],
    /// Shared libraries that are loaded in the process already (libc, libgcc_s, the loader, earlier patches);
    /// one becomes a dependency only if the patch takes a symbol from it.
    pub libraries: &'a [PathBuf],
    /// The name under which later patches can depend on this one.
    pub soname: Option<&'a str>,
    /// The library to write.
    pub output: &'a Path,
}

/// lld as it comes with the toolchain, or else whatever `cc` links with.
#[must_use]
pub fn linker(unit: Option<&Unit>) -> Linker {
    let lld = unit.and_then(|unit| {
        let sysroot = unit.rustc.parent()?.parent()?;
        let lld = sysroot.join("lib/rustlib").join(HOST).join("bin/rust-lld");
        lld.exists().then_some(lld)
    });
    match lld {
        Some(path) => Linker::RustLld(path),
        None => Linker::Cc(PathBuf::from(
            unit.and_then(|unit| unit.args.codegen("linker"))
                .filter(|l| !l.contains("ld"))
                .unwrap_or("cc"),
        )),
    }
}

/// The program and its arguments.
#[must_use]
pub fn link_command(linker: &Linker, link: &Link<'_>) -> Vec<OsString> {
    let mut command: Vec<OsString> = Vec::new();
    match linker {
        Linker::RustLld(path) => {
            command.push(path.into());
            command.extend(["-flavor", "gnu", "-m", "elf_x86_64", "-shared"].map(Into::into));
            command.extend(OPTIONS.iter().map(Into::into));
        }
        Linker::Cc(path) => {
            command.push(path.into());
            command.extend(["-m64", "-shared", "-nostdlib", "-nostartfiles"].map(Into::into));
            command.extend(OPTIONS.iter().map(|option| for_driver(option.as_ref())));
        }
    }
    let option = |option: &str| match linker {
        Linker::RustLld(_) => OsString::from(option),
        Linker::Cc(_) => for_driver(option.as_ref()),
    };
    if let Some(soname) = link.soname {
        command.push(option(&format!("-soname={soname}")));
    }
    command.extend(["-o".into(), link.output.into()]);
    command.extend(link.objects.iter().map(Into::into));
    command.push(option("--as-needed"));
    command.extend(link.libraries.iter().map(Into::into));
    command
}

/// Options that lld and GNU ld share.
const OPTIONS: &[&str] = &[
    "--eh-frame-hdr",
    "--build-id=none",
    "--hash-style=gnu",
    "--no-undefined",
    // Libraries in the process have found their own symbols long ago.
    "--allow-shlib-undefined",
    // What the patch defines is meant when the patch refers to it.
    "-Bsymbolic",
    "-znow",
    "-znodelete",
    "-znoexecstack",
    // Small files: segments share pages of the file.
    "-znoseparate-code",
    "-zmax-page-size=4096",
];

fn for_driver(option: &OsStr) -> OsString {
    let mut passed = OsString::from("-Wl,");
    passed.push(option);
    passed
}

#[cfg(test)]
mod tests {
    use super::{Link, Linker, link_command};
    use crate::image::object_file::PatchObject;
    use crate::image::samples::{Samples, run, rust_lld};
    use crate::image::symbols::{BaseImage, PatchImage};
    use crate::patch::{bind, tls};
    use std::io::{BufRead, BufReader, Read, Write};
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    #[test]
    fn the_two_linkers_get_the_same_options() {
        let objects = [PathBuf::from("patch.o"), PathBuf::from("base.o")];
        let libraries = [PathBuf::from("/lib/libc.so.6")];
        let link = Link {
            objects: &objects,
            libraries: &libraries,
            soname: Some("hp1.so"),
            output: Path::new("out.so"),
        };
        let [lld, cc] =
            [Linker::RustLld("rust-lld".into()), Linker::Cc("cc".into())].map(|linker| {
                let command = link_command(&linker, &link);
                command
                    .iter()
                    .map(|argument| argument.to_string_lossy().into_owned())
                    .collect::<Vec<_>>()
            });
        assert_eq!(
            lld[..6],
            ["rust-lld", "-flavor", "gnu", "-m", "elf_x86_64", "-shared"]
        );
        assert_eq!(
            cc[..5],
            ["cc", "-m64", "-shared", "-nostdlib", "-nostartfiles"]
        );
        let passed: Vec<_> = cc[5..]
            .iter()
            .map(|argument| argument.trim_start_matches("-Wl,"))
            .collect();
        assert_eq!(passed, lld[6..]);
        assert_eq!(
            lld[lld.len() - 4..],
            ["patch.o", "base.o", "--as-needed", "/lib/libc.so.6"]
        );
    }

    /// A library with state of every kind and a program that loads a patch.
    const APP: &str = r#"
        use std::cell::{Cell, RefCell};
        pub struct Noisy(pub u32);
        impl Drop for Noisy { fn drop(&mut self) { println!("dropped {}", self.0); } }
        pub static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        thread_local! {
            pub static LAZY: RefCell<Noisy> = RefCell::new(Noisy(1));
            pub static CONST: Cell<u32> = const { Cell::new(5) };
        }
        pub fn tick() -> u32 {
            LAZY.with_borrow_mut(|noisy| noisy.0 += 1);
            CONST.set(CONST.get() + 1);
            helper(COUNT.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
        }
        pub fn helper(n: u32) -> u32 { n + 10 }
        pub fn needed_later() -> u32 { unsafe { std::hint::black_box(7) } }
    "#;

    const MAIN: &str = r#"
        use std::ffi::{CStr, CString, c_char, c_void};
        unsafe extern "C" {
            fn dlopen(path: *const c_char, flags: i32) -> *mut c_void;
            fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
            fn dlerror() -> *const c_char;
        }
        fn main() {
            println!("{}", app::tick());
            println!("{:x} .", app::needed_later as *const () as usize);
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).unwrap();
            let path = CString::new(line.trim()).unwrap();
            unsafe {
                let library = dlopen(path.as_ptr(), 2);
                if library.is_null() { panic!("{:?}", CStr::from_ptr(dlerror())); }
                let pairs = *(dlsym(library, c"PAIRS".as_ptr()) as *const [(*const (), *const (), usize); 2]);
                println!("{} {}", pairs[0].0 == app::tick as *const (), pairs[1].0 == app::helper as *const ());
                let tick: fn() -> u32 = std::mem::transmute(pairs[0].1);
                println!("{}", tick());
                std::thread::spawn(move || println!("{}", tick())).join().unwrap();
                let helper: fn(u32) -> u32 = std::mem::transmute(pairs[1].1);
                println!("{:?}", std::panic::catch_unwind(|| helper(u32::MAX)).is_err());
            }
            println!("{} {} {}", app::COUNT.load(std::sync::atomic::Ordering::SeqCst),
                app::LAZY.with_borrow(|noisy| noisy.0), app::CONST.get());
        }
    "#;

    const PATCH: &str = r#"
        extern crate app as scope;
        use scope::*;
        thread_local! { static OWN: std::cell::RefCell<Vec<u32>> = std::cell::RefCell::new(vec![9]); }
        fn tick() -> u32 {
            LAZY.with_borrow_mut(|noisy| noisy.0 += 100);
            CONST.set(CONST.get() + 1000);
            COUNT.fetch_add(10, std::sync::atomic::Ordering::SeqCst);
            OWN.with_borrow_mut(|own| own.push(needed_later()));
            scope::helper(OWN.with_borrow(|own| own.iter().sum()))
        }
        fn helper(n: u32) -> u32 { n.checked_add(500).expect("the patch panics") }
        #[repr(C)] pub struct Pair(*const (), *const (), usize);
        unsafe impl Sync for Pair {}
        #[used] #[unsafe(no_mangle)] #[unsafe(link_section = ".hp_pairs")]
        pub static PAIRS: [Pair; 2] = [
            Pair(scope::tick as *const (), tick as *const (), 0),
            Pair(scope::helper as *const (), helper as *const (), 1),
        ];
    "#;

    /// Library, program, and patch object as DESIGN.md has them; the scope needs no widening here.
    fn build(samples: &Samples, level: &str) -> (PathBuf, Vec<u8>) {
        let state = ["-Cincremental=state", level];
        let library = ["--crate-type=rlib", "-Clink-dead-code", "-Cmetadata=base"];
        samples.rustc(APP, "libapp.rlib", &[&library[..], &state].concat());
        let metadata = [
            "--crate-type=rlib",
            "--emit=metadata,mir",
            "-Cmetadata=base",
        ];
        std::fs::create_dir_all(samples.path("scope")).unwrap();
        samples.rustc(
            APP,
            "scope/libapp",
            &[&metadata[..], &["-Cincremental=scope/state", level]].concat(),
        );
        let program = [
            "--crate-name=main",
            "--extern=app=libapp.rlib",
            "-Clink-dead-code",
            level,
        ];
        let program = samples.rustc(MAIN, "program", &program);
        let patch = samples.object(
            PATCH,
            &["--extern=app=scope/libapp.rmeta", "-Cmetadata=patch", level],
        );
        (program, patch)
    }

    #[test]
    fn a_patch_shares_the_state_of_the_program() {
        for level in ["-Copt-level=0", "-Copt-level=3"] {
            let samples = Samples::new();
            let (program, patch) = build(&samples, level);
            for linker in [Linker::RustLld(rust_lld()), Linker::Cc("cc".into())] {
                let printed = patched_run(&samples, &program, patch.clone(), &linker);
                let expected = "true true\n516\n516\ndropped 101\ntrue\n21 102 1006\ndropped 102\n";
                assert_eq!(printed, expected, "{level} {linker:?}");
            }
        }
    }

    /// Starts the program, links the patch for where it lies, and returns what it prints from then on.
    fn patched_run(
        samples: &Samples,
        program: &Path,
        mut patch: Vec<u8>,
        linker: &Linker,
    ) -> String {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut lines = [String::new(), String::new()];
        for line in &mut lines {
            output.read_line(line).unwrap();
        }
        assert_eq!(lines[0], "10\n");

        let base = BaseImage::parse(&std::fs::read(program).unwrap()).unwrap();
        let object = PatchObject::parse(&patch).unwrap();
        let anchor = object
            .undefined
            .iter()
            .find(|undefined| undefined.name.ends_with("12needed_later"))
            .unwrap();
        let anchor = base.symbols.get(&anchor.name).unwrap().address;
        let address = u64::from_str_radix(lines[1].split_once(' ').unwrap().0, 16).unwrap();
        let moved = address - anchor;

        let reach = |name: &str| base.tls_offset_of(name).map(tls::Reach::Offset);
        tls::rewrite(&mut patch, reach).unwrap();
        let pairs: Vec<_> = object
            .pairs
            .iter()
            .map(|pair| (&pair.old, &pair.new))
            .collect();
        assert!(bind::redirect(&mut patch, &pairs).unwrap() > 0);
        let bound = bind::bind(&mut patch, |name| {
            Some(base.symbols.get(name)?.address + moved)
        })
        .unwrap();
        assert!(
            bound.left.iter().all(|name| base.imports(name)),
            "{:?}",
            bound.left
        );

        let objects = [samples.path("patch.o"), samples.path("table.o")];
        std::fs::write(&objects[0], &patch).unwrap();
        std::fs::write(&objects[1], &bound.table).unwrap();
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap();
        let mut libraries: Vec<PathBuf> = maps
            .lines()
            .filter_map(|line| Some(line[line.find('/')?..].into()))
            .collect();
        libraries.retain(|path| path.extension().is_some_and(|_| path != program));
        libraries.dedup();
        let library = samples.path("patch.so");
        let link = Link {
            objects: &objects,
            libraries: &libraries,
            soname: None,
            output: &library,
        };
        let command = link_command(linker, &link);
        run(Command::new(&command[0]).args(&command[1..]));
        // The entries for the program's symbols are no definitions; the patch's own functions are.
        let image = PatchImage::parse(&std::fs::read(&library).unwrap()).unwrap();
        assert!(
            pairs
                .iter()
                .all(|(old, new)| image.symbols.get(old).is_none()
                    && image.symbols.get(new).is_some())
        );

        writeln!(child.stdin.take().unwrap(), "{}", library.display()).unwrap();
        let mut printed = String::new();
        output.read_to_string(&mut printed).unwrap();
        assert!(child.wait().unwrap().success(), "{printed}");
        printed
    }

    #[test]
    fn a_missing_symbol_fails_the_link() {
        let samples = Samples::new();
        let objects = [samples.path("patch.o")];
        let source = "unsafe extern \"C\" { fn nowhere(); } #[unsafe(no_mangle)] pub fn f() { unsafe { nowhere() } }";
        std::fs::write(&objects[0], samples.object(source, &["-Copt-level=1"])).unwrap();
        let output = samples.path("patch.so");
        for linker in [Linker::RustLld(rust_lld()), Linker::Cc("cc".into())] {
            let command = link_command(
                &linker,
                &Link {
                    objects: &objects,
                    libraries: &[],
                    soname: None,
                    output: &output,
                },
            );
            let result = Command::new(&command[0])
                .args(&command[1..])
                .output()
                .unwrap();
            assert!(!result.status.success());
            assert!(String::from_utf8_lossy(&result.stderr).contains("nowhere"));
        }
    }
}
