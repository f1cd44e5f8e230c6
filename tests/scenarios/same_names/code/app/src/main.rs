//! Types of the names that the library has, too.

use hotpatch_rt::hot;
use same_names_engine as engine;

struct Stack {
    items: Vec<u32>,
}

impl Stack {
    fn push(&mut self, item: u32) -> usize {
        self.items.push(item);
        self.items.len()
    }
}

struct Circle;

impl engine::Shape for Circle {
    fn area(&self) -> u32 {
        40
    }
}

#[hot]
fn library(stack: &mut engine::Stack<u32>) -> usize {
    stack.push(1)
}

#[hot]
fn own(stack: &mut Stack) -> usize {
    stack.push(1)
}

#[hot]
fn shapes() -> u32 {
    engine::total(&[&Circle, &engine::Circle]) + engine::scaled(1000)
}

fn main() {
    let mut theirs = engine::Stack::default();
    let mut ours = Stack { items: Vec::new() };
    for line in std::io::stdin().lines() {
        let _ = line.expect("a line");
        println!("{} {} {}", library(&mut theirs), own(&mut ours), shapes());
    }
}
