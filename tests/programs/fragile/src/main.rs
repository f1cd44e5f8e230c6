//! A line server that answers in its main thread, or in one whose panics it outlives.

use std::any::Any;
use std::sync::Mutex;
use std::thread;

struct Item {
    value: u32,
}

/// What is kept, whatever it is.
static KEPT: Mutex<Vec<Box<dyn Any + Send>>> = Mutex::new(Vec::new());

fn at(numbers: &[u32], index: usize) -> u32 {
    numbers[index]
}

fn keep() -> String {
    let item = Item { value: 1 };
    item.value.to_string()
}

fn answer(text: &str) -> String {
    format!("base {text}")
}

fn fails_of_old(text: &str) -> String {
    panic!("{text}")
}

/// What a thread says, if it does not panic.
fn outlive(f: fn(&str) -> String, text: &str) -> String {
    let text = text.to_owned();
    let thread = thread::Builder::new().name("other".to_owned());
    let thread = thread.spawn(move || f(&text)).expect("a thread");
    thread.join().unwrap_or_else(|_| "panicked".to_owned())
}

fn main() {
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let (how, text) = line.split_once(' ').unwrap_or(("", &line));
        let answer = match how {
            "thread" => outlive(answer, text),
            "old" => outlive(fails_of_old, text),
            "keep" => keep(),
            _ => answer(text),
        };
        println!("{answer}");
    }
    let kept = KEPT.lock().expect("nobody panics with it").len();
    assert!(kept < 10 && at(&[1], 0) == 1);
}
