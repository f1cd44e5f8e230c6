use super::macros::*;

pub fn first(text: &str) -> String {
    doubled!(text)
}

pub mod inner {
    use crate::macros::*;

    pub fn second(text: &str) -> String {
        joined!(text, "-")
    }
}
