//! Edits to code that no hot function reaches.

mod startup;

use hotpatch_rt::hot;

#[hot]
fn answer(text: &str) -> String {
    format!("{text}{}", startup::suffix())
}

fn main() {
    let greeting = startup::greeting();
    for line in std::io::stdin().lines() {
        println!("{greeting} {}", answer(&line.expect("a line")));
    }
}
