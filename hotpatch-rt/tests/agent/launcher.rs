//! A program as the tool would link it: one function that is called through a cell, on each line of input.

use std::io::{BufRead, stdin};
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

static CELL: AtomicPtr<()> = AtomicPtr::new(body as *mut ());
static CONSTANT: u64 = 0x1234;
// In the place of std's list of libraries and the lock over it.
static LOCK: Mutex<()> = Mutex::new(());
static LIST: AtomicU64 = AtomicU64::new(1);

fn body(n: u32) -> u32 {
    n + 1
}

fn stub(n: u32) -> u32 {
    let body = CELL.load(Ordering::Acquire);
    // SAFETY: the cell leads to `body` or to what the agent was asked to lead it to, a function of the same type.
    let body = unsafe { std::mem::transmute::<*mut (), fn(u32) -> u32>(body) };
    body(n)
}

fn main() {
    hotpatch_live::start();
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, |tasks| tasks.count());
    let hidden = std::env::var_os("CARGO_HOTPATCH_AGENT").is_none();
    println!(
        "ready {} {} {} {threads} {hidden} {} {}",
        &raw const CELL as usize,
        body as *const () as usize,
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
            number => println!("{}", stub(number.parse().expect("the test sends numbers"))),
        }
    }
}
