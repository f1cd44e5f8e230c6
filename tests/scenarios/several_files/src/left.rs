//! The left half.

pub fn text(number: u32) -> String {
    format!("left {number}")
}
