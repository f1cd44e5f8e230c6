//! The library whose use an example shows.

pub fn greet(name: &str) -> String {
    format!("hello {name}")
}
