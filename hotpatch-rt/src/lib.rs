//! What a program can tell `cargo hotpatch`, and what it can ask: the attribute `#[hot]`, values to keep over a restart,
//! hooks after a patch, and a view of its own functions and variables.
//!
//! Under `cargo hotpatch run` an edit of any function takes effect from its next call on, marked or not. The attribute is
//! for functions that running code would not come back to: `async` ones, whose futures a task keeps inside its own, and
//! those that an optimised build makes a part of a caller which never returns.
//!
//! ```
//! # #[cfg(not(feature = "live"))]
//! # {
//! use hotpatch_rt::hot;
//!
//! struct Game {
//!     score: u32,
//! }
//!
//! impl Game {
//!     #[hot]
//!     fn update(&mut self, ticks: u32) -> u32 {
//!         self.score += ticks * 10;
//!         self.score
//!     }
//! }
//!
//! let mut game = Game { score: 0 };
//! assert_eq!(game.update(3), 30);
//! # }
//! ```
//!
//! Under plain `cargo build` and `cargo run` the attribute hands the function back as it was
//! written, so a release carries nothing of this crate but what else of it is used.
//!
//! # What a function needs to be hot
//!
//! A free function, or a method of an inherent or a trait impl, that is not `const`, not variadic, without
//! `#[track_caller]`, and does not return an `impl Trait`. Functions it calls need no attribute. On an impl, a trait or a
//! module the attribute means each function inside.
//!
//! Under `cargo hotpatch` a call of a hot `async fn` allocates once, for a box that holds the future of whichever body
//! there is. What has begun ends in the body it began in.
//!
//! # The running program
//!
//! [`functions`] and [`variables`] list what there is, [`set`] gives a variable another value, [`on_patch`] calls a hook after
//! each patch, [`checkpoint`] says when patches may go live, and [`generation`] counts them. Without the tool lists are empty,
//! hooks are not called, and a checkpoint is one load.
//!
//! # Features
//!
//! `keep` brings the function `keep` and the type `Keep`: values that survive a restart under `cargo hotpatch`, and
//! with them serde. Without it this crate depends on nothing but its macro.
//!
//! The other features are the tool's. `live` is the part that runs inside a program under `cargo hotpatch`; the
//! tool compiles it from the sources in this crate, with the program's own compiler and nothing but `std`,
//! which is why no part of it may have a dependency. Turning one of them on yourself is never needed.

#[cfg(not(feature = "live"))]
pub use hotpatch_macros::hot;

#[cfg(feature = "live")]
mod agent;
#[cfg(feature = "live")]
mod apply;
#[cfg(any(feature = "wire", all(not(feature = "live"), target_os = "linux")))]
pub mod ask;
#[cfg(feature = "live")]
mod backtraces;
#[cfg(feature = "live")]
mod elf;
#[cfg(feature = "live")]
mod error;
#[cfg(feature = "live")]
mod future;
#[cfg(feature = "live")]
mod guard;
#[cfg(feature = "live")]
mod hold;
#[cfg(any(feature = "live", all(feature = "keep", target_os = "linux")))]
mod hook;
#[cfg(feature = "live")]
mod hooks;
#[cfg(feature = "live")]
mod image;
#[cfg(feature = "keep")]
mod keep;
#[cfg(feature = "live")]
mod loader;
#[cfg(any(feature = "wire", feature = "keep"))]
pub mod news;
#[cfg(feature = "live")]
mod peer;
#[cfg(feature = "live")]
mod retry;
#[cfg(feature = "wire")]
mod scalars;
#[cfg(feature = "live")]
mod signals;
#[cfg(feature = "live")]
mod slot;
#[cfg(feature = "sources")]
pub mod sources;
#[cfg(feature = "live")]
mod values;
#[cfg(any(feature = "live", target_os = "linux"))]
mod watch;
#[cfg(feature = "wire")]
pub mod wire;

#[cfg(not(feature = "live"))]
mod view;

#[cfg(feature = "live")]
pub use crate::agent::start;
#[cfg(feature = "keep")]
pub use crate::keep::{Guard, Keep, Keepable, keep};
#[cfg(not(feature = "live"))]
pub use crate::view::{
    Function, NotSet, OnPatch, Report, Variable, checkpoint, functions, functions_in, generation,
    on_patch, set, variables, variables_in,
};

/// What the expansion of `#[hot]` refers to. The number changes with the shape of the generated code, so
/// that a macro and a runtime that do not belong together fail to compile.
#[cfg(feature = "live")]
#[doc(hidden)]
pub mod __private_v1 {
    pub use crate::future::{FutureCount, Hot};
    pub use crate::retry::{CanBePassedAgain, retry};
    pub use crate::slot::Slot;
}
