//! A program that reads nothing, and waits to be ended.

use hotpatch_rt::hot;

struct Pair {
    left: u8,
}

#[hot]
fn look(pair: &Pair) -> u8 {
    pair.left
}

fn boot() {}

fn main() {
    boot();
    let pair = Pair { left: 1 };
    println!("{}", look(&pair));
    loop {
        std::thread::park();
    }
}
