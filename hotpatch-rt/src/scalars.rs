//! What values the tool may read and set through the agent, as the protocol names them.

/// What a static is made of, as far as its value can be read and set through the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The value itself: a `static mut`.
    Bare,
    /// An atomic.
    InAtomic,
    /// `std::sync::Mutex`.
    InMutex,
    /// `std::sync::RwLock`.
    InRwLock,
    /// `std::sync::OnceLock`.
    InOnceLock,
}

/// The type of such a value; no name of std's, which rustc would then tell apart by its path. Numbers travel as little-endian bytes of their size, `bool` as one byte, `char` as four, texts
/// as UTF-8; `isize` and `usize` as the numbers of their size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are Rust's own types")]
pub enum Scalar {
    Bool,
    Char,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    /// `&'static str`.
    StaticText,
    /// `String`.
    OwnedText,
}

impl Holder {
    /// All, by their number on the wire.
    pub(crate) const ALL: [Holder; 5] = [
        Holder::Bare,
        Holder::InAtomic,
        Holder::InMutex,
        Holder::InRwLock,
        Holder::InOnceLock,
    ];
}

impl Scalar {
    /// All, by their number on the wire.
    pub(crate) const ALL: [Scalar; 16] = [
        Scalar::Bool,
        Scalar::Char,
        Scalar::I8,
        Scalar::I16,
        Scalar::I32,
        Scalar::I64,
        Scalar::I128,
        Scalar::U8,
        Scalar::U16,
        Scalar::U32,
        Scalar::U64,
        Scalar::U128,
        Scalar::F32,
        Scalar::F64,
        Scalar::StaticText,
        Scalar::OwnedText,
    ];
}

/// A static, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueAt {
    /// Where it lies in the process.
    pub address: u64,
    /// Its size in bytes, with what holds the value.
    pub size: u64,
    /// What holds the value.
    pub holder: Holder,
    /// The value's type.
    pub scalar: Scalar,
}
