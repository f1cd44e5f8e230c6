//! Building: cargo's call, the wrapper it runs, the base it makes and the scopes beside it.
pub mod capture;
pub mod launcher;
pub mod live;
pub mod overlay;
pub mod rustc;
pub mod base;
pub mod diagnostics;
pub mod project;
pub mod scope;
