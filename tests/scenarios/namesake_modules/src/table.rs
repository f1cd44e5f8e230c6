use super::*;

/// Not the one of the parent.
fn rows() -> u32 {
    200
}

pub fn table() -> u32 {
    rows() + scale() + legs::four()
}

/// A module below it.
pub mod legs {
    pub fn four() -> u32 {
        4 + none()
    }

    fn none() -> u32 {
        0
    }
}
