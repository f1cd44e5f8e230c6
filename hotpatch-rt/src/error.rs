//! Why the agent does not obey a request.
//!
//! Every refusal happens before anything in the program has changed. The text goes to the tool, which shows it;
//! nothing here prints.

use std::fmt;
use std::io;

use crate::wire::PROTOCOL;

/// A request that is not obeyed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The first request of a conversation was not `Hello`.
    HelloMissing,
    /// `Hello` came a second time.
    HelloRepeated,
    /// The tool speaks another version of the protocol.
    ProtocolMismatch(u32),
    /// The secret in `Hello` is not ours.
    TokenMismatch,
    /// The program does not wait before its `main`, or not for these arguments.
    NotHeld,
    /// The generation is 0, which is the base, or was loaded before.
    GenerationTaken(u32),
    /// The patch was linked for another program, or for another build of this one.
    ImageMismatch,
    /// A relative path would make `dlopen` search for the library.
    PathNotAbsolute,
    /// The file cannot be opened or read.
    FileUnreadable(io::Error),
    /// The path leads to a directory, a device or the like.
    NotAFile,
    /// Another user owns the file.
    NotOurs,
    /// The file is too large for a patch.
    FileTooLarge,
    /// The same file is mapped already; `dlopen` would answer with the old mapping.
    FileTaken,
    /// The file is not a whole ELF library for this machine.
    NotALibrary(&'static str),
    /// `dlopen` failed, with what the loader says.
    DlopenFailed(String),
    /// `dlinfo` did not tell where the library lies.
    DlinfoFailed,
    /// The address is not that of a cell.
    NotASlot(u64),
    /// The target lies in a generation that is not loaded.
    GenerationUnknown(u32),
    /// No variable can lie there.
    NotAVariable(u64),
    /// Bytes that are no value of the type.
    NotAValue,
    /// The type has another size here.
    AnotherSize,
    /// Somebody holds the lock.
    Locked,
    /// Somebody panicked with the lock in hand.
    Poisoned,
    /// It is set once, and was.
    IsSet,
    /// What is kept could not be saved.
    NotSaved(io::Error),
    /// Panics and crashes cannot be met.
    NotGuarded(io::Error),
    /// The target is not in the code of its patch.
    NotCode {
        /// The generation of the patch.
        generation: u32,
        /// The refused offset.
        offset: u64,
    },
    /// Std's list of libraries or its lock is not where the tool says, or not what we know.
    NotALibraryList,
    /// Somebody takes a backtrace, for too long to wait for.
    BacktraceGoesOn,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::HelloMissing => write!(f, "the conversation does not begin with a hello"),
            Refusal::HelloRepeated => write!(f, "a second hello"),
            Refusal::NotHeld => write!(f, "the program does not wait before its main"),
            Refusal::ProtocolMismatch(theirs) => {
                write!(
                    f,
                    "the tool speaks protocol {theirs}, the program {PROTOCOL}"
                )
            }
            Refusal::TokenMismatch => write!(f, "the token is wrong"),
            Refusal::GenerationTaken(generation) => {
                write!(f, "generation {generation} is loaded already")
            }
            Refusal::ImageMismatch => write!(f, "the patch was made for another build"),
            Refusal::PathNotAbsolute => write!(f, "the path of the patch is not absolute"),
            Refusal::FileUnreadable(error) => write!(f, "failed to read the patch: {error}"),
            Refusal::NotAFile => write!(f, "the patch is not a regular file"),
            Refusal::NotOurs => write!(f, "the patch belongs to another user"),
            Refusal::FileTooLarge => write!(f, "the patch is too large"),
            Refusal::FileTaken => write!(f, "the file of the patch is loaded already"),
            Refusal::NotALibrary(what) => write!(f, "the patch is not a whole library: {what}"),
            Refusal::DlopenFailed(detail) => write!(f, "dlopen failed: {detail}"),
            Refusal::DlinfoFailed => write!(f, "dlinfo failed"),
            Refusal::NotASlot(slot) => write!(f, "no slot can lie at {slot:#x}"),
            Refusal::GenerationUnknown(generation) => {
                write!(f, "generation {generation} is not loaded")
            }
            Refusal::NotAVariable(at) => write!(f, "no variable can lie at {at:#x}"),
            Refusal::NotAValue => write!(f, "this is no value of its type"),
            Refusal::AnotherSize => write!(f, "its type has another size here"),
            Refusal::Locked => write!(f, "its lock is held"),
            Refusal::Poisoned => write!(f, "its lock is poisoned: a thread panicked with it"),
            Refusal::IsSet => write!(f, "it can be set once, and has its value already"),
            Refusal::NotSaved(error) => write!(f, "failed to save what is kept: {error}"),
            Refusal::NotGuarded(error) => write!(f, "panics cannot be met: {error}"),
            Refusal::NotCode { generation, offset } => {
                write!(
                    f,
                    "{offset:#x} is not in the code of generation {generation}"
                )
            }
            Refusal::NotALibraryList => {
                write!(f, "std's list of libraries is not where it was looked for")
            }
            Refusal::BacktraceGoesOn => write!(f, "a backtrace is being taken"),
        }
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The text holds the cause already, because only text crosses the socket.
        None
    }
}
