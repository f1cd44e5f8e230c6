//! Signals that ask this tool to end, turned into messages.
//!
//! A signal that was already ignored when the tool started (`nohup`, a background job of a script) stays ignored, for the
//! program as well, because an ignored signal is inherited.

use std::fs;
use std::io;
use std::thread::{self, JoinHandle};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

/// A request to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupt {
    /// The number of the signal.
    pub signal: i32,
}

/// Receives signals until it is dropped.
#[derive(Debug)]
pub struct Interrupts {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Interrupts {
    /// Calls `on_interrupt` on a thread of its own for each SIGINT, SIGTERM and SIGHUP from now on.
    ///
    /// # Errors
    /// When the system refuses the handler or the thread.
    pub fn listen(mut on_interrupt: impl FnMut(Interrupt) + Send + 'static) -> io::Result<Self> {
        let ignored = fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
        let wanted = [SIGINT, SIGTERM, SIGHUP]
            .into_iter()
            .filter(|n| ignored & (1 << (n - 1)) == 0);
        let mut signals = Signals::new(wanted)?;
        let handle = signals.handle();
        let thread = thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for signal in signals.forever() {
                    on_interrupt(Interrupt { signal });
                }
            })?;
        Ok(Self {
            handle,
            thread: Some(thread),
        })
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

/// The mask of ignored signals in the text of `/proc/self/status`.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn a_signal_becomes_a_message() {
        let (sender, receiver) = mpsc::channel();
        let interrupts = Interrupts::listen(move |interrupt| sender.send(interrupt).unwrap());
        let interrupts = interrupts.unwrap();
        // Unlike the others this one is not ignored under `nohup` or in a script's background.
        signal_hook::low_level::raise(SIGTERM).unwrap();
        let interrupt = receiver.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(interrupt, Interrupt { signal: SIGTERM });
        drop(interrupts);
        assert!(receiver.recv().is_err());
    }

    #[test]
    fn the_mask_is_read() {
        assert_eq!(
            ignored("SigBlk:\t0\nSigIgn:\t0000000000001001\nSigCgt:\t0"),
            0x1001
        );
        assert_eq!(ignored("nothing of it"), 0);
    }
}
