//! At opt-level 3: statics that the base only reads, until a patch writes them.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use hotpatch_rt::hot;

static NEVER_WRITTEN: AtomicU32 = AtomicU32::new(5);
static mut ALSO_NEVER_WRITTEN: u32 = 6;

thread_local!(static LOCAL: Cell<u32> = const { Cell::new(7) });

#[hot]
fn poke(value: u32) -> u32 {
    value
}

fn read() -> String {
    // SAFETY: there is one thread.
    let plain = unsafe { ALSO_NEVER_WRITTEN };
    format!("{} {plain} {}", NEVER_WRITTEN.load(Ordering::Relaxed), LOCAL.get())
}

fn main() {
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let reply = match line.strip_prefix("poke ") {
            Some(value) => poke(value.parse().expect("a number")).to_string(),
            None => read(),
        };
        println!("{reply}");
    }
}
