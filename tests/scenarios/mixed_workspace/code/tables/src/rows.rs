//! A file that is not the crate's root.

pub fn width() -> u32 {
    100
}
