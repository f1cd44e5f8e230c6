//! The user's program while it runs, and what reaches it: saves, signals, the agent.

pub mod child;
pub mod client;
mod fence;
pub mod listen;
pub mod news;
pub mod signals;
pub mod watch;
pub mod watchlist;
