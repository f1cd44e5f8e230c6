//! An example in a folder, with a module.

mod polite;

use hotpatch_rt::hot;

#[hot]
fn answer(name: &str) -> String {
    polite::please(&example_target::greet(name))
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.expect("a line")));
    }
}
