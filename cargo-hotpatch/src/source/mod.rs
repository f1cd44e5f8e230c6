//! Source text: what a crate consists of, what an edit changed, and the text made from it.
//! Pure: text and facts in, text and facts out.
pub mod cfg;
pub mod diff;
pub mod extract;
pub mod fields;
pub mod file;
pub mod foreign;
mod function;
pub mod globs;
mod impls;
pub mod instances;
pub mod items;
mod lifetimes;
pub mod locals;
mod macros;
pub mod own_imports;
mod pieces;
pub mod privacy;
mod read;
mod rewrite;
pub mod shadows;
mod std_traits;
pub mod syntax;
pub mod text;
pub mod tokens;
mod tree;
mod visibility;
pub mod widen;
