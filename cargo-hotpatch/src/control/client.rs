//! The other side: finds sessions and asks them.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Reply, Request, Status, folders, is_private};

/// How long a session may take to say how things stand, which it can at any time.
const STATUS_LIMIT: Duration = Duration::from_secs(10);

/// A connection to a session.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<UnixStream>,
}

impl Connection {
    fn open(path: &Path) -> io::Result<Self> {
        let stream = BufReader::new(UnixStream::connect(path)?);
        Ok(Self { stream })
    }

    /// Another one that asks over the same connection. Answers come to either.
    ///
    /// # Errors
    /// There are too many open files.
    pub fn asking(&self) -> io::Result<UnixStream> {
        self.stream.get_ref().try_clone()
    }

    /// Waits for what comes next however long it takes, from now on.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn endless(&self) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(None)
    }

    /// Asks, and waits for the reply; no longer than `limit`, if there is one. Nothing if it takes longer.
    ///
    /// # Errors
    /// The session is gone, or says what is not understood.
    pub fn ask(&mut self, request: &Request, limit: Option<Duration>) -> Result<Option<Reply>> {
        ask(self.stream.get_ref(), request).context("the session has ended")?;
        self.stream.get_ref().set_read_timeout(limit)?;
        self.hear()
    }

    /// Waits for what comes next; nothing if it takes longer than it was waited for last.
    ///
    /// # Errors
    /// As [`Connection::ask`].
    pub fn hear(&mut self) -> Result<Option<Reply>> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => bail!("the session has ended"),
            Ok(_) => {}
            Err(error) if is_late(&error) => return Ok(None),
            Err(error) => return Err(error).context("the session has ended"),
        }
        let reply = serde_json::from_str(&line);
        reply.context("the session is of another version").map(Some)
    }
}

/// Asks without waiting for a reply.
///
/// # Errors
/// The session is gone.
pub fn ask(mut stream: &UnixStream, request: &Request) -> io::Result<()> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)
}

fn is_late(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// All sessions of this user, each with how things stand, the oldest first.
#[must_use]
pub fn sessions() -> Vec<(Status, Connection)> {
    let mut found = Vec::new();
    let folders = folders().into_iter().filter(|folder| is_private(folder));
    let entries = folders.filter_map(|folder| fs::read_dir(folder).ok());
    for entry in entries.flatten().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "sock") {
            continue;
        }
        match Connection::open(&path) {
            Ok(mut connection) => {
                let reply = connection.ask(&Request::Status {}, Some(STATUS_LIMIT));
                // One that ends just now, or of another version, is none that could be talked to.
                if let Ok(Some(Reply::Status(status))) = reply {
                    found.push((*status, connection));
                }
            }
            // It was killed.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                let _ = fs::remove_file(&path);
            }
            Err(_) => {}
        }
    }
    found.sort_by(|(one, _), (other, _)| one.began.total_cmp(&other.began));
    found
}
