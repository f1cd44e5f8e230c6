//! Edits to code that no hot function reaches.

mod greeter;
mod startup;

use hotpatch_rt::hot;

#[hot]
fn answer(text: &str) -> String {
    format!("{text}{}", startup::suffix())
}

fn main() {
    let host = greeter::Wrapped(greeter::Host("host"));
    assert_eq!(
        startup::told(&host.0).len()
            + startup::behind(&host).len()
            + startup::signs::sign().len(),
        15
    );
    let greeting = startup::greeting();
    for line in std::io::stdin().lines() {
        println!("{greeting} {}", answer(&line.expect("a line")));
    }
}
