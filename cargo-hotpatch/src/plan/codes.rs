//! The codes of refusals and notes: stable names, and what they mean in a line.

use std::fmt;

/// A code of a refusal or a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    HP0001,
    HP0101,
    HP0102,
    HP0103,
    HP0104,
    HP0201,
    HP0202,
    HP0203,
    HP0204,
    HP0205,
    HP0206,
    HP0207,
    HP0208,
    HP0301,
    HP0302,
    HP0401,
    HP0402,
    HP0403,
}

impl Code {
    /// All codes in order.
    pub const ALL: &[Self] = &[
        Self::HP0001,
        Self::HP0101,
        Self::HP0102,
        Self::HP0103,
        Self::HP0104,
        Self::HP0201,
        Self::HP0202,
        Self::HP0203,
        Self::HP0204,
        Self::HP0205,
        Self::HP0206,
        Self::HP0207,
        Self::HP0208,
        Self::HP0301,
        Self::HP0302,
        Self::HP0401,
        Self::HP0402,
        Self::HP0403,
    ];

    /// What it means.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::HP0001 => "nobody has thought of this",
            Self::HP0101 => "the layout of a type changed",
            Self::HP0102 => "the methods of a trait changed",
            Self::HP0103 => "the type of a static changed",
            Self::HP0104 => "no longer given: a thread-local cannot be given storage",
            Self::HP0201 => "a thread runs the old code until the next call",
            Self::HP0202 => "no longer given: code outside hot functions keeps the old code",
            Self::HP0203 => "no longer given: a deleted function is still called by old code",
            Self::HP0204 => "a static keeps its value",
            Self::HP0205 => "futures that have begun finish in their own code",
            Self::HP0206 => "it takes part from the next start on",
            Self::HP0207 => "the program did not come to a checkpoint",
            Self::HP0208 => "`--guard` took these sources back",
            Self::HP0301 => "no longer given: the signature of a hot function changed",
            Self::HP0302 => "no longer given: a function became hot",
            Self::HP0401 => "what decides the build changed",
            Self::HP0402 => "the toolchain or its flags are not the base's",
            Self::HP0403 => "the running program is not the one this session built",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
