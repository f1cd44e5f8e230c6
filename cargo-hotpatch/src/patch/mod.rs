//! A patch: compiled, bound to the running program, linked and checked.
pub mod assemble;
pub mod bind;
pub mod compile;
pub mod from_objects;
pub mod link;
mod local_dynamic;
pub mod tls;
