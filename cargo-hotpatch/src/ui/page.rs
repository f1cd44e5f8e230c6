//! What a person asked to read, on standard output so that it can go into a pager or a file.

use std::io::{self, Write};

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
