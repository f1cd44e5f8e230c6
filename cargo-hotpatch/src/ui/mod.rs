//! What the session says: to the user in sentences, to editors and scripts in JSON lines.

pub mod confirmed;
pub mod demo;
pub mod doctor;
pub mod events;
pub mod falls;
pub mod init;
pub mod keyboard;
pub mod keys;
mod names;
pub mod page;
pub mod paint;
pub mod report;
pub mod restarts;
pub mod screen;
pub mod seat;
pub mod short;
pub mod terminal;
pub mod tests;
pub mod timings;
pub mod wrap;
