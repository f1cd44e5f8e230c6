//! A helper that hot code and other code call.

use std::sync::Mutex;

use hotpatch_rt::hot;

#[hot]
fn hot_side() -> u32 {
    shared() + 1
}

fn cold_side() -> u32 {
    shared() + 2
}

fn shared() -> u32 {
    10
}

/// Keeps a pointer, which goes on to lead to the code that was there.
static KEPT: Mutex<Vec<fn() -> u32>> = Mutex::new(Vec::new());

fn pointed() -> u32 {
    deep() * 2
}

fn deep() -> u32 {
    3
}

#[hot]
fn keep() -> u32 {
    let mut kept = KEPT.lock().expect("a lock");
    kept.push(pointed);
    kept.iter().map(|function| function()).sum()
}

trait Named {
    fn name(&self) -> u32 {
        7
    }
}

struct Thing;

impl Named for Thing {}

fn named() -> u32 {
    Thing.name()
}

static NAMED: fn() -> u32 = named;

#[hot]
fn by_pointer() -> u32 {
    NAMED()
}

fn main() {
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        if line == "keep" {
            println!("{}", keep());
            continue;
        }
        if line == "pointer" {
            println!("{}", by_pointer());
            continue;
        }
        println!("{} {}", hot_side(), cold_side());
    }
}
