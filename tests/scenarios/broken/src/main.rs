//! Edits that do not compile, and what comes after them.

mod other;

use hotpatch_rt::hot;

#[hot]
fn answer(text: &str) -> usize {
    let length = text.len();
    length + other::more(text)
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.expect("a line")));
    }
}
