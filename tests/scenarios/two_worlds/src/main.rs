//! Types change while old code and old values go on: a thread that never returns, boxed closures, trait objects.

use std::io::BufRead;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Clone)]
pub struct Token {
    text: String,
    at: usize,
}

pub struct Lexer<'a> {
    input: &'a str,
    pos: usize,
}

impl Iterator for Lexer<'_> {
    type Item = Token;
    fn next(&mut self) -> Option<Token> {
        let rest = &self.input[self.pos..];
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(' ').unwrap_or(rest.len());
        let at = self.pos;
        self.pos += (end + 1).min(rest.len());
        Some(token(&rest[..end], at))
    }
}

fn token(text: &str, at: usize) -> Token {
    Token {
        text: text.to_owned(),
        at,
    }
}

fn show(token: &Token) -> String {
    format!("{}@{}", token.text, token.at)
}

/// Nobody calls it at first.
impl Token {
    fn width(&self) -> usize {
        self.at + self.text.len()
    }
}

fn report(input: &str) -> String {
    let tokens: Vec<Token> = Lexer { input, pos: 0 }.collect();
    tokens.iter().map(show).collect::<Vec<_>>().join(",")
}

static ROUNDS: AtomicU64 = AtomicU64::new(0);

/// Goes on for ever with texts of its own; each round makes, clones and drops values.
fn rounds() {
    loop {
        let mut all: Vec<String> = Vec::new();
        for _ in 0..20 {
            all.push(report("old world goes on"));
        }
        assert!(all.iter().all(|text| text.starts_with("old@")));
        ROUNDS.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

type Kept = Box<dyn Fn() -> String + Send>;
static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

/// A closure that holds values of the type, behind a pointer that says nothing of it.
fn keep() {
    let tokens: Vec<Token> = Lexer {
        input: "k e p t",
        pos: 0,
    }
    .collect();
    let closure = move || tokens.iter().map(show).collect::<String>();
    KEPT.lock().unwrap().push(Box::new(closure));
}

fn kept() -> String {
    let kept = KEPT.lock().unwrap();
    kept.iter().map(|closure| closure()).collect::<Vec<_>>().join(" ")
}

pub struct World {
    score: u32,
}
static WORLD: Mutex<World> = Mutex::new(World { score: 1 });

fn score() -> String {
    let mut world = WORLD.lock().unwrap();
    world.score += 1;
    world.score.to_string()
}

pub trait Shape {
    fn area(&self) -> u32;
}
pub struct Square(u32);
impl Shape for Square {
    fn area(&self) -> u32 {
        self.0 * self.0
    }
}
static SHAPES: Mutex<Vec<Box<dyn Shape + Send>>> = Mutex::new(Vec::new());

fn areas() -> String {
    let mut shapes = SHAPES.lock().unwrap();
    shapes.push(Box::new(Square(3)));
    let areas: Vec<String> = shapes.iter().map(|shape| shape.area().to_string()).collect();
    areas.join(" ")
}

pub struct Config {
    level: u32,
}
static CONFIG: Config = Config { level: 7 };

fn level() -> String {
    CONFIG.level.to_string()
}

pub struct Tally {
    lines: u32,
}

fn answer(line: &str) -> String {
    match line {
        "report" => report("a bb ccc"),
        "keep" => {
            keep();
            "ok".to_owned()
        }
        "kept" => kept(),
        "score" => score(),
        "level" => level(),
        "areas" => areas(),
        "rounds" => {
            let before = ROUNDS.load(Ordering::Relaxed);
            while ROUNDS.load(Ordering::Relaxed) < before + 3 {
                std::thread::yield_now();
            }
            "they go on".to_owned()
        }
        _ => "?".to_owned(),
    }
}

fn main() {
    std::thread::spawn(rounds);
    let mut tally = Tally { lines: 0 };
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        tally.lines += 1;
        println!("{}", answer(&line));
    }
}
