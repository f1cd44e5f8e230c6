//! Relocatable objects and what is asked of them: taking references apart for slots, comparing functions, types.
//!
//! Nothing here does input or output: bytes and facts in, bytes and facts out.

pub mod archive;
pub mod cells;
pub mod fingerprint;
pub mod names;
pub mod retarget;
pub mod v0;
