//! A crate that forbids unsafe code, denies all warnings, wants docs and aborts on panic.

#![forbid(unsafe_code)]
#![deny(missing_docs, unused, unreachable_pub, dead_code)]

mod clamp;

use hotpatch_rt::hot;

#[hot]
fn answer(value: i64) -> i64 {
    clamp::clamped(value) + 1
}

#[hot]
fn boxed(value: i64) -> Box<dyn Fn(i64) -> i64> {
    Box::new(move |by| value + by)
}

fn main() {
    for line in std::io::stdin().lines() {
        let value = line.expect("a line").parse().expect("a number");
        println!("{} {}", answer(value), boxed(value)(2));
    }
}
