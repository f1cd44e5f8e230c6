//! What a person asked to read, on standard output so that it can go into a pager or a file.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;

/// Says why this program could not do rustc's or the linker's work; cargo shows it as theirs.
pub fn complain(error: &anyhow::Error) {
    let _ = writeln!(io::stderr(), "error: cargo-hotpatch: {error:#}");
}

/// Prints a text whose end is a line's end. A reader who has seen enough and closed the pipe is no error.
pub fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Prints what a shell needs to complete the words of this command.
pub fn completions(shell: Shell) {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "cargo-hotpatch", &mut text);
    print(&String::from_utf8_lossy(&text));
}

/// Writes a manual page for each command.
///
/// # Errors
/// The folder cannot be written.
pub fn manual(folder: &Path) -> Result<u8> {
    let write = || {
        std::fs::create_dir_all(folder)?;
        clap_mangen::generate_to(Cli::command().name("cargo-hotpatch"), folder)
    };
    write().with_context(|| format!("failed to write `{}`", folder.display()))?;
    Ok(0)
}
