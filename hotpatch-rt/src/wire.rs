//! The protocol between the tool and the agent in the running program.
//!
//! Each message is one frame: a little-endian `u32` length, then that many bytes. The tool sends a
//! [`Request`] and waits for its [`Response`]. Decoding is total: any bytes give a message or an error,
//! never a panic, and never an allocation larger than [`MAX_FRAME`]. Nothing here opens a socket or decides
//! whether a request may be obeyed.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

pub use crate::scalars::{Holder, Scalar, ValueAt};

/// Version of the protocol; both sides must have the same.
pub const PROTOCOL: u32 = 8;

/// Name of the environment variable that turns the agent on; its value is `<token>:<socket path>`.
pub const AGENT_ENV: &str = "CARGO_HOTPATCH_AGENT";

/// Name of the environment variable with which the program stops before its `main`, with the agent at work, until it is
/// released; any value.
pub const HOLD_ENV: &str = "CARGO_HOTPATCH_HOLD";

/// Largest payload of a frame in bytes.
pub const MAX_FRAME: usize = 1 << 20;

/// The GNU build id of an ELF image.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BuildId(pub Vec<u8>);

/// A place in the base or in a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The generation that brought it; 0 is the base.
    pub generation: u32,
    /// The ELF virtual address, without load bias.
    pub offset: u64,
}

/// One cell of the linker's stand-in and the function that it leads to from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The cell.
    pub cell: Place,
    /// The function.
    pub function: Place,
}

/// Where std keeps the list of libraries that its backtraces know, and the lock over it.
///
/// Addresses are ELF virtual addresses in the base, without load bias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryList {
    /// The lock, a `std::sync::Mutex<()>`.
    pub lock: u64,
    /// Size of the lock in bytes, by the symbol table.
    pub lock_size: u64,
    /// The list, an `Option`.
    pub list: u64,
    /// What the executable's file holds there: the bytes of `None`.
    pub empty: Vec<u8>,
}

/// What the tool asks of the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Opens the conversation.
    Hello {
        /// [`PROTOCOL`] as the tool knows it.
        protocol: u32,
        /// The secret from [`AGENT_ENV`].
        token: String,
    },
    /// Maps a patch library into the program; no slot changes.
    Load {
        /// The generation that the patch makes.
        generation: u32,
        /// Where the library lies.
        path: PathBuf,
        /// The image that the patch was linked for.
        image: BuildId,
    },
    /// Leads all the cells elsewhere, or, if any of them is refused, none.
    Redirect {
        /// The cells with their functions.
        redirects: Vec<Redirect>,
        /// Where the program lets patches go live, if it says so; else at once.
        at_checkpoint: bool,
    },
    /// Makes std list the loaded libraries anew at its next backtrace.
    Relist {
        /// Where the list lies.
        list: LibraryList,
    },
    /// Saves what is kept, all of it or nothing, at a point where no guard is held; then no guard can be taken until
    /// [`Request::Thaw`] or the end of the conversation.
    Keep {
        /// Where to.
        folder: PathBuf,
        /// How long to wait for such a point, in milliseconds.
        wait: u32,
        /// Save what can be saved, whatever cannot.
        insist: bool,
    },
    /// Lets guards be taken again.
    Thaw {
        /// Save once more when the program ends by itself.
        save_at_the_end: bool,
    },
    /// Tells the program that a generation is live.
    Patched {
        /// Its number.
        generation: u32,
        /// Paths of the functions that have other code.
        functions: Vec<String>,
        /// The process was started in the place of another one.
        restarted: bool,
    },
    /// Reads the value of a static, and sets it if there is another.
    Value {
        /// Which.
        at: ValueAt,
        /// The bytes of the new value.
        new: Option<Vec<u8>>,
    },
    /// From now on, a thread that panics or crashes waits until the tool has been asked about it.
    Guard {
        /// The ELF virtual address of the base's word for the function with which unwinding begins; 0 if it has none.
        raise: u64,
    },
    /// Lets a program that stopped before its `main`, see [`HOLD_ENV`], go there.
    Release {
        /// The arguments it has there behind its name, in place of those it was started with.
        args: Option<Vec<OsString>>,
    },
}

/// What the agent answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Answers [`Request::Hello`].
    Hello {
        /// The process the agent lives in.
        pid: u32,
        /// Load bias of the main executable.
        bias: u64,
        /// Build id of the main executable.
        image: BuildId,
    },
    /// Answers [`Request::Load`].
    Loaded {
        /// Load bias of the patch library.
        bias: u64,
    },
    /// Answers [`Request::Redirect`].
    Redirected {
        /// How many cells were led elsewhere.
        count: u32,
    },
    /// Answers [`Request::Relist`].
    Relisted,
    /// Answers [`Request::Keep`].
    Kept {
        /// The names that were saved.
        names: Vec<String>,
        /// Names that could not be saved, each with the reason. Without `insist` nothing was saved then.
        failed: Vec<(String, String)>,
    },
    /// Answers [`Request::Thaw`].
    Thawed,
    /// Answers [`Request::Patched`].
    Told,
    /// Answers [`Request::Redirect`] if the program did not come to where it lets patches go live: nothing changed.
    NoCheckpoint,
    /// Answers [`Request::Value`].
    Value {
        /// The bytes that the value was; none if it was not set yet.
        was: Option<Vec<u8>>,
    },
    /// Answers [`Request::Guard`].
    Guarded,
    /// Answers [`Request::Release`].
    Released,
    /// The request was not obeyed, and nothing changed.
    Refused {
        /// Why, as a fragment to complete "the agent refused: ".
        reason: String,
    },
}

impl Request {
    /// Writes the request as one frame.
    pub fn write_to(&self, writer: &mut impl Write) -> io::Result<()> {
        let mut out = Vec::new();
        match self {
            Request::Hello { protocol, token } => {
                out.push(0);
                put_u32(&mut out, *protocol);
                put_bytes(&mut out, token.as_bytes())?;
            }
            Request::Load {
                generation,
                path,
                image,
            } => {
                out.push(1);
                put_u32(&mut out, *generation);
                put_bytes(&mut out, path.as_os_str().as_bytes())?;
                put_bytes(&mut out, &image.0)?;
            }
            Request::Redirect {
                redirects,
                at_checkpoint,
            } => {
                out.push(2);
                out.push(u8::from(*at_checkpoint));
                put_u32(&mut out, length(redirects.len())?);
                for Redirect { cell, function } in redirects {
                    for place in [cell, function] {
                        put_u32(&mut out, place.generation);
                        put_u64(&mut out, place.offset);
                    }
                }
            }
            Request::Relist { list } => {
                out.push(5);
                put_u64(&mut out, list.lock);
                put_u64(&mut out, list.lock_size);
                put_u64(&mut out, list.list);
                put_bytes(&mut out, &list.empty)?;
            }
            Request::Keep {
                folder,
                wait,
                insist,
            } => {
                out.push(3);
                put_bytes(&mut out, folder.as_os_str().as_bytes())?;
                put_u32(&mut out, *wait);
                out.push(u8::from(*insist));
            }
            Request::Thaw { save_at_the_end } => {
                out.push(4);
                out.push(u8::from(*save_at_the_end));
            }
            Request::Patched {
                generation,
                functions,
                restarted,
            } => {
                out.push(8);
                put_u32(&mut out, *generation);
                out.push(u8::from(*restarted));
                put_u32(&mut out, length(functions.len())?);
                for function in functions {
                    put_bytes(&mut out, function.as_bytes())?;
                }
            }
            Request::Value { at, new } => {
                out.push(7);
                put_u64(&mut out, at.address);
                put_u64(&mut out, at.size);
                out.push(at.holder as u8);
                out.push(at.scalar as u8);
                put_optional(&mut out, new.as_deref())?;
            }
            Request::Guard { raise } => {
                out.push(9);
                put_u64(&mut out, *raise);
            }
            Request::Release { args } => {
                out.push(6);
                out.push(u8::from(args.is_some()));
                if let Some(args) = args {
                    put_u32(&mut out, length(args.len())?);
                    for arg in args {
                        put_bytes(&mut out, arg.as_bytes())?;
                    }
                }
            }
        }
        write_frame(writer, &out)
    }

    /// Reads one frame and decodes it.
    pub fn read_from(reader: &mut impl Read) -> io::Result<Self> {
        let frame = read_frame(reader)?;
        let mut payload = Payload { rest: &frame };
        let request = match payload.u8()? {
            0 => Request::Hello {
                protocol: payload.u32()?,
                token: payload.string()?,
            },
            1 => Request::Load {
                generation: payload.u32()?,
                path: PathBuf::from(OsString::from_vec(payload.bytes()?)),
                image: BuildId(payload.bytes()?),
            },
            2 => {
                // Here and below, no count is trusted with an allocation: the frame's end stops the loop.
                let at_checkpoint = payload.bool()?;
                let mut redirects = Vec::new();
                for _ in 0..payload.u32()? {
                    redirects.push(Redirect {
                        cell: payload.place()?,
                        function: payload.place()?,
                    });
                }
                Request::Redirect {
                    redirects,
                    at_checkpoint,
                }
            }
            5 => Request::Relist {
                list: LibraryList {
                    lock: payload.u64()?,
                    lock_size: payload.u64()?,
                    list: payload.u64()?,
                    empty: payload.bytes()?,
                },
            },
            3 => Request::Keep {
                folder: PathBuf::from(OsString::from_vec(payload.bytes()?)),
                wait: payload.u32()?,
                insist: payload.bool()?,
            },
            4 => Request::Thaw {
                save_at_the_end: payload.bool()?,
            },
            8 => {
                let (generation, restarted) = (payload.u32()?, payload.bool()?);
                let mut functions = Vec::new();
                for _ in 0..payload.u32()? {
                    functions.push(payload.string()?);
                }
                Request::Patched {
                    generation,
                    functions,
                    restarted,
                }
            }
            7 => Request::Value {
                at: ValueAt {
                    address: payload.u64()?,
                    size: payload.u64()?,
                    holder: payload.one_of(&Holder::ALL)?,
                    scalar: payload.one_of(&Scalar::ALL)?,
                },
                new: payload.optional()?,
            },
            9 => {
                let raise = payload.u64()?;
                Request::Guard { raise }
            }
            6 => {
                let args = payload.bool()?.then(|| {
                    let mut args = Vec::new();
                    for _ in 0..payload.u32()? {
                        args.push(OsString::from_vec(payload.bytes()?));
                    }
                    Ok::<_, io::Error>(args)
                });
                Request::Release {
                    args: args.transpose()?,
                }
            }
            _ => return Err(malformed("unknown kind of request")),
        };
        payload.end()?;
        Ok(request)
    }
}

impl Response {
    /// Writes the response as one frame.
    pub fn write_to(&self, writer: &mut impl Write) -> io::Result<()> {
        let mut out = Vec::new();
        match self {
            Response::Hello { pid, bias, image } => {
                out.push(0);
                put_u32(&mut out, *pid);
                put_u64(&mut out, *bias);
                put_bytes(&mut out, &image.0)?;
            }
            Response::Loaded { bias } => {
                out.push(1);
                put_u64(&mut out, *bias);
            }
            Response::Redirected { count } => {
                out.push(2);
                put_u32(&mut out, *count);
            }
            Response::Refused { reason } => {
                out.push(3);
                put_bytes(&mut out, reason.as_bytes())?;
            }
            Response::Relisted => out.push(6),
            Response::Kept { names, failed } => {
                out.push(4);
                put_u32(&mut out, length(names.len())?);
                for name in names {
                    put_bytes(&mut out, name.as_bytes())?;
                }
                put_u32(&mut out, length(failed.len())?);
                for (name, why) in failed {
                    put_bytes(&mut out, name.as_bytes())?;
                    put_bytes(&mut out, why.as_bytes())?;
                }
            }
            Response::Thawed => out.push(5),
            Response::Released => out.push(7),
            Response::Told => out.push(9),
            Response::NoCheckpoint => out.push(10),
            Response::Guarded => out.push(11),
            Response::Value { was } => {
                out.push(8);
                put_optional(&mut out, was.as_deref())?;
            }
        }
        write_frame(writer, &out)
    }

    /// Reads one frame and decodes it.
    pub fn read_from(reader: &mut impl Read) -> io::Result<Self> {
        let frame = read_frame(reader)?;
        let mut payload = Payload { rest: &frame };
        let response = match payload.u8()? {
            0 => Response::Hello {
                pid: payload.u32()?,
                bias: payload.u64()?,
                image: BuildId(payload.bytes()?),
            },
            1 => Response::Loaded {
                bias: payload.u64()?,
            },
            2 => Response::Redirected {
                count: payload.u32()?,
            },
            3 => Response::Refused {
                reason: payload.string()?,
            },
            6 => Response::Relisted,
            4 => {
                // As with cells, no count is trusted with an allocation.
                let (mut names, mut failed) = (Vec::new(), Vec::new());
                for _ in 0..payload.u32()? {
                    names.push(payload.string()?);
                }
                for _ in 0..payload.u32()? {
                    failed.push((payload.string()?, payload.string()?));
                }
                Response::Kept { names, failed }
            }
            5 => Response::Thawed,
            7 => Response::Released,
            9 => Response::Told,
            10 => Response::NoCheckpoint,
            11 => Response::Guarded,
            8 => Response::Value {
                was: payload.optional()?,
            },
            _ => return Err(malformed("unknown kind of response")),
        };
        payload.end()?;
        Ok(response)
    }
}

fn write_frame(writer: &mut impl Write, payload: &[u8]) -> io::Result<()> {
    if payload.len() > MAX_FRAME {
        return Err(too_large());
    }
    // One write call, so that no reader sees a length without its payload for long.
    let mut frame = Vec::with_capacity(4 + payload.len());
    put_bytes(&mut frame, payload)?;
    writer.write_all(&frame)?;
    writer.flush()
}

fn read_frame(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut prefix = [0; 4];
    reader.read_exact(&mut prefix)?;
    let length = u32::from_le_bytes(prefix) as usize;
    if length > MAX_FRAME {
        return Err(too_large());
    }
    let mut payload = vec![0; length];
    reader.read_exact(&mut payload)?;
    Ok(payload)
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    put_u32(out, length(bytes.len())?);
    out.extend_from_slice(bytes);
    Ok(())
}

fn put_optional(out: &mut Vec<u8>, bytes: Option<&[u8]>) -> io::Result<()> {
    out.push(u8::from(bytes.is_some()));
    bytes.map_or(Ok(()), |bytes| put_bytes(out, bytes))
}

fn length(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(|_| too_large())
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "message is larger than 1 MiB")
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// What is left of a frame's payload while it is decoded.
struct Payload<'a> {
    rest: &'a [u8],
}

impl Payload<'_> {
    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (array, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| malformed("message ends early"))?;
        self.rest = rest;
        Ok(*array)
    }

    fn u8(&mut self) -> io::Result<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn bool(&mut self) -> io::Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(malformed("neither yes nor no")),
        }
    }

    fn u32(&mut self) -> io::Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> io::Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let length = self.u32()? as usize;
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| malformed("message ends early"))?;
        self.rest = rest;
        Ok(bytes.to_vec())
    }

    fn optional(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.bool()?.then(|| self.bytes()).transpose()
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> io::Result<T> {
        let number = usize::from(self.u8()?);
        let found = all.get(number).copied();
        found.ok_or_else(|| malformed("unknown number"))
    }

    fn string(&mut self) -> io::Result<String> {
        String::from_utf8(self.bytes()?).map_err(|_| malformed("text is not UTF-8"))
    }

    fn place(&mut self) -> io::Result<Place> {
        Ok(Place {
            generation: self.u32()?,
            offset: self.u64()?,
        })
    }

    fn end(&self) -> io::Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(malformed("message is longer than its content"))
        }
    }
}

#[cfg(test)]
mod tests;
