//! A program as the tool would launch it: one hot function, written out by hand, called on each line of input.

use std::io::{BufRead, stdin};

use hotpatch_live::__private_v1::Slot;

static SLOT: Slot = Slot::new();
static CONSTANT: u64 = 0x1234;

fn hot(n: u32) -> u32 {
    if let Some(hot) = SLOT.get::<fn(u32) -> u32>() {
        return hot(n);
    }
    n + 1
}

fn main() {
    hotpatch_live::start();
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, |tasks| tasks.count());
    let hidden = std::env::var_os("CARGO_HOTPATCH_AGENT").is_none();
    println!(
        "ready {} {} {threads} {hidden}",
        &raw const SLOT as usize, &raw const CONSTANT as usize
    );
    for line in stdin().lock().lines() {
        let line = line.expect("the test sends text");
        println!("{}", hot(line.parse().expect("the test sends numbers")));
    }
}
