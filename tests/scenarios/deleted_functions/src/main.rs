//! A function that goes while code that was not patched still calls it.

use hotpatch_rt::hot;

fn helper() -> u32 {
    1
}

/// Runs once.
fn start() -> u32 {
    helper()
}

#[hot]
fn value() -> u32 {
    helper() + 1
}

fn main() {
    let _ = start();
    for line in std::io::stdin().lines() {
        let _ = line.expect("a line");
        println!("{} {}", value(), other());
    }
}

fn old_name() -> u32 {
    3
}

#[hot]
fn inner() -> u32 {
    old_name()
}

#[hot]
fn other() -> u32 {
    inner() + 1
}
