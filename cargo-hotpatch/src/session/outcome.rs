//! What became of a save.

use std::time::{Duration, Instant};

use crate::build::diagnostics::Diagnostic;
use crate::plan::verdict::{Note, Refusal};

/// What makes patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// What cargo would compile is compiled and compared with what runs.
    Exact,
    /// Bodies alone are compiled, as a tiny patch crate.
    Fast,
}

impl Lane {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Fast => "fast",
        }
    }
}

/// How long each step took; what is none of them is the plan's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    pub compile: Duration,
    pub check: Duration,
    pub link: Duration,
    pub load: Duration,
}

/// What an edit led to.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing that runs is different.
    Unchanged,
    /// New code runs.
    Patched(Patched),
    /// It cannot be patched, and nothing was touched.
    Refused(Refusal),
    /// It does not compile.
    Broken(Vec<Diagnostic>),
}

/// A patch that went live.
#[derive(Debug, Default)]
pub struct Patched {
    /// Its generation.
    pub generation: u32,
    /// Functions of the workspace that run new code.
    pub functions: Vec<String>,
    /// Others, such as instances of generic code for its types.
    pub included: Vec<String>,
    /// What is worth knowing.
    pub notes: Vec<Note>,
    /// Size of the libraries.
    pub bytes: u64,
    /// How long it took.
    pub times: Times,
    /// When the last slot was led to its new body.
    pub live: Option<Instant>,
    /// Which lane made it.
    pub lane: Option<Lane>,
    /// Why the fast lane, which comes before the exact one, stepped aside.
    pub aside: Option<String>,
    /// What the fast lane needs is being made.
    pub preparing: bool,
}
