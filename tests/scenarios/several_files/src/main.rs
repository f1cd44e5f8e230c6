//! Files that are saved together.

mod left;
mod right;

use hotpatch_rt::hot;

#[hot]
fn both() -> String {
    format!("{} {}", left::text(1), right::text(2))
}

fn main() {
    for line in std::io::stdin().lines() {
        let _ = line.expect("a line");
        println!("{}", both());
    }
}
