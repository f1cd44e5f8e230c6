//! A program of a library and a binary crate, which knows nothing of the tool.

#![deny(unused_variables)]

mod talk;

use std::any::Any;
use std::io::BufRead;

struct Word(String);

impl Word {
    fn reply(&self) -> String {
        talk::reply(&self.0)
    }
}

struct Other;

fn kind(value: &dyn Any) -> &'static str {
    match value.is::<Word>() {
        true => "a word",
        false => "another",
    }
}

fn main() {
    let mut shop = ahead::Shop::default();
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let (first, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let reply = match first {
            "add" => shop.add(rest).to_string(),
            "visits" => shop.visits(),
            "kind" => format!("{} {}", kind(&Word(String::new())), kind(&Other)),
            "motto" => talk::motto(),
            "twice" => ahead::twice(21).to_string(),
            _ => Word(rest.to_owned()).reply(),
        };
        println!("{reply}");
    }
}
