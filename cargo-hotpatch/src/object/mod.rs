//! Relocatable objects and what is asked of them: taking references apart for slots, comparing functions, types.
//!
//! Nothing here does input or output: bytes and facts in, bytes and facts out.

pub mod archive;
pub mod cells;
pub mod changed_types;
mod entries;
pub mod facts;
pub mod fingerprint;
pub mod mentions;
pub mod names;
pub mod rename;
pub mod retarget;
mod slots;
pub mod steps;
pub mod taken;
#[cfg(test)]
mod tests;
pub mod v0;
pub mod values;
