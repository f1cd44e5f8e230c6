//! Functions that can be patched, one that cannot, and one that the program has no code of.

use std::sync::atomic::{AtomicU32, Ordering};

use hotpatch_rt::hot;

struct Counter<'a>(&'a AtomicU32);

impl Counter<'_> {
    fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

fn twice<T: Clone>(value: &T) -> (T, T) {
    (value.clone(), value.clone())
}

#[allow(dead_code)]
fn never_used<T: Default>() -> T {
    T::default()
}

const fn added(one: u32, other: u32) -> u32 {
    one + other
}

fn ambiguous() -> u32 {
    let first = {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Counter(&COUNT).next()
    };
    let second = {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Counter(&COUNT).next()
    };
    first * 10 + second
}

#[hot]
fn answer(text: &str) -> String {
    #![allow(clippy::needless_return)]
    return format!("{:?} {}", twice(&text), added(ambiguous(), 1));
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.expect("a line")));
    }
}
