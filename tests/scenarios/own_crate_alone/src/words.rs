pub struct Word(pub usize);

pub fn shorten(text: &str) -> String {
    text.chars().take(2).collect()
}

pub fn last(text: &str) -> char {
    text.chars().last().unwrap_or(' ')
}
