//! What stands beside types and functions: derives, attributes, default methods, files that are included.

use std::panic::Location;

use hotpatch_rt::hot;

#[derive(Clone, Debug)]
struct Point {
    x: u32,
    y: u32,
}

#[derive(Clone, Debug, Default)]
enum Mode {
    #[default]
    Slow,
    #[allow(dead_code)]
    Fast,
}

trait Shape {
    fn area(&self) -> u32;

    fn describe(&self) -> String {
        format!("area {}", self.area())
    }

    fn twice(&self) -> u32 {
        self.area() * 2
    }
}

impl Shape for Point {
    fn area(&self) -> u32 {
        self.x * self.y
    }
}

impl Shape for Mode {
    fn area(&self) -> u32 {
        matches!(self, Mode::Fast).into()
    }

    fn twice(&self) -> u32 {
        7
    }
}

fn through<T: Shape>(shape: &T) -> u32 {
    shape.twice()
}

#[track_caller]
fn line() -> u32 {
    Location::caller().line() * 0
}

fn counted() -> u32 {
    thread_local! {
        static CALLS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }
    CALLS.set(CALLS.get() + 1);
    CALLS.get()
}

#[inline(never)]
fn iterate(to: u32) -> impl Iterator<Item = u32> {
    (0..to).map(|n| n * 2)
}

static MODE: std::sync::Mutex<Option<Mode>> = std::sync::Mutex::new(None);

#[hot]
fn show() -> String {
    let point = Point { x: 2, y: 3 };
    let mut mode = MODE.lock().expect("a lock");
    let mode = mode.get_or_insert_with(Mode::default);
    let shapes: [&dyn Shape; 2] = [&point, mode];
    let texts: Vec<String> = shapes.iter().map(|shape| shape.describe()).collect();
    format!(
        "{point:?} {mode:?} {:?} {} {} {} {:?}",
        Mode::default(),
        texts.join(" "),
        through(&point) + through(mode),
        line(),
        iterate(3).collect::<Vec<_>>()
    )
}

#[hot]
fn message() -> String {
    format!("{}{}", include_str!("message.txt").trim(), include_bytes!("message.txt").len())
}

#[hot]
fn count() -> u32 {
    counted()
}

fn main() {
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            "show" => println!("{}", show()),
            "message" => println!("{}", message()),
            "count" => println!("{}", count()),
            _ => {}
        }
    }
}
