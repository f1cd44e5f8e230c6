//! A walk whose state lives in the frame of `main`.

struct Walk {
    at: u64,
    step: u8,
}

fn scale(value: u64) -> u64 {
    value * 10
}

fn main() {
    eprintln!("`main` ran");
    let mut walk = Walk { at: 0, step: 1 };
    // The input decides how far it goes.
    for _ in std::io::stdin().lines() {
        walk.at += u64::from(walk.step);
        println!("{}", scale(walk.at));
    }
}
