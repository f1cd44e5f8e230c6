//! A line server whose answer depends on a flag of the build.

use hotpatch_rt::hot;

#[hot]
fn answer(text: &str) -> String {
    let kind = if cfg!(from_rustflags) {
        "flagged"
    } else {
        "plain"
    };
    format!("base {kind} {text}")
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.expect("a line")));
    }
}
