//! How the agent finds what hears of patches, which is compiled into the program's own dependency and not into the agent.
//!
//! As with `keep` (see hook.rs): a crate that uses any of it has a [`Watch`] in a section of its own name, and the linker says
//! where that section begins and ends. Both sides are compiled from this file by the compiler of one build, and all that passes
//! are types of `std`.

use std::path::Path;

/// Version of [`Watch`]; one with another is not called.
pub const VERSION: u64 = 1;

/// What the agent calls of a program that wants to hear of patches. The version comes first in all versions.
#[derive(Debug)]
#[repr(C)]
pub struct Watch {
    /// [`VERSION`].
    pub version: u64,
    /// Called once, before `main`, with the folder where tool and program meet.
    pub begin: fn(&Path),
    /// This generation is live, in which these functions have other code; whether the process was started in the place of
    /// another one.
    pub patched: fn(u32, &[String], bool),
    /// Calls this where the program lets patches go live, at once if it does not say where. `false`: it did not come there in
    /// time, and nothing was called.
    pub publish: fn(&mut dyn FnMut()) -> bool,
}

/// What lies in its section.
#[derive(Debug)]
#[repr(transparent)]
pub struct Entry(pub &'static Watch);
