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
    /// Relocatable objects: those of the patch and its table of cells.
    pub objects: &'a [PathBuf],
    /// Shared libraries that are loaded in the process already (libc, libgcc_s, the loader, earlier patches);
    /// one becomes a dependency only if the patch takes a symbol from it.
    pub libraries: &'a [PathBuf],
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
    use crate::image::samples::{Samples, rust_lld};
    use std::path::{Path, PathBuf};
    use std::process::Command;

    #[test]
    fn the_two_linkers_get_the_same_options() {
        let objects = [PathBuf::from("patch.o"), PathBuf::from("base.o")];
        let libraries = [PathBuf::from("/lib/libc.so.6")];
        let link = Link {
            objects: &objects,
            libraries: &libraries,
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
