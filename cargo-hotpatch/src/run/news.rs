//! What the program's `keep` tells unasked, received beside the agent's socket.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use hotpatch_rt::news::{News, SOCKET};

/// Larger than any news.
const ROOM: usize = 16 << 10;

/// Receives news until it is dropped.
#[derive(Debug)]
pub struct Newsroom {
    socket: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Newsroom {
    /// Listens in `folder`, and calls `on_news` on a thread of its own.
    ///
    /// # Errors
    /// The socket or the thread cannot be made.
    pub fn open(folder: &Path, on_news: impl Fn(News) + Send + 'static) -> io::Result<Self> {
        let path = folder.join(SOCKET);
        let socket = UnixDatagram::bind(&path)?;
        let thread = thread::Builder::new()
            .name("news".to_owned())
            .spawn(move || {
                let mut bytes = vec![0; ROOM];
                loop {
                    match socket.recv(&mut bytes) {
                        // No news is empty: this is ours, see `drop`.
                        Ok(0) => break,
                        Ok(count) => {
                            if let Some(news) = News::decode(&bytes[..count]) {
                                on_news(news);
                            }
                        }
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(_) => break,
                    }
                }
            })?;
        Ok(Self {
            socket: path,
            thread: Some(thread),
        })
    }
}

impl Drop for Newsroom {
    /// Takes in what was sent before, then ends.
    fn drop(&mut self) {
        let end = UnixDatagram::unbound().and_then(|it| it.send_to(&[], &self.socket));
        if let Some(thread) = self.thread.take()
            && end.is_ok()
        {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn all_news_arrive_before_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, receiver) = mpsc::channel();
        let room = Newsroom::open(folder.path(), move |news| sender.send(news).unwrap()).unwrap();
        let news = |name: &str| News::Dropped {
            name: name.to_owned(),
            why: "missing field `x`".to_owned(),
        };
        let socket = UnixDatagram::unbound().unwrap();
        let to = folder.path().join(SOCKET);
        for bytes in [news("a").encode(), b"garbage".to_vec(), news("b").encode()] {
            socket.send_to(&bytes, &to).unwrap();
        }
        drop(room);
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [news("a"), news("b")]);
    }
}
