//! A free hot function, edited, reverted, reformatted and saved in several ways.

use std::sync::atomic::{AtomicI64, Ordering};

use hotpatch_rt::hot;

static TOTAL: AtomicI64 = AtomicI64::new(0);

/// Adds to the total.
#[hot]
fn step(by: i64) -> i64 {
    TOTAL.fetch_add(by, Ordering::Relaxed) + by
}

#[hot]
fn show() -> String {
    format!("total {}", TOTAL.load(Ordering::Relaxed))
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", reply(&line.expect("a line")));
    }
}

fn reply(line: &str) -> String {
    let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
    match command {
        "step" => step(rest.parse().expect("a number")).to_string(),
        "show" => show(),
        "dump" => TOTAL.load(Ordering::Relaxed).to_string(),
        "load" => {
            TOTAL.store(rest.parse().expect("a number"), Ordering::Relaxed);
            "ok".to_string()
        }
        _ => "unknown".to_string(),
    }
}
