//! Another file.

pub fn more(text: &str) -> usize {
    text.len()
}

pub fn first() -> usize {
    1
}
