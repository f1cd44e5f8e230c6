//! A program as the tool would launch it: one hot function, written out by hand, called on each line of input.

use std::io::{BufRead, stdin};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use hotpatch_live::__private_v1::Slot;

static SLOT: Slot = Slot::new();
static CONSTANT: u64 = 0x1234;
// In the place of std's list of libraries and the lock over it.
static LOCK: Mutex<()> = Mutex::new(());
static LIST: AtomicU64 = AtomicU64::new(1);

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
        "ready {} {} {threads} {hidden} {} {}",
        &raw const SLOT as usize,
        &raw const CONSTANT as usize,
        &raw const LOCK as usize,
        &raw const LIST as usize
    );
    let mut guard = None;
    for line in stdin().lock().lines() {
        let line = line.expect("the test sends text");
        match line.as_str() {
            "lock" => {
                guard = Some(LOCK.lock().expect("unpoisoned"));
                LIST.store(2, Ordering::Relaxed);
                println!("locked");
            }
            "unlock" => {
                drop(guard.take());
                println!("unlocked");
            }
            "list" => println!("{}", LIST.load(Ordering::Relaxed)),
            number => println!("{}", hot(number.parse().expect("the test sends numbers"))),
        }
    }
}
