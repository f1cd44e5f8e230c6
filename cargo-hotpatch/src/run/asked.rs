//! What the program asks of itself, see `hotpatch_rt::functions` and its like: answered beside the agent's socket.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hotpatch_rt::ask::{self, SOCKET};

/// How long a program may take over its own question.
const LIMIT: Duration = Duration::from_secs(10);

/// A question or an answer.
pub type Lists = Vec<Vec<String>>;

/// Answers until it is dropped.
#[derive(Debug)]
pub struct Asked {
    socket: PathBuf,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Asked {
    /// Listens in `folder`; `answer` is called on a thread for each question.
    ///
    /// # Errors
    /// The socket or the thread cannot be made.
    pub fn open(
        folder: &Path,
        answer: impl Fn(Lists) -> Lists + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let path = folder.join(SOCKET);
        let listener = UnixListener::bind(&path)?;
        let answer = Arc::new(answer);
        let ends = Arc::new(AtomicBool::new(false));
        let is_over = ends.clone();
        let thread = thread::Builder::new()
            .name("asked".to_owned())
            .spawn(move || {
                for stream in listener.incoming() {
                    let Ok(stream) = stream else { continue };
                    if is_over.load(Ordering::SeqCst) {
                        break;
                    }
                    let answer = answer.clone();
                    // Without a thread nobody answers, which is told by the end of the connection.
                    let _ = thread::Builder::new()
                        .name("answer".to_owned())
                        .spawn(move || drop(converse(stream, &*answer)));
                }
            })?;
        Ok(Self {
            socket: path,
            ends,
            thread: Some(thread),
        })
    }
}

fn converse(mut stream: UnixStream, answer: &dyn Fn(Lists) -> Lists) -> io::Result<()> {
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let question = ask::read(&mut stream)?;
    ask::write(&mut stream, &answer(question))
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Wakes the one who waits for the next question.
        let woken = UnixStream::connect(&self.socket);
        if let (Some(thread), Ok(_)) = (self.thread.take(), woken) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_answered_until_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let asked = Asked::open(folder.path(), |mut question| {
            question.push(vec!["answer".to_owned()]);
            question
        });
        let asked = asked.unwrap();
        let socket = folder.path().join(SOCKET);
        for word in ["a", "b"] {
            let mut stream = UnixStream::connect(&socket).unwrap();
            ask::write(&mut stream, &[vec![word.to_owned()]]).unwrap();
            let answer = ask::read(&mut stream).unwrap();
            assert_eq!(answer, [vec![word.to_owned()], vec!["answer".to_owned()]]);
        }
        // Who says nothing holds up nobody.
        let _silent = UnixStream::connect(&socket).unwrap();
        drop(asked);
        assert!(UnixStream::connect(&socket).is_err());
    }
}
