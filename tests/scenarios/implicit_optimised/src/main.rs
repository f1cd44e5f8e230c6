//! Code that is called without being named, in optimised builds.

use std::cell::Cell;
use std::fmt;
use std::ops::{Add, Index};

use hotpatch_rt::hot;

thread_local! {
    static DROPS: Cell<u32> = const { Cell::new(0) };
}

#[derive(Clone, Copy)]
struct Metres(u32);

impl Add for Metres {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl fmt::Display for Metres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} m", self.0)
    }
}

struct Row([u32; 3]);

impl Index<usize> for Row {
    type Output = u32;

    fn index(&self, at: usize) -> &u32 {
        &self.0[at]
    }
}

struct Guard(u32);

impl Drop for Guard {
    fn drop(&mut self) {
        DROPS.set(DROPS.get() + self.0);
    }
}

fn sum(all: &[Metres]) -> Metres {
    all.iter().fold(Metres(0), |sum, one| sum + *one)
}

fn guards(count: u32) -> u32 {
    let all: Vec<Guard> = (0..count).map(Guard).collect();
    drop(all);
    DROPS.get()
}

#[hot]
fn show(value: u32) -> String {
    let row = Row([value, value + 1, value + 2]);
    format!("{} {}", sum(&[Metres(value), Metres(row[1])]), guards(4))
}

#[hot]
fn other(value: u32) -> String {
    (Metres(value) + Metres(1)).to_string()
}

#[derive(Debug, Default)]
enum Level {
    #[default]
    Low,
    #[allow(dead_code)]
    High,
}

#[hot]
fn level() -> String {
    format!("{:?}", Level::default())
}

fn main() {
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        match line.split_once(' ').expect("two words") {
            ("show", value) => println!("{}", show(value.parse().expect("a number"))),
            ("level", _) => println!("{}", level()),
            ("other", value) => println!("{}", other(value.parse().expect("a number"))),
            _ => {}
        }
    }
}
