//! Manners.

pub fn please(text: &str) -> String {
    format!("{text}, please")
}
