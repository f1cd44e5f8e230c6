//! A program whose code asks for thread-locals in a way that leads only to those it was started with.

use std::cell::Cell;

use hotpatch_rt::hot;

thread_local!(static OLD: Cell<u32> = const { Cell::new(1) });

#[hot]
fn step() -> u32 {
    OLD.set(OLD.get() + 1);
    OLD.get()
}

fn main() {
    for _ in std::io::stdin().lines() {
        println!("{}", step());
    }
}
