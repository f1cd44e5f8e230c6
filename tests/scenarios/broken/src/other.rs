//! Another file.

pub fn more(text: &str) -> usize {
    text.len()
}
