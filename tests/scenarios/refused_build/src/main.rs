//! Edits to how the program is built.

use hotpatch_rt::hot;

#[hot]
fn answer() -> String {
    format!("{} {}", env!("DECIDED"), env!("FROM_CONFIG"))
}

fn main() {
    for line in std::io::stdin().lines() {
        let _ = line.expect("a line");
        println!("{}", answer());
    }
}
