//! Eight threads that call what is patched all the time, and a line server that says what they saw.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// What was called, and what of it made no sense.
static CALLS: AtomicU64 = AtomicU64::new(0);
static WRONG: AtomicU64 = AtomicU64::new(0);

/// An answer with a check that is made of it; both are edited together, in one function each time.
fn answer(of: u64) -> (u64, u64) {
    let version = 1;
    (of + version, (of + version) * 3)
}

fn work() {
    for of in 0.. {
        let (value, check) = std::hint::black_box(answer(of));
        if value * 3 != check {
            WRONG.fetch_add(1, Ordering::Relaxed);
        }
        CALLS.fetch_add(1, Ordering::Relaxed);
        if of % 64 == 0 {
            thread::yield_now();
        }
    }
}

fn main() {
    for _ in 0..8 {
        thread::spawn(work);
    }
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            "version" => println!("{}", answer(0).0),
            "wrong" => println!("{}", WRONG.load(Ordering::Relaxed)),
            "calls" => println!("{}", CALLS.load(Ordering::Relaxed)),
            other => println!("unknown {other}"),
        }
    }
}
