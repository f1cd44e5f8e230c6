//! Bytes in a static. How they are aligned the optimiser decides, by what code reads them with.

use std::io::BufRead;

static mut BYTES: [u8; 35] = [1; 35];

#[inline(never)]
fn step() {
    // SAFETY: there is one thread.
    unsafe { BYTES[3] += 1 }
}

#[inline(never)]
fn sum() -> u128 {
    // SAFETY: there is one thread.
    unsafe { u128::from(BYTES[0]) + u128::from(BYTES[3]) }
}

fn main() {
    for _ in std::io::stdin().lock().lines() {
        step();
        println!("{}", sum());
    }
}
