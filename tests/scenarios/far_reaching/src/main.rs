//! Edits that change what code means which stays as it is written.

use std::fmt::{self, Debug};
use std::ops::{Deref, Mul};
use std::sync::Mutex;

use hotpatch_rt::hot;

struct W<'a, T>(&'a T);

trait ViaDisplay {
    fn kind(&self) -> String;
}

trait ViaAny {
    fn kind(&self) -> String;
}

impl<T: fmt::Display> ViaDisplay for W<'_, T> {
    fn kind(&self) -> String {
        format!("shown {}", self.0)
    }
}

impl<T> ViaAny for &W<'_, T> {
    fn kind(&self) -> String {
        "opaque".to_owned()
    }
}

struct Plain(u32);

fn kind(number: u32) -> String {
    let plain = Plain(number + 1 - 1);
    (&W(&plain)).kind() + if plain.0 == 0 { "!" } else { "" }
}

struct Name(String);

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

fn name(text: &str) -> String {
    Name(text.to_owned()).to_string()
}

struct Factor(u32);

impl Mul<u8> for Factor {
    type Output = String;

    fn mul(self, by: u8) -> String {
        format!("u8 {}", self.0 * u32::from(by))
    }
}

fn twice(number: u32) -> String {
    Factor(number) * 2
}

struct Bounded<T>(T);

trait Fallback {
    fn told(&self) -> &'static str;
}

impl<T> Fallback for Bounded<T> {
    fn told(&self) -> &'static str {
        "nothing"
    }
}

impl<T: Debug> Bounded<T> {
    fn told(&self) -> &'static str {
        "debug"
    }
}

struct Silent;

const WIDTH: usize = 5;

fn padded(number: u32) -> String {
    format!("[{number:>WIDTH$}]")
}

const r#if: u32 = 3;

fn raw() -> u32 {
    r#if
}

const START: u32 = 10;
#[hot]
static LIMIT: u32 = START;
static MADE: Mutex<u32> = Mutex::new(START);

fn step(number: u32) -> u32 {
    number + 1
}

static KEPT: Mutex<Vec<Box<dyn Fn(u32) -> u32 + Send>>> = Mutex::new(Vec::new());

fn keep() {
    KEPT.lock().expect("a list").push(Box::new(|number| step(number)));
}

#[hot]
fn answer(line: &str) -> String {
    let (what, number) = line.split_once(' ').unwrap_or((line, "1"));
    let number: u32 = number.parse().expect("a number");
    match what {
        "kind" => kind(number),
        "name" => name("bob"),
        "twice" => twice(number),
        "bounded" => Bounded(Silent).told().to_owned(),
        "padded" => padded(number),
        "raw" => raw().to_string(),
        "limit" => format!("{LIMIT} {}", MADE.lock().expect("a number")),
        "keep" => {
            keep();
            "kept".to_owned()
        }
        "kept" => {
            let kept = KEPT.lock().expect("a list");
            format!("{:?}", kept.iter().map(|kept| kept(number)).collect::<Vec<_>>())
        }
        _ => what.to_owned(),
    }
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.expect("a line")));
    }
}
