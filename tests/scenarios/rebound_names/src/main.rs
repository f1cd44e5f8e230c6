//! Names that lead to another item where nobody edited, in code that no hot function reaches.

mod signs;
mod words;

use hotpatch_rt::hot;

#[hot]
fn answer(text: &str) -> String {
    format!("hello {text}{}", words::suffix())
}

fn main() {
    assert_eq!(signs::sign().len(), 10);
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.expect("a line")));
    }
}
