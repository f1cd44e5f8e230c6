//! The terminal: whether there is one, how wide it is, whether to use colour, and questions to the person at it.
//!
//! Standard input belongs to the program, so questions go through `/dev/tty`, and never from the background, where
//! reading would stop us. The words of a question are the caller's.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};

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
}

impl Terminal {
    /// Looks at standard error, the environment, and the user's `--color`.
    #[must_use]
    pub fn of_stderr(choice: Option<Color>) -> Self {
        let env = |name: &str| std::env::var_os(name);
        let stderr = io::stderr();
        let is_terminal = stderr.is_terminal();
        let dumb = env("TERM").is_some_and(|term| term == "dumb");
        let size = rustix::termios::tcgetwinsize(&stderr)
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
    pub fn of_key(key: u8) -> Option<Self> {
        match key.to_ascii_lowercase() {
            b'y' => Some(Self::Yes),
            b'n' => Some(Self::No),
            b'a' => Some(Self::Always),
            b'v' => Some(Self::Never),
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

    fn parse(line: &str) -> Option<Self> {
        match line.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Some(Self::Yes),
            "n" | "no" | "" => Some(Self::No),
            "a" | "always" => Some(Self::Always),
            "never" => Some(Self::Never),
            _ => None,
        }
    }
}

/// A question that waits for its answer. Dropping it takes the question back.
#[derive(Debug)]
pub struct Question {
    /// Closing it wakes the thread.
    taken_back: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Question {
    /// Whether there is somebody to ask: a controlling terminal, and we are not in its background.
    #[must_use]
    pub fn is_possible() -> bool {
        open_tty().is_ok()
    }

    /// Shows `prompt` and calls `on_answer`, on a thread of its own, when the person has answered. The prompt is repeated
    /// after an answer that is none. Never calls it when the terminal goes away or the question is taken back.
    ///
    /// # Errors
    /// When there is nobody to ask.
    pub fn ask(prompt: &str, on_answer: impl FnOnce(Answer) + Send + 'static) -> io::Result<Self> {
        let tty = open_tty()?;
        let (wake, taken_back) = io::pipe()?;
        let prompt = prompt.to_owned();
        let thread = thread::Builder::new()
            .name("question".to_owned())
            .spawn(move || {
                if let Ok(Some(answer)) = converse(tty, &wake, &prompt) {
                    on_answer(answer);
                }
            })?;
        Ok(Self {
            taken_back: Some(taken_back),
            thread: Some(thread),
        })
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.taken_back = None;
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }
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

/// Asks on `tty` until there is an answer, the terminal is gone, or `wake` is closed.
fn converse(
    mut tty: impl Read + Write + AsFd,
    wake: &PipeReader,
    prompt: &str,
) -> io::Result<Option<Answer>> {
    let mut line = Vec::new();
    tty.write_all(prompt.as_bytes())?;
    loop {
        let mut fds = [
            PollFd::new(&tty, PollFlags::IN),
            PollFd::new(wake, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        let [typed, woken] = fds.map(|fd| !fd.revents().is_empty());
        if woken {
            // What comes next begins on a line of its own.
            tty.write_all(b"\n")?;
            return Ok(None);
        }
        if !typed {
            continue;
        }
        let mut chunk = [0; 256];
        let count = tty.read(&mut chunk)?;
        if count == 0 {
            return Ok(None);
        }
        line.extend_from_slice(&chunk[..count]);
        // A program that put the terminal into raw mode makes the return key a `\r`.
        while let Some(end) = line.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let rest = line.split_off(end + 1);
            if let Some(answer) = Answer::parse(&String::from_utf8_lossy(&line)) {
                return Ok(Some(answer));
            }
            line = rest;
            tty.write_all(prompt.as_bytes())?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

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

    /// Types `typed` and gives what was answered and what was shown.
    fn dialogue(typed: &str) -> (Option<Answer>, String) {
        let (tty, mut person) = UnixStream::pair().unwrap();
        let (wake, _hold) = io::pipe().unwrap();
        person.write_all(typed.as_bytes()).unwrap();
        person.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = converse(tty, &wake, "restart? ").unwrap();
        let mut shown = String::new();
        person.read_to_string(&mut shown).unwrap();
        (answer, shown)
    }

    #[test]
    fn answers_are_understood() {
        for (typed, answer) in [
            ("y\n", Answer::Yes),
            ("Yes\r", Answer::Yes),
            ("n\n", Answer::No),
            ("\n", Answer::No),
            (" always \n", Answer::Always),
            ("never\n", Answer::Never),
        ] {
            assert_eq!(
                dialogue(typed),
                (Some(answer), "restart? ".to_owned()),
                "{typed:?}"
            );
        }
    }

    #[test]
    fn what_is_no_answer_is_asked_again() {
        assert_eq!(
            dialogue("what\ny\n"),
            (Some(Answer::Yes), "restart? restart? ".to_owned())
        );
        assert_eq!(dialogue("yea"), (None, "restart? ".to_owned()));
    }

    #[test]
    fn a_question_can_be_taken_back() {
        let (tty, mut person) = UnixStream::pair().unwrap();
        let (wake, hold) = io::pipe().unwrap();
        let asked = thread::spawn(move || converse(tty, &wake, "restart? ").unwrap());
        drop(hold);
        assert_eq!(asked.join().unwrap(), None);
        let mut shown = String::new();
        person.read_to_string(&mut shown).unwrap();
        assert_eq!(shown, "restart? \n");
    }
}
