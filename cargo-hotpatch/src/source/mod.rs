//! Source text: what a crate consists of, what an edit changed, and the text made from it.
//! Pure: text and facts in, text and facts out.
pub mod cfg;
pub mod diff;
pub mod extract;
pub mod fields;
pub mod file;
mod function;
mod impls;
pub mod items;
pub mod layout;
mod lifetimes;
pub mod locals;
mod macros;
pub mod meaning;
mod members;
pub mod names;
pub mod own_imports;
mod pieces;
mod read;
mod rewrite;
mod std_traits;
pub mod syntax;
pub mod text;
pub mod tokens;
mod tree;
mod visibility;
pub mod widen;
