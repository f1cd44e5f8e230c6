//! A constructor, and a library by path that is no member of the workspace.

use std::io::BufRead;
use std::sync::atomic::{AtomicU32, Ordering};

static STARTS: AtomicU32 = AtomicU32::new(0);

extern "C" fn start() {
    STARTS.fetch_add(1, Ordering::Relaxed);
}

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = start;

fn answer() -> String {
    let starts = STARTS.load(Ordering::Relaxed);
    format!("{starts} {}", unmarked_beside::beside())
}

fn main() {
    for _ in std::io::stdin().lock().lines() {
        println!("{}", answer());
    }
}
