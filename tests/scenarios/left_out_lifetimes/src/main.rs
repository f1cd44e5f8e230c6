//! Lifetimes that nobody writes: of an impl's type, and of a static inside a function.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use hotpatch_rt::hot;

struct Words<'a>(Vec<&'a str>);

impl PartialEq for Words<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
    }
}

enum Found<'a> {
    Word(&'a str),
    Number(u32),
}

impl From<u32> for Found<'_> {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}

impl std::ops::Add<&Words<'_>> for &Words<'_> {
    type Output = usize;

    fn add(self, other: &Words<'_>) -> usize {
        self.0.len() + other.0.len()
    }
}

trait Key {
    fn key(&self) -> u32;
}

impl Key for u32 {
    fn key(&self) -> u32 {
        *self
    }
}

impl PartialEq for dyn Key + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

static MADE: AtomicU32 = AtomicU32::new(0);

fn names() -> &'static BTreeMap<&'static str, &'static str> {
    static NAMES: LazyLock<BTreeMap<&str, &str>> = LazyLock::new(|| {
        MADE.fetch_add(1, Ordering::Relaxed);
        BTreeMap::from([("a", "first"), ("b", "second")])
    });
    &NAMES
}

#[hot]
fn answer(line: &str) -> String {
    let words = Words(line.split_whitespace().collect());
    let keys: [&dyn Key; 2] = [&1, &1];
    assert!(line == "?" || keys[0] == keys[1]);
    let same = words == Words(vec!["one", "word"]);
    let found = match words.0.first().and_then(|word| names().get(word)) {
        Some(name) => Found::Word(name),
        None => Found::from(7),
    };
    let found = match found {
        Found::Word(name) => name.to_owned(),
        Found::Number(number) => number.to_string(),
    };
    let sum = &words + &words;
    format!("{same} {found} {sum} {}", MADE.load(Ordering::Relaxed))
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.expect("a line")));
    }
}
