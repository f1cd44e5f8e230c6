//! Edited bodies that use what only their own module or crate can name.

#[macro_use]
mod macros;
mod vault;

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use hotpatch_rt::hot;
use vault::Vault;

const SECRET: u32 = 40;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    x: i32,
    y: i32,
}

enum Shape {
    Dot(Point),
    Line { from: Point, to: Point },
}

impl Display for Shape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Dot(point) => write!(out, "dot {point:?}"),
            Shape::Line { from, to } => write!(out, "line {from:?} {to:?}"),
        }
    }
}

#[hot]
fn shapes(line: &str) -> String {
    let at = Point { x: line.len() as i32, y: 1 };
    let shapes = [Shape::Dot(at), Shape::Line { from: Point::default(), to: at }];
    join!(", ", shapes[0], shapes[1])
}

#[hot]
fn closures(line: &str) -> String {
    let mut counts = BTreeMap::new();
    line.chars().for_each(|letter| *counts.entry(letter).or_insert(0) += 1);
    let add = |by: u32| move |value: u32| value + by;
    let more = add(SECRET);
    counts.iter().map(|(letter, count)| format!("{letter}{}", more(*count))).collect()
}

#[hot]
fn local_items(line: &str) -> String {
    const LIMIT: usize = 2;
    #[derive(Debug)]
    struct Local(usize);
    impl Local {
        fn shorter(&self) -> usize {
            self.0.min(LIMIT)
        }
    }
    fn local(line: &str) -> Local {
        Local(line.len())
    }
    format!("{:?} {}", local(line), local(line).shorter())
}

#[hot]
fn r#match(r#type: &str) -> String {
    let größe = r#type.len();
    format!("{größe}")
}

fn main() {
    let mut vault = Vault::new();
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let reply = match command {
            "shapes" => shapes(rest),
            "closures" => closures(rest),
            "local" => local_items(rest),
            "match" => r#match(rest),
            "vault" => vault.open(rest),
            "dump" => vault.dump(),
            "load" => {
                vault = Vault::load(rest);
                "ok".to_string()
            }
            _ => "unknown".to_string(),
        };
        println!("{reply}");
    }
}
