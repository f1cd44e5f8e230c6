//! Trait objects that live on while the code that made them goes.

mod first;
mod second;

use std::sync::Mutex;

pub trait Shape: Send {
    fn area(&self) -> u32;
    fn name(&self) -> String;
}

pub static SHAPES: Mutex<Vec<Box<dyn Shape>>> = Mutex::new(Vec::new());

fn answer(text: &str) -> String {
    match text {
        "first" => first::add(),
        "second" => second::add(),
        _ => {}
    }
    let shapes = SHAPES.lock().unwrap();
    let all = shapes.iter().map(|of| format!("{} {}", of.name(), of.area()));
    all.collect::<Vec<_>>().join(", ")
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.unwrap()));
    }
}
