//! Compiles the small programs that the tests of `image` and `patch` look at.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory with compiled samples, removed at the end of a test.
pub(crate) struct Samples {
    directory: tempfile::TempDir,
}

impl Samples {
    pub(crate) fn new() -> Self {
        Samples {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// A path in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Compiles a source file with v0 symbols, as `app` unless the arguments say otherwise. `output` is relative
    /// to the directory.
    pub(crate) fn rustc(&self, source: &str, output: &str, arguments: &[&str]) -> PathBuf {
        let root = self.path("app.rs");
        std::fs::write(&root, source).unwrap();
        let mut command = Command::new("rustc");
        command.current_dir(self.directory.path()).arg(&root).args([
            "--edition=2024",
            "-Awarnings",
            "-o",
            output,
        ]);
        command.arg("-Csymbol-mangling-version=v0").args(arguments);
        if !arguments
            .iter()
            .any(|argument| argument.starts_with("--crate-name"))
        {
            command.arg("--crate-name=app");
        }
        run(&mut command);
        self.path(output)
    }

    /// Compiles a library to a single relocatable object.
    pub(crate) fn object(&self, source: &str, arguments: &[&str]) -> Vec<u8> {
        let fixed = ["--crate-type=rlib", "--emit=obj", "-Ccodegen-units=1"];
        std::fs::read(self.rustc(source, "app.o", &[&fixed, arguments].concat())).unwrap()
    }
}

/// Runs a command that has to succeed and returns what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{errors}",
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The toolchain's lld.
pub(crate) fn rust_lld() -> PathBuf {
    let sysroot = run(Command::new("rustc").args(["--print", "sysroot"]));
    Path::new(sysroot.trim()).join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld")
}
