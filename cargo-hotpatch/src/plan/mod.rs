//! What differs between what runs and what was compiled, and what that means for the process. Pure.
pub mod changes;
pub mod codes;
pub mod disguises;
pub mod explain;
pub mod lazies;
pub mod renumbered;
pub mod verdict;
pub mod worlds;
