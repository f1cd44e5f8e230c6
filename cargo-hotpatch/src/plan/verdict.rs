//! What an edit leads to.

use std::path::PathBuf;

use super::codes::Code;
use crate::source::file::Place;

/// A refusal, with the place it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// Its code.
    pub code: Code,
    /// What was refused and why, as a fragment.
    pub message: String,
    /// The file it is about.
    pub file: PathBuf,
    /// The place in it.
    pub place: Place,
    /// What stands behind it, a line each.
    pub reasons: Vec<String>,
    /// A restart does not bring the edit into the program, only a new session does.
    pub for_next_session: bool,
}

impl Refusal {
    /// A refusal without further reasons.
    pub fn new(
        code: Code,
        message: impl Into<String>,
        file: impl Into<PathBuf>,
        place: Place,
    ) -> Self {
        let (message, file) = (message.into(), file.into());
        Self {
            code,
            message,
            file,
            place,
            reasons: Vec::new(),
            for_next_session: false,
        }
    }

    /// With a reason more.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reasons.push(reason.into());
        self
    }
}

/// A line beside a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its code.
    pub code: Code,
    /// What the user should know, as a fragment.
    pub message: String,
    /// The file it is about.
    pub file: PathBuf,
    /// The line in it.
    pub line: usize,
    /// The thread that goes on with older code, and the function that it is in, where that is what the note says.
    pub on_stack: Option<OnStackOf>,
}

/// A thread, and a function that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnStackOf {
    /// The thread's name.
    pub thread: String,
    /// The function, as people read it.
    pub function: String,
}
