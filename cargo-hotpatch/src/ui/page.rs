//! What a person asked to read, on standard output so that it can go into a pager or a file.

use std::io::{self, Write};

/// Prints a text whose end is a line's end. A reader who has seen enough and closed the pipe is no error.
pub fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}
