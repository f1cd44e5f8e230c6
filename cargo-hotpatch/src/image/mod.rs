//! What ELF files say about themselves: symbols of programs and patches, objects, types.
//!
//! Everything here is a pure function over bytes; nothing opens a file. Only little-endian ELF64 for
//! x86-64 is understood.

pub mod elf;
pub mod hash;
pub mod layouts;
pub mod library_list;
pub mod object_file;
#[cfg(test)]
pub(crate) mod samples;
pub mod symbols;
