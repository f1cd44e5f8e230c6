//! What another module brings in, some of it under names that it has itself.

pub const MARK: &str = "-";

pub fn mark() -> String {
    "+".to_string()
}

pub const DOT: &str = ",";

pub fn dot() -> String {
    ",".to_string()
}

pub fn colon() -> String {
    ":".to_string()
}

pub fn semicolon() -> String {
    ";".to_string()
}

pub struct Pair;

impl Pair {
    pub fn made() -> String {
        "P".to_string()
    }
}

pub mod inner {
    pub fn x() -> String {
        "x".to_string()
    }
}

pub mod once {
    pub fn y() -> String {
        "y".to_string()
    }
}

pub fn suffix() -> &'static str {
    "!"
}

#[macro_export]
macro_rules! told {
    () => {
        "t"
    };
}
