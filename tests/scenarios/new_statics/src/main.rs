//! Statics that come with an edit.

mod store;

use std::sync::atomic::{AtomicU32, Ordering};

use hotpatch_rt::hot;

#[hot]
fn step() -> u32 {
    1
}

#[hot]
fn other() -> u32 {
    2
}

#[hot]
fn inside() -> u32 {
    let next = || 3;
    next()
}

fn main() {
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            "step" => println!("{}", step()),
            "other" => println!("{}", other()),
            "inside" => println!("{}", inside()),
            "store" => println!("{}", store::put()),
            _ => {}
        }
    }
}
