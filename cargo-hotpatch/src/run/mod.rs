//! The user's program while it runs, and what reaches it: saves, signals, the agent.

pub mod asked;
pub mod child;
pub mod client;
mod code;
mod fence;
pub mod listen;
pub mod memory;
pub mod news;
mod scan;
pub mod signals;
pub mod stacks;
mod unwind;
pub mod vtables;
pub mod watch;
pub mod watchlist;
