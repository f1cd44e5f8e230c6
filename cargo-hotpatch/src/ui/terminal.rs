//! The terminal: whether there is one, how wide it is, whether to use colour, and what a person answers there.
//!
//! Standard input belongs to the program, so keys are read from `/dev/tty`, and never from the background, where reading
//! would stop us.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use crate::args::Color;

/// The width assumed where there is no terminal to ask.
const DEFAULT_WIDTH: usize = 100;

/// What standard error can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    /// Whether it is a terminal that can move its cursor.
    pub is_terminal: bool,
    /// Whether to use colour.
    pub color: bool,
    /// Columns.
    pub width: usize,
    /// Whether it may have a title to show.
    pub takes_titles: bool,
}

impl Terminal {
    /// Looks at standard error, the environment, and the user's `--color`.
    #[must_use]
    pub fn of_stderr(choice: Option<Color>) -> Self {
        Self::of(&io::stderr(), choice)
    }

    /// The same of standard output.
    #[must_use]
    pub fn of_stdout(choice: Option<Color>) -> Self {
        Self::of(&io::stdout(), choice)
    }

    fn of(stream: &(impl IsTerminal + AsFd), choice: Option<Color>) -> Self {
        let env = |name: &str| std::env::var_os(name);
        let is_terminal = stream.is_terminal();
        let dumb = env("TERM").is_some_and(|term| term == "dumb");
        let size = rustix::termios::tcgetwinsize(stream)
            .ok()
            .filter(|size| size.ws_col > 0);
        Self {
            is_terminal: is_terminal && !dumb,
            color: use_color(
                choice,
                env("CARGO_TERM_COLOR").as_deref(),
                env("NO_COLOR").as_deref(),
                is_terminal && !dumb,
            ),
            width: size.map_or(DEFAULT_WIDTH, |size| usize::from(size.ws_col)),
            // The console of the kernel writes what it does not know.
            takes_titles: !env("TERM").is_some_and(|term| term == "dumb" || term == "linux"),
        }
    }
}

/// The option decides, then cargo's variable, then `NO_COLOR`, then whether anybody could see it.
pub(super) fn use_color(
    option: Option<Color>,
    cargo: Option<&OsStr>,
    no_color: Option<&OsStr>,
    is_terminal: bool,
) -> bool {
    let cargo = match cargo.and_then(OsStr::to_str) {
        Some("always") => Some(Color::Always),
        Some("never") => Some(Color::Never),
        _ => None,
    };
    match option.or(cargo).unwrap_or_default() {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => is_terminal && no_color.is_none_or(OsStr::is_empty),
    }
}

/// What the person said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// This time.
    Yes,
    /// Not this time.
    No,
    /// Now and whenever it comes up.
    Always,
    /// Not now, and do not ask again.
    Never,
}

impl Answer {
    /// What a single key says.
    #[must_use]
    pub fn of_key(key: char) -> Option<Self> {
        match key.to_ascii_lowercase() {
            'y' => Some(Self::Yes),
            'n' => Some(Self::No),
            'a' => Some(Self::Always),
            'v' => Some(Self::Never),
            _ => None,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

/// Whether there is somebody to ask: a controlling terminal, and we are not in its background.
#[must_use]
pub fn is_attended() -> bool {
    open_tty().is_ok()
}

pub(super) fn open_tty() -> io::Result<File> {
    let tty = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    if rustix::termios::tcgetpgrp(&tty)? == rustix::process::getpgrp() {
        Ok(tty)
    } else {
        Err(io::Error::other(
            "the terminal belongs to another process group",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_decided_in_order() {
        let cases = [
            (None, None, None, true, true),
            (None, None, None, false, false),
            (None, None, Some("1"), true, false),
            (None, None, Some(""), true, true),
            (None, Some("always"), Some("1"), false, true),
            (None, Some("never"), None, true, false),
            (None, Some("auto"), None, true, true),
            (Some(Color::Never), Some("always"), None, true, false),
            (Some(Color::Always), None, Some("1"), false, true),
            (Some(Color::Auto), Some("always"), None, false, false),
        ];
        for (option, cargo, no_color, is_terminal, expected) in cases {
            let color = use_color(
                option,
                cargo.map(OsStr::new),
                no_color.map(OsStr::new),
                is_terminal,
            );
            assert_eq!(
                color, expected,
                "{option:?} {cargo:?} {no_color:?} {is_terminal}"
            );
        }
    }
}
