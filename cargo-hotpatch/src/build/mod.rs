//! Building: cargo's call, the wrapper it runs, the base it makes and the scopes beside it.
pub mod agent_cache;
pub mod base;
pub mod build_side;
pub mod capture;
pub mod config;
pub mod diagnostics;
pub mod identity;
pub mod launcher;
pub mod live;
pub mod overlay;
pub mod program_libraries;
pub mod project;
pub mod replay;
pub mod rustc;
pub mod scope;
pub mod slotted;
