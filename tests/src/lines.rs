//! A child's output as it comes: lines to wait for, or text to show when a test fails.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};

/// Lines read by a thread of their own.
pub struct Lines(Receiver<String>);

impl Lines {
    /// Reads `source` until it ends.
    pub fn of(source: impl Read + Send + 'static) -> Lines {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while matches!(source.read_until(b'\n', &mut line), Ok(read) if read > 0) {
                let text = String::from_utf8_lossy(&line);
                if sender
                    .send(text.trim_end_matches(['\n', '\r']).to_owned())
                    .is_err()
                {
                    break;
                }
                line.clear();
            }
        });
        Lines(receiver)
    }

    /// The next line, if it comes within `limit`.
    pub fn next(&self, limit: Duration) -> Result<String> {
        match self.0.recv_timeout(limit) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => bail!("no line came within {limit:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("the output ended"),
        }
    }

    /// The lines that came and were not asked for.
    pub fn rest(&self) -> Vec<String> {
        self.0.try_iter().collect()
    }
}

/// Text gathered by a thread of its own.
#[derive(Clone, Default)]
pub struct Text(Arc<Mutex<Gathered>>);

#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    ended: bool,
}

impl Text {
    /// Gathers `source` until it ends.
    pub fn of(mut source: impl Read + Send + 'static) -> Text {
        let text = Text::default();
        let shared = text.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = source.read(&mut chunk) {
                shared.lock().bytes.extend_from_slice(&chunk[..read]);
            }
            shared.lock().ended = true;
        });
        text
    }

    /// What came so far.
    pub fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    /// Whether there is nothing more to come.
    pub fn has_ended(&self) -> bool {
        self.lock().ended
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
