//! Own code at opt-level 1, dependencies at 3.

use std::sync::atomic::{AtomicU64, Ordering};

use hotpatch_rt::hot;

static CALLS: AtomicU64 = AtomicU64::new(0);
static mut LAST: u64 = 0;

struct Game {
    score: u64,
}

impl Game {
    #[hot]
    fn update(&mut self, by: u64) -> u64 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        self.score += small(by) + generic(by);
        remember(self.score);
        self.score
    }
}

fn small(by: u64) -> u64 {
    tiny(by) + 1
}

#[inline]
fn tiny(by: u64) -> u64 {
    by * 2
}

fn generic<T: Into<u64>>(value: T) -> u64 {
    value.into()
}

fn remember(score: u64) {
    // SAFETY: there is one thread.
    unsafe { LAST = score }
}

fn last() -> u64 {
    // SAFETY: there is one thread.
    unsafe { LAST }
}

#[hot]
fn divide(by: u64) -> u64 {
    1000 / by
}

fn main() {
    let mut game = Game { score: 0 };
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let reply = match command {
            "update" => game.update(rest.parse().expect("a number")).to_string(),
            "seen" => format!("{} {}", CALLS.load(Ordering::Relaxed), last()),
            "divide" => {
                let by = rest.parse().expect("a number");
                match std::panic::catch_unwind(|| divide(by)) {
                    Ok(result) => result.to_string(),
                    Err(_) => "panicked".to_string(),
                }
            }
            "dump" => format!("{} {} {}", game.score, CALLS.load(Ordering::Relaxed), last()),
            "load" => {
                let numbers: Vec<u64> =
                    rest.split(' ').map(|number| number.parse().expect("a number")).collect();
                game.score = numbers[0];
                CALLS.store(numbers[1], Ordering::Relaxed);
                // SAFETY: there is one thread.
                unsafe { LAST = numbers[2] }
                "ok".to_string()
            }
            _ => "unknown".to_string(),
        };
        println!("{reply}");
    }
}
