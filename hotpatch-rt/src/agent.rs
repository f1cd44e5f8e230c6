//! The agent: a thread in the running program that obeys the tool.
//!
//! It starts only if the environment asks for it. Whatever goes wrong here, the program goes on as if it were
//! not there. It writes at most one line to stderr, when it cannot start, and touches nothing of the program
//! except in `apply` and, through `hooks`, what the program keeps.

use std::env;
use std::ffi::{OsStr, c_char, c_int};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::apply::Program;
use crate::backtraces;
use crate::error::Refusal;
use crate::guard;
use crate::hold;
use crate::hooks;
use crate::image::Image;
use crate::peer;
use crate::retry;
use crate::signals;
use crate::values;
use crate::wire::{AGENT_ENV, HOLD_ENV, PROTOCOL, Request, Response};

/// How long a peer may take over its hello, since others wait meanwhile.
const HELLO_LIMIT: Duration = Duration::from_secs(10);

/// Starts the agent if the environment asks for it, and does nothing otherwise.
///
/// The `main` that the linker's stand-in of `cargo hotpatch` adds calls this before the program's own. Do not call it from
/// anywhere else. Where a constructor has started a thread already, the variable stays
/// in the environment, as others may be reading that.
///
/// A child made by `fork` has no agent: it goes on with the code that ran when it was made.
pub fn start() {
    let Some(value) = env::var_os(AGENT_ENV) else {
        return;
    };
    let is_held = env::var_os(HOLD_ENV).is_some();
    if is_alone() {
        for name in [AGENT_ENV, HOLD_ENV] {
            // SAFETY: this is the only thread, and nothing here makes another one before this returns.
            unsafe { env::remove_var(name) };
        }
    }
    if is_held {
        hold::close();
    }
    if let Err(error) = listen(&value) {
        hold::give_up();
        // `eprintln!` panics where stderr is closed.
        let _ = writeln!(
            io::stderr(),
            "cargo-hotpatch: this run cannot be patched: {error}"
        );
    }
}

/// Whether the process has no other thread.
fn is_alone() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

/// The same for programs that know nothing of this crate: their linker's stand-in has `main` call it, with the places of its
/// first two arguments, and go on with what is there then.
///
/// # Safety
/// They are the arguments of `main`.
#[unsafe(no_mangle)]
unsafe extern "C" fn cargo_hotpatch_start(count: *mut c_int, args: *mut *const *const c_char) {
    // Nothing may unwind into a `main` that is not Rust's.
    let _ = panic::catch_unwind(|| {
        start();
        // SAFETY: the caller's promise.
        unsafe { hold::wait_with(count, args) };
    });
}

fn listen(value: &OsStr) -> io::Result<()> {
    let malformed = || {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{AGENT_ENV} is malformed"),
        )
    };
    let bytes = value.as_bytes();
    let colon = bytes
        .iter()
        .position(|&byte| byte == b':')
        .ok_or_else(malformed)?;
    let (token, path) = (&bytes[..colon], &bytes[colon + 1..]);
    // An empty token would let everybody in.
    if token.is_empty() || path.is_empty() {
        return Err(malformed());
    }
    let image = Image::of_this_program().ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            "the loader does not list the program",
        )
    })?;
    let listener = UnixListener::bind(Path::new(OsStr::from_bytes(path)))?;
    let folder = Path::new(OsStr::from_bytes(path)).parent();
    let folder = folder.ok_or_else(malformed)?;
    let agent = Agent {
        token: token.to_vec(),
        folder: folder.to_owned(),
        program: Program::new(image),
    };
    let thread = thread::Builder::new().name(THREAD.to_owned());
    signals::blocked(|| thread.spawn(move || agent.serve(&listener)))?;
    retry::begin(folder);
    hooks::begin(folder);
    Ok(())
}

/// The name of the threads that are not the program's: the tool knows them by it.
pub const THREAD: &str = "hotpatch-agent";

struct Agent {
    token: Vec<u8>,
    /// Where tool and program meet.
    folder: PathBuf,
    program: Program,
}

/// How a conversation ended before its time.
enum Failure {
    /// The socket failed or the bytes made no sense; there is nobody to tell.
    Connection,
    /// The peer may not go on, and is told why.
    Refused(Refusal),
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Failure {
        Failure::Connection
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure::Refused(refusal)
    }
}

impl Agent {
    /// Serves one connection after the other, for the life of the process.
    fn serve(mut self, listener: &UnixListener) {
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    // Nothing here is meant to panic. Should it, the thread lives on; the state is sound because loading and
                    // storing are each the last step of their request.
                    let _ = panic::catch_unwind(AssertUnwindSafe(|| self.converse(stream)));
                }
                // Out of descriptors, most likely: the program may close some.
                Err(_) => thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    fn converse(&mut self, mut stream: UnixStream) {
        if let Err(Failure::Refused(refusal)) = self.obey_all(&mut stream) {
            let _ = refused(&refusal).write_to(&mut stream);
        }
        // Nobody is left who could let the program go on.
        hooks::thaw(false);
        hold::part();
    }

    fn obey_all(&mut self, stream: &mut UnixStream) -> Result<(), Failure> {
        if peer::peer_uid(stream)? != peer::own_uid() {
            return Err(Failure::Connection);
        }
        stream.set_read_timeout(Some(HELLO_LIMIT))?;
        stream.set_write_timeout(Some(HELLO_LIMIT))?;
        match Request::read_from(stream)? {
            Request::Hello { protocol, token } => self.check_hello(protocol, &token)?,
            _ => return Err(Refusal::HelloMissing.into()),
        }
        let image = self.program.image();
        let hello = Response::Hello {
            pid: std::process::id(),
            bias: image.bias,
            image: image.build_id.clone(),
        };
        hello.write_to(stream)?;
        hold::meet();
        stream.set_read_timeout(None)?;
        loop {
            let request = Request::read_from(stream)?;
            self.obey(request)
                .unwrap_or_else(|refusal| refused(&refusal))
                .write_to(stream)?;
            hold::open();
            if hold::is_open() {
                guard::main_begins();
            }
        }
    }

    fn check_hello(&self, protocol: u32, token: &str) -> Result<(), Refusal> {
        if protocol != PROTOCOL {
            return Err(Refusal::ProtocolMismatch(protocol));
        }
        if !same_token(&self.token, token.as_bytes()) {
            return Err(Refusal::TokenMismatch);
        }
        Ok(())
    }

    fn obey(&mut self, request: Request) -> Result<Response, Refusal> {
        match request {
            Request::Hello { .. } => Err(Refusal::HelloRepeated),
            Request::Load {
                generation,
                path,
                image,
            } => {
                let bias = self.program.load(generation, &path, &image)?;
                Ok(Response::Loaded { bias })
            }
            Request::Redirect {
                redirects,
                at_checkpoint,
            } => Ok(match self.program.redirect(&redirects, at_checkpoint)? {
                Some(count) => Response::Redirected { count },
                None => Response::NoCheckpoint,
            }),
            Request::Patched {
                generation,
                functions,
                restarted,
            } => {
                retry::patched(generation);
                hooks::patched(generation, &functions, restarted);
                Ok(Response::Told)
            }
            Request::Relist { list } => {
                backtraces::relist(self.program.image(), &list)?;
                Ok(Response::Relisted)
            }
            Request::Keep {
                folder,
                wait,
                insist,
            } => {
                let wait = Duration::from_millis(wait.into());
                match hooks::save(&folder, wait, insist) {
                    Ok((names, failed)) => {
                        if !failed.is_empty() && !insist {
                            hooks::thaw(false);
                        }
                        Ok(Response::Kept { names, failed })
                    }
                    Err(error) => {
                        hooks::thaw(false);
                        Err(Refusal::NotSaved(error))
                    }
                }
            }
            Request::Thaw { save_at_the_end } => {
                hooks::thaw(save_at_the_end);
                Ok(Response::Thawed)
            }
            Request::Value { at, new } => {
                let was = values::access(&self.program, at, new.as_deref())?;
                Ok(Response::Value { was })
            }
            Request::Guard { raise } => {
                let segments = &self.program.image().segments;
                guard::begin(&self.folder, segments, raise).map_err(Refusal::NotGuarded)?;
                Ok(Response::Guarded)
            }
            Request::Release { args } => match hold::unlock(args) {
                true => Ok(Response::Released),
                false => Err(Refusal::NotHeld),
            },
        }
    }
}

fn refused(refusal: &Refusal) -> Response {
    Response::Refused {
        reason: refusal.to_string(),
    }
}

/// Compares without stopping at the first difference, so that the time tells nothing but the length.
fn same_token(ours: &[u8], theirs: &[u8]) -> bool {
    let difference = ours.iter().zip(theirs).fold(0, |all, (a, b)| all | (a ^ b));
    ours.len() == theirs.len() && std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_same_only_if_all_of_them_is() {
        assert!(same_token(b"abc", b"abc"));
        assert!(!same_token(b"abc", b"abd"));
        assert!(!same_token(b"abc", b"ab"));
        assert!(!same_token(b"abc", b"abcd"));
        assert!(!same_token(b"abc", b""));
    }
}
