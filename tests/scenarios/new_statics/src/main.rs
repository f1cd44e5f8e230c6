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
static SPEED: u32 = 3;

#[hot]
static WORDS: [&str; 2] = ["a", "b"];

#[hot]
static SHARED: AtomicU32 = AtomicU32::new(1);

#[hot]
fn speed() -> String {
    format!("{SPEED} {} {}", WORDS.join(""), SHARED.load(Ordering::Relaxed))
}

#[hot]
fn faster() -> u32 {
    SPEED * 10
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
            "speed" => println!("{} {} {SPEED}", speed(), faster()),
            "inside" => println!("{}", inside()),
            "store" => println!("{}", store::put()),
            _ => {}
        }
    }
}
