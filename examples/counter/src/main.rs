//! Counts, and goes on counting while you change how.
//!
//! Start it with `cargo hotpatch run`, change `step` or `points` while it runs, and save.

use std::thread;
use std::time::Duration;

/// What must survive an edit: it lives on the stack of `main`, which never returns.
struct Counter {
    ticks: u64,
    total: u64,
}

fn main() {
    let mut counter = Counter { ticks: 0, total: 0 };
    loop {
        step(&mut counter);
        thread::sleep(Duration::from_millis(300));
    }
}

/// Its next call runs what you saved last.
fn step(counter: &mut Counter) {
    counter.ticks += 1;
    counter.total += points();
    println!("tick {:>3}: total {}", counter.ticks, counter.total);
}

/// So does that of any other function.
fn points() -> u64 {
    1
}
