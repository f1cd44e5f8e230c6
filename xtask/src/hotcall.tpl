//! Measures a call of a hot function beside a direct call of the same body.

use std::hint::black_box;
use std::time::Instant;

use hotpatch_rt::hot;

const CALLS: u64 = 10_000_000;
const BATCHES: usize = 10;

#[hot]
fn hot_call(value: u64, salt: u64) -> u64 {
    let marker: u64 = 1000;
    (value ^ (value >> 7))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(salt ^ marker)
}

#[inline(never)]
fn direct_call(value: u64, salt: u64) -> u64 {
    let marker: u64 = 1000;
    (value ^ (value >> 7))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(salt ^ marker)
}

/// Nanoseconds for each call of one batch.
fn batch(call: impl Fn(u64, u64) -> u64) -> f64 {
    let mut value = black_box(1);
    let start = Instant::now();
    for salt in 0..CALLS {
        value = call(value, salt);
    }
    let elapsed = start.elapsed();
    black_box(value);
    elapsed.as_nanos() as f64 / CALLS as f64
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    println!("pid {}", std::process::id());
    loop {
        let marker = hot_call(0, 0);
        let (mut direct, mut hot) = (Vec::new(), Vec::new());
        for _ in 0..BATCHES {
            direct.push(batch(|value, salt| direct_call(value, salt)));
            hot.push(batch(|value, salt| hot_call(value, salt)));
        }
        // A round during which the code changed belongs to neither side.
        if hot_call(0, 0) == marker {
            println!("call {marker} {:.3} {:.3}", median(direct), median(hot));
        }
    }
}
