//! A field gets another name, which no code shows until a value of the type is used anew.

use std::sync::Mutex;

struct Pair {
    left: u32,
    right: u32,
}

static PAIR: Mutex<Pair> = Mutex::new(Pair { left: 1, right: 2 });

fn sum() -> u32 {
    let pair = PAIR.lock().unwrap();
    pair.left + pair.right
}

fn answer(text: &str) -> String {
    format!("{text} {}", sum())
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.unwrap()));
    }
}
