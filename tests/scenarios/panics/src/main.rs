//! Panics across the border between base and patch, their places, and backtraces.

mod deep;

use std::panic::{Location, catch_unwind};
use std::sync::Mutex;

use hotpatch_rt::hot;

static PLACE: Mutex<String> = Mutex::new(String::new());

struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        PLACE.lock().expect("unpoisoned").push_str(" unwound");
    }
}

// What is never patched stands above what is: its lines are those of the base.

fn main() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().expect("a place");
        *PLACE.lock().expect("unpoisoned") =
            format!("{}:{}:{}", place.file(), place.line(), place.column());
    }));
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let reply = match command {
            "fail" => match catch_unwind(|| fails(rest)) {
                Ok(result) => format!("fine {result}"),
                Err(_) => format!("panic at {}", PLACE.lock().expect("unpoisoned")),
            },
            "catch" => format!("{} {}", catches(rest), PLACE.lock().expect("unpoisoned")),
            "place" => place(),
            "trace" => trace(),
            _ => "unknown".to_string(),
        };
        println!("{reply}");
    }
}

fn fails_in_base(line: &str) -> usize {
    assert!(line.len() < 4, "too long");
    line.len()
}

#[hot]
fn fails(line: &str) -> usize {
    let _guard = Guard;
    let number: usize = line.parse().expect("a number");
    10 / number
}

#[hot]
fn catches(line: &str) -> String {
    let line = line.to_string();
    match catch_unwind(move || fails_in_base(&line)) {
        Ok(length) => format!("fine {length}"),
        Err(_) => "caught".to_string(),
    }
}

#[hot]
fn place() -> String {
    let here = Location::caller();
    format!("{}:{}:{} {}", file!(), line!(), column!(), tracked().line() - here.line())
}

#[track_caller]
fn tracked() -> &'static Location<'static> {
    Location::caller()
}

#[hot]
fn trace() -> String {
    deep::own_frames()
}
