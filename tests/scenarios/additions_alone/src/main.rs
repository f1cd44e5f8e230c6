#![deny(unused_variables)]

mod orders;
mod prices;

use prices::Price;

/// What the program keeps while it is edited.
#[derive(Default)]
struct Kept {
    prices: Vec<Price>,
    rules: Vec<fn(u64) -> u64>,
}

fn main() {
    let mut kept = Kept::default();
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let reply = match line.split_once(' ') {
            Some(("price", text)) => prices::added(&mut kept.prices, text),
            Some(("order", text)) => orders::order(text, &mut kept.rules),
            _ => orders::run(&kept.rules, line.len() as u64),
        };
        println!("{reply}");
    }
}
