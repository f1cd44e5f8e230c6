//! A helper that hot code and other code call.

use hotpatch_rt::hot;

#[hot]
fn hot_side() -> u32 {
    shared() + 1
}

fn cold_side() -> u32 {
    shared() + 2
}

fn shared() -> u32 {
    10
}

fn main() {
    for line in std::io::stdin().lines() {
        let _ = line.expect("a line");
        println!("{} {}", hot_side(), cold_side());
    }
}
