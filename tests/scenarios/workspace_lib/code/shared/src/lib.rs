//! The library at the bottom, which knows nothing of the runtime.

pub mod scale;
