//! The session's side: listens, and hands requests on.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::{Reply, Request, folder};

/// What answers requests.
pub trait Answers: Send + Sync + 'static {
    /// Answers at once, or hands the request on and answers later.
    fn answer(&self, request: Request, reply: Sender<Reply>);

    /// All that is said from now on, after what was said last.
    fn attach(&self) -> (Vec<String>, Receiver<String>);
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
}

impl Server {
    /// Listens for a session that is named by this process's id.
    ///
    /// # Errors
    /// There is no place for a socket, or no thread to be had.
    pub fn open(answers: Arc<impl Answers>) -> io::Result<Self> {
        let bind = || {
            let path = folder()?.join(format!("{}.sock", std::process::id()));
            // A process of the same number that could not remove its own.
            let _ = fs::remove_file(&path);
            Ok((UnixListener::bind(&path)?, path))
        };
        // A session that ends takes the folder with it, perhaps just now.
        let (listener, path) = bind().or_else(|_: io::Error| bind())?;
        let server = Self { path };
        thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || {
                for stream in listener.incoming().flatten() {
                    let answers = Arc::clone(&answers);
                    let served = move || drop(serve(&stream, &*answers));
                    // Who cannot be served sees a closed connection.
                    let _ = thread::Builder::new()
                        .name("control".to_owned())
                        .spawn(served);
                }
            })?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The thread ends with the process, and who is connected sees that.
        let _ = fs::remove_file(&self.path);
        // The last one removes the folder.
        let _ = self.path.parent().map(fs::remove_dir);
    }
}

/// Answers the requests of a connection, one after the other.
fn serve(stream: &UnixStream, answers: &impl Answers) -> io::Result<()> {
    for line in BufReader::new(stream).lines() {
        let reply = match serde_json::from_str(&line?) {
            Ok(Request::Attach {}) => {
                attach(stream, answers)?;
                continue;
            }
            Ok(request) => {
                let (sender, reply) = channel();
                answers.answer(request, sender);
                reply.recv().unwrap_or(Reply::Ended {})
            }
            Err(error) => Reply::Failed {
                message: format!("the session does not understand this: {error}"),
            },
        };
        send(stream, &reply)?;
    }
    Ok(())
}

/// Has all that is said sent, beside the answers to what is asked.
fn attach(stream: &UnixStream, answers: &impl Answers) -> io::Result<()> {
    let (before, said) = answers.attach();
    let stream = stream.try_clone()?;
    thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || {
            for text in before.into_iter().chain(said) {
                if send(&stream, &Reply::Said { text }).is_err() {
                    return;
                }
            }
        })?;
    Ok(())
}

fn send(mut stream: &UnixStream, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    // In one piece: two threads may write to a connection.
    stream.write_all(&line)
}
