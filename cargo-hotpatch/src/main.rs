//! The `cargo-hotpatch` binary: argv in, exit code out.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    cargo_hotpatch::run(std::env::args_os().collect())
}
