//! Single keys typed at the terminal, where they cannot be meant for the program.
//!
//! While the program's standard input is not the terminal, or no program runs; and for the answer to a question as long
//! as nobody else waits for the keyboard. What is typed is the program's otherwise, whether it reads it now or later.
//! Keys are read one by one, without Enter and unseen; the terminal is put back at the end. Keys that end or stop
//! programs, as Ctrl-C, keep their meaning.

use std::fs::File;
use std::io::{self, IsTerminal, PipeReader, PipeWriter, Read};
use std::os::fd::AsFd;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};

use super::keyboard;
use super::screen::Screen;
use super::terminal::open_tty;

/// How long to wait in the background, where reading would stop us, before looking again.
const PATIENCE: Duration = Duration::from_millis(200);

/// How often to look whether somebody else waits for the keyboard.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// What is heard of the keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A key was typed.
    Key(u8),
    /// Somebody else waits for the keyboard now: no more keys are read.
    Taken,
}

/// Reads keys until it is dropped.
#[derive(Debug)]
pub struct Keys {
    tty: File,
    screen: Screen,
    before: Termios,
    /// Closing it wakes the thread.
    wake: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Keys {
    /// Whether our own standard input, which the program inherits, is something else than a terminal.
    #[must_use]
    pub fn stdin_is_elsewhere() -> bool {
        !io::stdin().is_terminal()
    }

    /// Calls `on_key` for each key, on a thread of its own; nobody else may want them. While a program has the terminal to
    /// itself, all are its own.
    ///
    /// # Errors
    /// There is no terminal, or it is not ours.
    pub fn read(screen: &Screen, mut on_key: impl FnMut(u8) + Send + 'static) -> io::Result<Self> {
        let hear = move |heard| {
            if let Heard::Key(key) = heard {
                on_key(key);
            }
        };
        Self::start(open_tty()?, screen, false, hear)
    }

    /// Reads keys as long as nobody else waits for them.
    ///
    /// # Errors
    /// There is no terminal, it is not ours, the program reads it, or has put it into a mode of its own.
    pub fn borrow(screen: &Screen, hear: impl FnMut(Heard) + Send + 'static) -> io::Result<Self> {
        let tty = open_tty()?;
        let by_line = LocalModes::ICANON | LocalModes::ECHO;
        if !tcgetattr(&tty)?.local_modes.contains(by_line) || keyboard::is_awaited() {
            return Err(io::Error::other("the keyboard is the program's"));
        }
        Self::start(tty, screen, true, hear)
    }

    fn start(
        tty: File,
        screen: &Screen,
        borrowed: bool,
        hear: impl FnMut(Heard) + Send + 'static,
    ) -> io::Result<Self> {
        let before = tcgetattr(&tty)?;
        let mut modes = before.clone();
        modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        screen.reads_keys(Some(&modes));
        tcsetattr(&tty, OptionalActions::Now, &modes)?;
        let mut keys = Self {
            tty,
            screen: screen.clone(),
            before,
            wake: None,
            thread: None,
        };
        let (woken, wake) = io::pipe()?;
        let tty = keys.tty.try_clone()?;
        let screen = screen.clone();
        keys.wake = Some(wake);
        keys.thread = Some(
            thread::Builder::new()
                .name("keys".to_owned())
                .spawn(move || {
                    let _ = read_keys(tty, &screen, &woken, borrowed, hear);
                })?,
        );
        Ok(keys)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // From the background this would stop us, and the shell has put its own modes in place; and a program that has the
        // terminal to itself keeps it.
        if is_foreground(&self.tty) && !self.screen.is_taken() {
            let _ = tcsetattr(&self.tty, OptionalActions::Now, &self.before);
        }
        self.screen.reads_keys(None);
    }
}

fn is_foreground(tty: impl AsFd) -> bool {
    tcgetpgrp(tty).is_ok_and(|group| group == rustix::process::getpgrp())
}

fn read_keys(
    mut tty: File,
    screen: &Screen,
    woken: &PipeReader,
    borrowed: bool,
    mut hear: impl FnMut(Heard),
) -> io::Result<()> {
    let pause = borrowed.then_some(&LOOK);
    loop {
        if borrowed && (screen.is_taken() || keyboard::is_awaited()) {
            hear(Heard::Taken);
            return Ok(());
        }
        let mut fds = [
            PollFd::new(&tty, PollFlags::IN),
            PollFd::new(woken, PollFlags::IN),
        ];
        match poll(&mut fds, pause) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        let [typed, woken] = fds.map(|fd| !fd.revents().is_empty());
        if woken {
            return Ok(());
        }
        if !typed {
            continue;
        }
        // A password may be asked for at the terminal by a program whose standard input is elsewhere.
        if !is_foreground(&tty) || screen.is_taken() || keyboard::is_awaited() {
            thread::sleep(PATIENCE);
            continue;
        }
        let mut key = [0];
        match tty.read(&mut key) {
            Ok(0) => return Ok(()),
            Ok(_) => hear(Heard::Key(key[0])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
