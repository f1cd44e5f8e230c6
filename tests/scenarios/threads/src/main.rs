//! Threads that call a hot function without a pause while patches arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;

use hotpatch_rt::hot;

/// The number of this generation, and twice that.
#[hot]
fn generation() -> (u32, u32) {
    let number = number();
    (number, doubled(number))
}

fn number() -> u32 {
    1
}

fn doubled(number: u32) -> u32 {
    number * 2
}

struct Watcher {
    seen: Arc<AtomicU32>,
    thread: JoinHandle<Result<u64, String>>,
}

fn watch(stop: Arc<AtomicBool>) -> Watcher {
    let seen = Arc::new(AtomicU32::new(0));
    let shared = seen.clone();
    let thread = std::thread::spawn(move || {
        let mut last = 0;
        let mut calls = 0;
        while !stop.load(Ordering::Relaxed) {
            let (number, double) = generation();
            calls += 1;
            if number < last {
                return Err(format!("{number} after {last}"));
            }
            if double != number * 2 {
                return Err(format!("{number} with {double}"));
            }
            last = number;
            shared.store(number, Ordering::Release);
        }
        Ok(calls)
    });
    Watcher { seen, thread }
}

fn main() {
    let stop = Arc::new(AtomicBool::new(false));
    let mut watchers: Vec<Watcher> = Vec::new();
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let reply = match command {
            "start" => {
                for _ in 0..rest.parse().expect("a number") {
                    watchers.push(watch(stop.clone()));
                }
                "started".to_string()
            }
            "reach" => {
                let wanted: u32 = rest.parse().expect("a number");
                for watcher in &watchers {
                    while watcher.seen.load(Ordering::Acquire) < wanted
                        && !watcher.thread.is_finished()
                    {
                        std::thread::yield_now();
                    }
                }
                "reached".to_string()
            }
            "stop" => {
                stop.store(true, Ordering::Relaxed);
                let results = watchers.drain(..).map(|watcher| {
                    match watcher.thread.join().expect("no panic") {
                        Ok(calls) if calls > 0 => "fine".to_string(),
                        Ok(_) => "no call".to_string(),
                        Err(error) => error,
                    }
                });
                results.collect::<Vec<_>>().join(" ")
            }
            _ => "unknown".to_string(),
        };
        println!("{reply}");
    }
}
