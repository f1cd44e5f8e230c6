// editions: 2018 2021 2024
//! Mistakes in bodies, and warnings, whose places must not move.

#![warn(unused)]

use hotpatch_rt::hot;

#[hot]
fn tail(n: u32) -> bool {
    n
}

#[hot]
fn no_tail(n: u32) -> bool {
    n + 1;
}

#[hot]
fn statement(n: u32) -> bool {
    let text: &str = n;
    text.is_empty()
}

#[hot]
fn unknown(n: u32) -> Missing {
    n + missing
}

#[hot]
fn early((a, b): (u32, String)) -> bool {
    if a == 0 {
        return b;
    }
    "text"
}

struct Counter(u32);

impl Counter {
    #[hot]
    fn bump(&self, n: u32) -> &u32 {
        self.1 += n;
        self.missing()
    }
}

#[hot]
fn inferred() -> Vec<u32> {
    let list = Vec::new();
    Vec::from("text")
}

fn main() {
    tail("text");
    no_tail();
    Counter(1).bump("text");
}
