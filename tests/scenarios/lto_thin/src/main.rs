//! One hot function over one that an optimised build inlines.

use hotpatch_rt::hot;

#[hot]
fn reply(text: &str) -> String {
    format!("{} {}", decorated(text), text.len() + offset())
}

fn decorated(text: &str) -> String {
    format!("<{text}>{}", memchr::memrchr(b'c', text.as_bytes()).unwrap_or(0))
}

fn offset() -> usize {
    10
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", reply(&line.expect("a line")));
    }
}
