//! A patch: compiled or taken from objects, bound to the running program, and linked.
pub mod compile;
pub mod from_objects;
pub mod link;
mod local_dynamic;
pub mod tls;
