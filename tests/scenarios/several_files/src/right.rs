//! The right half.

pub fn text(number: u32) -> String {
    format!("right {number}")
}
