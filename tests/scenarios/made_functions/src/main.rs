//! Functions that derives of other crates make, for types that come while the program runs.

// In the program from its start: else it depends on paths whose copy of std's generic code `main` calls then.
extern crate serde as _;
extern crate thiserror as _;

use hotpatch_rt::hot;
use made_functions_mac::anew;

/// Was there: its derives are in the program.
#[derive(Debug, thiserror::Error)]
enum Old {
    #[error("old {0}")]
    First(u32),
}

/// Counts in a static of a function that a macro makes.
macro_rules! counter {
    ($name:ident) => {
        fn $name() -> u32 {
            use std::sync::atomic::{AtomicU32, Ordering};
            static COUNT: AtomicU32 = AtomicU32::new(0);
            COUNT.fetch_add(1, Ordering::Relaxed) + step()
        }
    };
}

counter!(count);

fn step() -> u32 {
    1
}

#[anew]
fn renewed(of: u32) -> u32 {
    let more = of + 1;
    more * 2
}

#[hot]
fn read(text: &str) -> String {
    let is_list = serde_json::from_str::<Vec<u32>>(text).is_ok();
    format!("{} {is_list}", Old::First(1))
}

#[hot]
fn again(text: &str) -> String {
    text.to_owned()
}

#[hot]
fn counted() -> u32 {
    count() + 100
}

#[cfg_attr(any(), inline)]
fn unmarked() -> u32 {
    7
}

#[hot]
fn new() -> u32 {
    renewed(1)
}

#[hot]
fn odd() -> u32 {
    unmarked()
}

fn main() {
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            "count" => println!("{}", counted()),
            "new" => println!("{}", new()),
            "odd" => println!("{}", odd()),
            other => println!("{} {}", read(other), again(other)),
        }
    }
}
