//! What decides the build is edited while the program runs.

use std::io::BufRead;
use std::sync::atomic::{AtomicU32, Ordering};

static CALLS: AtomicU32 = AtomicU32::new(0);

fn answer() -> String {
    let calls = CALLS.fetch_add(1, Ordering::Relaxed);
    format!("{} {} {}", env!("CARGO_PKG_VERSION"), env!("NUMBER"), calls)
}

fn main() {
    for _ in std::io::stdin().lock().lines() {
        println!("{}", answer());
    }
}
