//! Single keys typed at the terminal, where they cannot be meant for the program.
//!
//! Only while the program's standard input is not the terminal, or no program runs: what is typed is the
//! program's otherwise, whether it reads it now or later. Keys are read one by one, without Enter and unseen;
//! the terminal is put back at the end. Keys that end or stop programs, as Ctrl-C, keep their meaning.

use std::fs::File;
use std::io::{self, IsTerminal, PipeReader, PipeWriter, Read};
use std::os::fd::AsFd;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};

use super::terminal::open_tty;

/// How long to wait in the background, where reading would stop us, before looking again.
const PATIENCE: Duration = Duration::from_millis(200);

/// Reads keys until it is dropped.
#[derive(Debug)]
pub struct Keys {
    tty: File,
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

    /// Calls `on_key` for each key, on a thread of its own.
    ///
    /// # Errors
    /// There is no terminal, or it is not ours.
    pub fn read(on_key: impl FnMut(u8) + Send + 'static) -> io::Result<Self> {
        let tty = open_tty()?;
        let before = tcgetattr(&tty)?;
        let mut modes = before.clone();
        modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&tty, OptionalActions::Now, &modes)?;
        let mut keys = Self {
            tty,
            before,
            wake: None,
            thread: None,
        };
        let (woken, wake) = io::pipe()?;
        let tty = keys.tty.try_clone()?;
        keys.wake = Some(wake);
        keys.thread = Some(
            thread::Builder::new()
                .name("keys".to_owned())
                .spawn(move || {
                    let _ = read_keys(tty, &woken, on_key);
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
        // From the background this would stop us, and the shell has put its own modes in place.
        if is_foreground(&self.tty) {
            let _ = tcsetattr(&self.tty, OptionalActions::Now, &self.before);
        }
    }
}

fn is_foreground(tty: impl AsFd) -> bool {
    tcgetpgrp(tty).is_ok_and(|group| group == rustix::process::getpgrp())
}

fn read_keys(mut tty: File, woken: &PipeReader, mut on_key: impl FnMut(u8)) -> io::Result<()> {
    loop {
        let mut fds = [
            PollFd::new(&tty, PollFlags::IN),
            PollFd::new(woken, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
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
        if !is_foreground(&tty) {
            thread::sleep(PATIENCE);
            continue;
        }
        let mut key = [0];
        match tty.read(&mut key) {
            Ok(0) => return Ok(()),
            Ok(_) => on_key(key[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
