//! Code that the standard library calls from functions it never inlines: of those the program has instances, which stay
//! as they are.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use hotpatch_rt::hot;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Card {
    number: u32,
}

impl Ord for Card {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number.cmp(&other.number)
    }
}

impl PartialOrd for Card {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Card {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.number / 2).hash(state);
    }
}

fn deck() -> Vec<Card> {
    (0..100).map(|number| Card { number: number * 37 % 101 }).collect()
}

#[inline]
fn aside(number: u32) -> u32 {
    std::thread::spawn(move || number + 1).join().unwrap_or(0)
}

#[hot]
fn answer(text: &str) -> String {
    let mut sorted = deck();
    sorted.sort();
    let mut unstable = deck();
    unstable.sort_unstable_by_key(|card| card.number % 10);
    let counts: HashMap<Card, usize> = deck().into_iter().zip(0..).collect();
    let third = Card { number: sorted[3].number };
    format!(
        "{text} {} {} {:?} {}",
        sorted[3].number,
        unstable[0].number % 10,
        counts.get(&third),
        aside(sorted[2].number)
    )
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.expect("a line")));
    }
}
