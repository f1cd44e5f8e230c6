//! How the agent finds `keep`, which is compiled into the program's own dependency and not into the agent.
//!
//! A crate with `keep` puts a [`Hook`] into a section of its own name, and the linker says where that section
//! begins and ends. In a program without `keep` the section holds the agent's own entry alone; in a plain build
//! nobody looks. Both sides are compiled from this file by the compiler of one build, and all that passes are
//! types of `std`.

use std::path::Path;
use std::time::Duration;

/// Version of [`Hook`]; a hook with another one is not called.
pub const VERSION: u64 = 1;

/// Names that were saved, and names that were not with the reason.
pub type Saved = (Vec<String>, Vec<(String, String)>);

/// What the agent may call. The version comes first in all versions.
#[derive(Debug)]
#[repr(C)]
pub struct Hook {
    /// [`VERSION`].
    pub version: u64,
    /// Called once, before `main`, with the folder where tool and program meet.
    pub begin: fn(&Path),
    /// Saves all values into this folder at a point where no guard is held, which is waited for no longer than
    /// this. Then no guard can be taken until `thaw`. If not all can be saved, nothing is, and guards can be taken:
    /// unless the last argument says that the others are to be saved all the same.
    pub save: fn(&Path, Duration, bool) -> Saved,
    /// Lets guards be taken again; with `true` the values are saved once more when the program ends by itself.
    pub thaw: fn(bool),
}

/// What lies in the section.
#[derive(Debug)]
#[repr(transparent)]
pub struct Entry(pub &'static Hook);
