//! Types of the names that the program has, too.

#[derive(Default)]
pub struct Stack<T> {
    items: Vec<T>,
}

impl<T> Stack<T> {
    pub fn push(&mut self, item: T) -> usize {
        self.items.push(item);
        self.items.len() + 100
    }
}

pub trait Shape {
    fn area(&self) -> u32;
}

pub struct Circle;

impl Shape for Circle {
    fn area(&self) -> u32 {
        3
    }
}

pub fn total(shapes: &[&dyn Shape]) -> u32 {
    shapes.iter().map(|shape| scaled(shape.area())).sum()
}

pub fn scaled(value: u32) -> u32 {
    value * 2
}
