//! Whose the screen is: ours to write to, or that of a program that draws on all of it.
//!
//! A program that takes keys one by one (raw mode, or the mode that curses sets) has a picture of its own of what the screen
//! shows, and a line of ours would stay in it. While one has the terminal, what there is to say waits, and the window's title
//! shows the last of it. Once the terminal hands over lines again, what waited is written.
//!
//! That a program draws is seen by the terminal's modes, which every such program sets. One that only switches to the
//! alternate screen and stays in line mode cannot be told from one that writes lines.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

use super::keyboard;

/// How many texts are kept for those who come late.
const LAST: usize = 40;

/// How often to look whether the terminal is back, and whether the program has stopped drawing.
const GLANCE: Duration = Duration::from_millis(40);
/// How often at least, where it draws all the time.
const RARELY: Duration = Duration::from_millis(500);

/// What a full-screen program may have left behind that died: the alternate screen, a hidden cursor, mouse and focus
/// reports, bracketed paste, application keys, colours. The cursor goes to the last line, below whatever is shown. Each of
/// these does nothing where it is so already (XTerm Control Sequences, and the kitty keyboard protocol).
const RESET: &str = "\x1b[?1047l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[?1l\
                     \x1b>\x1b[<u\x1b[0m\x1b[999;1H\r\n";

/// Our terminal, and what of it standard error shows.
#[derive(Debug, Clone)]
pub struct Screen {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The terminal, whatever standard error is.
    tty: Option<File>,
    /// Standard error is a terminal.
    is_terminal: bool,
    takes_titles: bool,
    /// How the terminal was when we came.
    before: Option<Termios>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What is to be written once the screen is ours.
    waiting: String,
    /// The title that is to be shown as soon as the program does not draw.
    title: Option<String>,
    /// The title is ours, and the one before is kept by the terminal.
    has_title: bool,
    /// The modes that we have set to read keys.
    keys: Option<Termios>,
    /// Who else wants to read what is said.
    listeners: Vec<Sender<String>>,
    /// What was said last, for those who come late.
    last: VecDeque<String>,
    /// A thread looks after what waits.
    is_attended: bool,
}

impl Screen {
    /// That of standard error; `takes_titles` says whether it can show any.
    #[must_use]
    pub fn of_stderr(is_terminal: bool, takes_titles: bool) -> Self {
        let tty = File::options().read(true).write(true).open("/dev/tty").ok();
        let before = tty.as_ref().filter(|tty| is_foreground(tty));
        let before = before.and_then(|tty| tcgetattr(tty).ok());
        Self {
            shared: Arc::new(Shared {
                tty,
                is_terminal,
                takes_titles: takes_titles && is_terminal,
                before,
                state: Mutex::default(),
            }),
        }
    }

    /// Writes a text, now or once the screen is ours.
    pub fn write(&self, text: &str) {
        let mut state = self.lock();
        state
            .listeners
            .retain(|listener| listener.send(text.to_owned()).is_ok());
        if state.last.len() == LAST {
            state.last.pop_front();
        }
        state.last.push_back(text.to_owned());
        state.waiting += text;
        if self.shared.is_terminal && self.shared.is_taken(&state) {
            self.attend(&mut state);
        } else {
            self.shared.flush(&mut state);
        }
    }

    /// Shows a title for what was said last, if somebody else has the screen.
    pub fn title(&self, text: &str) {
        let mut state = self.lock();
        if self.shared.takes_titles && self.shared.is_taken(&state) {
            let printable = text.chars().filter(|char| !char.is_control());
            state.title = Some(printable.collect());
            self.attend(&mut state);
        }
    }

    /// Whether a program has the terminal to itself.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.shared.is_taken(&self.lock())
    }

    /// Whether somebody reads along.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        let mut state = self.lock();
        // Who is gone is only seen when something is said.
        let is_there = |listener: &Sender<String>| listener.send(String::new()).is_ok();
        state.listeners.retain(is_there);
        !state.listeners.is_empty()
    }

    /// Gives what was said last, and all that is said from now on, as it would stand on the screen.
    #[must_use]
    pub fn listen(&self) -> (Vec<String>, Receiver<String>) {
        let (sender, receiver) = channel();
        let mut state = self.lock();
        state.listeners.push(sender);
        (state.last.iter().cloned().collect(), receiver)
    }

    /// We read keys with these modes, or none any more.
    pub(super) fn reads_keys(&self, modes: Option<&Termios>) {
        self.lock().keys = modes.cloned();
    }

    /// Puts the terminal back as it was before a program, which has ended, and writes what waited.
    pub fn put_back(&self) {
        let mut state = self.lock();
        let wanted = state.keys.as_ref().or(self.shared.before.as_ref());
        // From the background this would stop us, and the shell has put its own modes in place.
        let tty = self.shared.tty.as_ref().filter(|tty| is_foreground(tty));
        if let (Some(wanted), Some(mut tty)) = (wanted, tty)
            && let Ok(now) = tcgetattr(tty)
            && !are_same(wanted, &now)
        {
            let _ = tcsetattr(tty, OptionalActions::Now, wanted);
            if !is_by_line(&now) {
                let _ = tty.write_all(RESET.as_bytes());
            }
        }
        self.shared.flush(&mut state);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    /// Sees that what waits is written in time.
    fn attend(&self, state: &mut State) {
        if state.is_attended {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let started = thread::Builder::new()
            .name("screen".to_owned())
            .spawn(move || shared.attend());
        // Without a thread the next text brings along what waits.
        state.is_attended = started.is_ok();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_taken(&self, state: &State) -> bool {
        let tty = self.tty.as_ref().filter(|tty| is_foreground(tty));
        let Some(Ok(now)) = tty.map(tcgetattr) else {
            return false;
        };
        let own = [state.keys.as_ref(), self.before.as_ref()];
        !is_by_line(&now) && !own.into_iter().flatten().any(|own| are_same(own, &now))
    }

    fn flush(&self, state: &mut State) {
        let mut text = String::new();
        if std::mem::take(&mut state.has_title) {
            // The title that was there before.
            text += "\x1b[23;2t";
        }
        state.title = None;
        text += &std::mem::take(&mut state.waiting);
        write(&text);
    }

    /// Waits for the screen to be ours, and for the moments in which a title can be shown.
    fn attend(&self) {
        let mut pause = GLANCE;
        loop {
            thread::sleep(pause);
            let mut state = self.lock();
            if !self.is_taken(&state) {
                self.flush(&mut state);
                state.is_attended = false;
                return;
            }
            // In the middle of a sequence of the program's ours would break it.
            if state.title.is_some() && keyboard::is_busy() {
                pause = (pause * 2).min(RARELY);
                continue;
            }
            pause = GLANCE;
            if let Some(title) = state.title.take() {
                let mut text = String::new();
                if !std::mem::replace(&mut state.has_title, true) {
                    // The terminal keeps the one that was there before.
                    text += "\x1b[22;2t";
                }
                let _ = write!(text, "\x1b]2;{title}\x07");
                write(&text);
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut state =
            std::mem::take(self.state.get_mut().unwrap_or_else(PoisonError::into_inner));
        self.flush(&mut state);
    }
}

/// In one piece, so that it is not mixed with what the program writes.
fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    // A closed terminal must not end the session.
    let _ = stderr
        .write_all(text.as_bytes())
        .and_then(|()| stderr.flush());
}

fn is_foreground(tty: &File) -> bool {
    tcgetpgrp(tty).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// Whether the terminal hands over whole lines.
fn is_by_line(modes: &Termios) -> bool {
    modes.local_modes.contains(LocalModes::ICANON)
}

fn are_same(one: &Termios, other: &Termios) -> bool {
    (one.input_modes, one.output_modes, one.local_modes)
        == (other.input_modes, other.output_modes, other.local_modes)
}
