use super::*;

/// Not the one of the parent.
fn rows() -> u32 {
    200
}

pub fn table() -> u32 {
    rows() + scale()
}
