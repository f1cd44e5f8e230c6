//! What an edit means: which functions go into a patch, or why it cannot be one. Pure.
pub mod alive;
pub mod changes;
pub mod classify;
pub mod codes;
pub mod disguises;
pub mod explain;
pub mod index;
pub mod overrides;
pub mod reach;
mod renames;
pub mod renumbered;
pub mod strict;
pub mod verdict;
pub mod worlds;
