//! Edits that do not compile, and what comes after them.

mod other;

use hotpatch_rt::hot;

#[hot]
fn answer(text: &str) -> usize {
    let length = text.len();
    length + other::more(text)
}

struct Shop;

impl std::fmt::Display for Shop {
    #[hot]
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "open")
    }
}

/// No hot function calls it.
fn start() -> usize {
    other::first()
}

fn main() {
    let first = start();
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            "shop" => println!("{Shop} {first}"),
            line => println!("{}", answer(line)),
        }
    }
}
