//! What runs once, and what runs always.

pub fn greeting() -> String {
    "hello".to_string()
}

pub fn suffix() -> &'static str {
    "!"
}
