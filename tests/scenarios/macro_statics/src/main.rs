//! Statics that a macro makes.

use hotpatch_rt::hot;
use std::sync::atomic::{AtomicU32, Ordering};

macro_rules! count {
    () => {{
        static COUNT: AtomicU32 = AtomicU32::new(0);
        COUNT.fetch_add(1, Ordering::Relaxed) + 1
    }};
}

#[hot]
fn value() -> u32 {
    count!() + 10
}

fn main() {
    for line in std::io::stdin().lines() {
        let _ = line.expect("a line");
        println!("{}", value());
    }
}
