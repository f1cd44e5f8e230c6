//! Functions that were edited before hot code calls them, and functions that come back.

use hotpatch_rt::hot;

mod store {
    pub fn returning() -> u32 {
        7
    }
}

fn cold() -> u32 {
    1
}

fn through() -> u32 {
    cold() + 100
}

fn generic<T: Into<u32>>(value: T) -> u32 {
    value.into() + 1
}

#[hot]
fn value() -> u32 {
    store::returning()
}

#[hot]
fn other() -> u32 {
    generic(1_u8)
}

fn main() {
    let _ = (cold(), through(), generic(1_u8), generic(1_u16));
    for line in std::io::stdin().lines() {
        let _ = line.expect("a line");
        println!("{} {}", value(), other());
    }
}
