//! Constants, macros and initial values, which are not patched yet.

use std::sync::atomic::{AtomicU32, Ordering};

use hotpatch_rt::hot;

const FACTOR: u32 = 2;

struct Limits;

impl Limits {
    const MOST: u32 = 100;
}

const fn constant(value: u32) -> u32 {
    value + 1
}

macro_rules! scaled {
    ($value:expr) => {
        $value * FACTOR
    };
}

static STEP: AtomicU32 = AtomicU32::new(1);

#[hot]
fn answer(value: u32) -> u32 {
    constant(scaled!(value)).min(Limits::MOST) + STEP.load(Ordering::Relaxed)
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", answer(line.expect("a line").parse().expect("a number")));
    }
}
