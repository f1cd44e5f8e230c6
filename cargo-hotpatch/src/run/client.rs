//! The tool's half of the conversation with the agent in the running program.
//!
//! Each program gets a [`Rendezvous`] of its own: a folder that only this user can enter, and a token that only the
//! program we start is told. No step waits for ever: a program that is stopped or sits in a debugger leads to an error that
//! says so.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use hotpatch_rt::wire::{
    AGENT_ENV, BuildId, LibraryList, MAX_FRAME, PROTOCOL, Redirect, Request, Response, ValueAt,
};
use tempfile::TempDir;

/// How long the agent may take to answer.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// How often a program that just started is looked at for its socket.
const POLL: Duration = Duration::from_millis(1);
/// Linux allows 108 bytes for a socket's path, the closing zero included.
const SOCKET_PATH_MAX: usize = 107;
const SOCKET_NAME: &str = "agent";

/// Why the agent did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It looked at the request and said no; nothing in the program changed.
    #[error("the agent refused: {0}")]
    Refused(String),
    /// The program has places where it lets patches go live, and did not come to one in time; nothing changed.
    #[error("the program did not come to a checkpoint")]
    NoCheckpoint,
    /// The connection is gone: the program ended, or closed a socket that is not its own.
    #[error("the agent in the program is gone")]
    AgentGone(#[source] Option<io::Error>),
    /// No answer in time.
    #[error("the program did not answer within {} s; is it stopped or held by a debugger?", .0.as_secs())]
    Silent(Duration),
    /// No agent came to the rendezvous.
    #[error("the program did not start its agent within {} s", .0.as_secs())]
    NeverCame(Duration),
    /// An answer to a question that was not asked.
    #[error("the agent answered with something unexpected: {0}")]
    Garbled(String),
    /// The meeting place could not be made.
    #[error("failed to prepare {} for talking to the program", path.display())]
    Rendezvous {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// When slots are led elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publish {
    /// Where the program lets patches go live, if it says so.
    AtCheckpoint,
    /// At once: to what does the same, or to what must not go on.
    AtOnce,
}

/// Where tool and program meet, made before the program starts. Dropping it removes the folder.
#[derive(Debug)]
pub struct Rendezvous {
    folder: TempDir,
    token: String,
}

impl Rendezvous {
    /// Makes a fresh folder and a fresh token.
    ///
    /// # Errors
    /// [`ClientError::Rendezvous`] when neither `$XDG_RUNTIME_DIR` nor a temporary folder can hold a socket.
    pub fn new() -> Result<Self, ClientError> {
        let folder = private_folder()?;
        let token = random_token().map_err(|source| ClientError::Rendezvous {
            path: "/dev/urandom".into(),
            source,
        })?;
        Ok(Self { folder, token })
    }

    /// The environment variable that tells the program where to listen.
    #[must_use]
    pub fn env(&self) -> (OsString, OsString) {
        let mut value = OsString::from(&self.token);
        value.push(":");
        value.push(self.socket());
        (AGENT_ENV.into(), value)
    }

    /// The folder, which only this user can enter. Patches may lie there too.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join(SOCKET_NAME)
    }

    /// Shows the program what was kept in `folder`, as long as that is there. Call it before the program starts.
    ///
    /// # Errors
    /// [`ClientError::Rendezvous`] when the link cannot be made.
    pub fn show_kept(&self, folder: &Path) -> Result<(), ClientError> {
        let link = self.folder().join(hotpatch_rt::news::KEPT);
        std::os::unix::fs::symlink(folder, &link)
            .map_err(|source| ClientError::Rendezvous { path: link, source })
    }

    /// Waits for the program's agent and greets it; gives up after `limit` or when `still_running` says no.
    ///
    /// # Errors
    /// [`ClientError::AgentGone`] when the program ended first, [`ClientError::NeverCame`] when time was up.
    pub fn connect(
        &self,
        limit: Duration,
        still_running: impl Fn() -> bool,
    ) -> Result<Client, ClientError> {
        let deadline = Instant::now() + limit;
        let stream = loop {
            match UnixStream::connect(self.socket()) {
                Ok(stream) => break stream,
                // The socket does not exist yet, or is bound and does not listen yet.
                Err(error) if not_there_yet(&error) => {}
                Err(error) => return Err(ClientError::AgentGone(Some(error))),
            }
            if !still_running() {
                return Err(ClientError::AgentGone(None));
            }
            if Instant::now() >= deadline {
                return Err(ClientError::NeverCame(limit));
            }
            thread::sleep(POLL);
        };
        Client::greet(stream, &self.token, ANSWER_LIMIT)
    }
}

fn not_there_yet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// A new folder with mode 0700 and a path short enough for a socket in it.
///
/// # Errors
/// [`ClientError::Rendezvous`] when no place allows one.
pub fn private_folder() -> Result<TempDir, ClientError> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtime = runtime.filter(|path| path.is_absolute() && is_ours(path));
    let places = runtime
        .into_iter()
        .chain([std::env::temp_dir(), PathBuf::from("/tmp")]);
    let mut failure = None;
    for place in places {
        // ".hotpatch-XXXXXX" and "/agent".
        if place.as_os_str().len() + 1 + 16 + 1 + SOCKET_NAME.len() > SOCKET_PATH_MAX {
            continue;
        }
        match private_folder_in(&place) {
            Ok(folder) => return Ok(folder),
            Err(source) => {
                failure = Some(ClientError::Rendezvous {
                    path: place,
                    source,
                })
            }
        }
    }
    Err(failure.expect("invariant: `/tmp` is short enough to be tried"))
}

fn private_folder_in(place: &Path) -> io::Result<TempDir> {
    let mode = fs::Permissions::from_mode(0o700);
    let folder = tempfile::Builder::new()
        .prefix("hotpatch-")
        .permissions(mode.clone())
        .tempdir_in(place)?;
    // A folder's mode at creation can be narrowed by the umask; ours must be enterable.
    fs::set_permissions(folder.path(), mode)?;
    Ok(folder)
}

/// Another user's runtime folder (under `sudo`, say) is not ours to use.
fn is_ours(path: &Path) -> bool {
    fs::metadata(path)
        .is_ok_and(|meta| meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw())
}

fn random_token() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What was saved of what a program keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saved {
    /// Names of the values that were.
    pub names: Vec<String>,
    /// Names of those that were not, with the reason.
    pub failed: Vec<(String, String)>,
}

/// An open conversation with the agent of one program.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    limit: Duration,
    pid: u32,
    bias: u64,
    image: BuildId,
}

impl Client {
    fn greet(stream: UnixStream, token: &str, limit: Duration) -> Result<Self, ClientError> {
        stream.set_read_timeout(Some(limit)).map_err(gone)?;
        stream.set_write_timeout(Some(limit)).map_err(gone)?;
        let mut client = Self {
            stream,
            limit,
            pid: 0,
            bias: 0,
            image: BuildId(Vec::new()),
        };
        match client.ask(&Request::Hello {
            protocol: PROTOCOL,
            token: token.to_owned(),
        })? {
            Response::Hello { pid, bias, image } => Ok(Self {
                pid,
                bias,
                image,
                ..client
            }),
            other => Err(garbled(&other)),
        }
    }

    /// The process the agent lives in.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Load bias of the program.
    #[must_use]
    pub fn bias(&self) -> u64 {
        self.bias
    }

    /// Build id of the program.
    #[must_use]
    pub fn image(&self) -> &BuildId {
        &self.image
    }

    /// Maps the library at `path`, linked for `image`, into the program; returns its load bias. No slot changes.
    ///
    /// # Errors
    /// [`ClientError::Refused`] leaves the program as it was; any other error ends the conversation.
    pub fn load(
        &mut self,
        generation: u32,
        path: &Path,
        image: &BuildId,
    ) -> Result<u64, ClientError> {
        let request = Request::Load {
            generation,
            path: path.to_owned(),
            image: image.clone(),
        };
        match self.ask(&request)? {
            Response::Loaded { bias } => Ok(bias),
            other => Err(garbled(&other)),
        }
    }

    /// Leads all the cells to their functions or, when one of them is refused, none; returns how many were led.
    ///
    /// # Errors
    /// As [`Client::load`].
    pub fn redirect(&mut self, redirects: Vec<Redirect>, at: Publish) -> Result<u32, ClientError> {
        let request = Request::Redirect {
            redirects,
            at_checkpoint: at == Publish::AtCheckpoint,
        };
        match self.ask(&request)? {
            Response::Redirected { count } => Ok(count),
            Response::NoCheckpoint => Err(ClientError::NoCheckpoint),
            other => Err(garbled(&other)),
        }
    }

    /// Reads the value of a static, and sets it if there is another: its bytes as they were, see [`Request::Value`].
    ///
    /// # Errors
    /// As [`Client::load`].
    pub fn value(
        &mut self,
        at: ValueAt,
        new: Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, ClientError> {
        match self.ask(&Request::Value { at, new })? {
            Response::Value { was } => Ok(was),
            other => Err(garbled(&other)),
        }
    }

    /// Tells the program that a generation is live, in which these functions have other code.
    pub fn patched(&mut self, generation: u32, functions: &[String], restarted: bool) {
        // More than a message holds is not told: a type that is used everywhere can be in very many functions.
        let mut room = MAX_FRAME / 2;
        let fits = |function: &&String| {
            room = room.saturating_sub(function.len() + 4);
            room > 0
        };
        // A connection that broke shows at the next request.
        let _ = self.ask(&Request::Patched {
            generation,
            functions: functions.iter().take_while(fits).cloned().collect(),
            restarted,
        });
    }

    /// Makes the program's backtraces know libraries that were loaded since the first of them. Where that cannot
    /// be had, they lack names and places of patches, and all else goes on.
    pub fn relist(&mut self, list: Option<&LibraryList>) {
        if let Some(list) = list {
            // A connection that broke shows at the next request.
            let _ = self.ask(&Request::Relist { list: list.clone() });
        }
    }

    /// Saves what the program keeps into `folder`, see [`Request::Keep`].
    ///
    /// # Errors
    /// As [`Client::load`].
    pub fn keep(
        &mut self,
        folder: &Path,
        wait: Duration,
        insist: bool,
    ) -> Result<Saved, ClientError> {
        let request = Request::Keep {
            folder: folder.to_owned(),
            wait: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
            insist,
        };
        match self.ask(&request)? {
            Response::Kept { names, failed } => Ok(Saved { names, failed }),
            other => Err(garbled(&other)),
        }
    }

    /// Lets the program go on after [`Client::keep`], see [`Request::Thaw`].
    ///
    /// # Errors
    /// As [`Client::load`].
    pub fn thaw(&mut self, save_at_the_end: bool) -> Result<(), ClientError> {
        match self.ask(&Request::Thaw { save_at_the_end })? {
            Response::Thawed => Ok(()),
            other => Err(garbled(&other)),
        }
    }

    /// Has threads that panic or crash wait from now on until the tool was asked about them, see [`Request::Guard`].
    ///
    /// # Errors
    /// As [`Client::load`].
    pub fn guard(&mut self, raise: Option<u64>) -> Result<(), ClientError> {
        let raise = raise.unwrap_or_default();
        match self.ask(&Request::Guard { raise })? {
            Response::Guarded => Ok(()),
            other => Err(garbled(&other)),
        }
    }

    /// Lets a program that waits before its `main` go there, with other arguments than those it was started with if there
    /// are some.
    ///
    /// # Errors
    /// As [`Client::load`].
    pub fn release(&mut self, args: Option<Vec<OsString>>) -> Result<(), ClientError> {
        match self.ask(&Request::Release { args })? {
            Response::Released => Ok(()),
            other => Err(garbled(&other)),
        }
    }

    fn ask(&mut self, request: &Request) -> Result<Response, ClientError> {
        let answer = request
            .write_to(&mut self.stream)
            .and_then(|()| Response::read_from(&mut self.stream))
            .map_err(|error| self.failed(error));
        if answer.is_err() {
            // An answer that comes late must not be taken for the next one's.
            let _ = self.stream.shutdown(std::net::Shutdown::Both);
        }
        match answer? {
            Response::Refused { reason } => Err(ClientError::Refused(reason)),
            other => Ok(other),
        }
    }

    fn failed(&self, error: io::Error) -> ClientError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::Silent(self.limit),
            io::ErrorKind::InvalidData => ClientError::Garbled(error.to_string()),
            _ => gone(error),
        }
    }
}

fn gone(error: io::Error) -> ClientError {
    ClientError::AgentGone(Some(error))
}

fn garbled(response: &Response) -> ClientError {
    ClientError::Garbled(format!("{response:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotpatch_rt::wire::Place;
    use std::os::unix::net::UnixListener;

    /// Plays the agent: checks the hello, then gives the answers in order and hangs up.
    fn agent(rendezvous: &Rendezvous, answers: Vec<Response>) -> thread::JoinHandle<Vec<Request>> {
        let (_, value) = rendezvous.env();
        let value = value.into_string().unwrap();
        let (token, path) = value.split_once(':').unwrap();
        let (token, listener) = (token.to_owned(), UnixListener::bind(path).unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = Vec::new();
            for answer in answers {
                seen.push(Request::read_from(&mut stream).unwrap());
                answer.write_to(&mut stream).unwrap();
            }
            assert_eq!(
                seen[0],
                Request::Hello {
                    protocol: PROTOCOL,
                    token
                }
            );
            seen
        })
    }

    fn hello() -> Response {
        Response::Hello {
            pid: 7,
            bias: 0x5000,
            image: BuildId(vec![1, 2]),
        }
    }

    fn connect(rendezvous: &Rendezvous) -> Result<Client, ClientError> {
        rendezvous.connect(Duration::from_secs(20), || true)
    }

    #[test]
    fn a_whole_conversation() {
        let rendezvous = Rendezvous::new().unwrap();
        let answers = vec![
            hello(),
            Response::Loaded { bias: 0x7000 },
            Response::Redirected { count: 1 },
        ];
        let agent = agent(&rendezvous, answers);
        let mut client = connect(&rendezvous).unwrap();
        assert_eq!((client.pid(), client.bias()), (7, 0x5000));
        let image = client.image().clone();
        assert_eq!(image, BuildId(vec![1, 2]));
        assert_eq!(client.load(1, Path::new("/p.so"), &image).unwrap(), 0x7000);
        let redirect = Redirect {
            cell: Place {
                generation: 0,
                offset: 8,
            },
            function: Place {
                generation: 1,
                offset: 16,
            },
        };
        assert_eq!(client.redirect(vec![redirect], Publish::AtOnce).unwrap(), 1);
        let seen = agent.join().unwrap();
        assert_eq!(
            seen[1..],
            [
                Request::Load {
                    generation: 1,
                    path: "/p.so".into(),
                    image
                },
                Request::Redirect {
                    redirects: vec![redirect],
                    at_checkpoint: false,
                },
            ]
        );
        let error = client.redirect(Vec::new(), Publish::AtOnce).unwrap_err();
        assert!(matches!(error, ClientError::AgentGone(_)), "{error:?}");
    }

    #[test]
    fn a_refusal_keeps_the_conversation_open() {
        let rendezvous = Rendezvous::new().unwrap();
        let refused = Response::Refused {
            reason: "made for another image".into(),
        };
        let agent = agent(
            &rendezvous,
            vec![hello(), refused, Response::Redirected { count: 0 }],
        );
        let mut client = connect(&rendezvous).unwrap();
        let error = client
            .load(1, Path::new("/p.so"), &BuildId(vec![9]))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the agent refused: made for another image"
        );
        assert_eq!(client.redirect(Vec::new(), Publish::AtOnce).unwrap(), 0);
        agent.join().unwrap();
    }

    #[test]
    fn an_answer_to_another_question_is_an_error() {
        let rendezvous = Rendezvous::new().unwrap();
        let agent = agent(
            &rendezvous,
            vec![hello(), Response::Redirected { count: 1 }],
        );
        let mut client = connect(&rendezvous).unwrap();
        let error = client
            .load(1, Path::new("/p.so"), &BuildId(Vec::new()))
            .unwrap_err();
        assert!(matches!(error, ClientError::Garbled(_)), "{error:?}");
        agent.join().unwrap();
    }

    #[test]
    fn silence_is_told_apart_from_absence() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let error = Client::greet(ours, "token", Duration::from_millis(20)).unwrap_err();
        assert!(matches!(error, ClientError::Silent(_)), "{error:?}");

        let rendezvous = Rendezvous::new().unwrap();
        let error = rendezvous
            .connect(Duration::from_millis(5), || true)
            .unwrap_err();
        assert!(matches!(error, ClientError::NeverCame(_)), "{error:?}");
        let error = rendezvous
            .connect(Duration::from_secs(60), || false)
            .unwrap_err();
        assert!(matches!(error, ClientError::AgentGone(None)), "{error:?}");
    }

    #[test]
    fn each_meeting_place_is_private_and_its_own() {
        let (one, two) = (Rendezvous::new().unwrap(), Rendezvous::new().unwrap());
        assert_ne!(one.env(), two.env());
        assert_ne!(one.token, two.token);
        assert_eq!(one.token.len(), 32);
        assert!(one.socket().as_os_str().len() <= SOCKET_PATH_MAX);
        let mode = fs::metadata(one.folder()).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
        let folder = one.folder().to_owned();
        drop(one);
        assert!(!folder.exists());
    }
}
