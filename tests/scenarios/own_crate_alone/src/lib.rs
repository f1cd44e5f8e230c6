//! What only code of its own crate may do: name every field and variant, and call macros that are not exported.

mod calls;
mod groups;
mod macros;
mod words;

#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct Spot(pub usize, pub usize);

#[non_exhaustive]
#[derive(Debug, Default)]
pub struct Options {
    pub wide: bool,
    #[doc(hidden)]
    pub depth: u32,
}

#[non_exhaustive]
#[derive(Debug)]
pub enum Shape {
    Dot,
    #[non_exhaustive]
    Line(u32),
}

pub fn spots(line: usize) -> Vec<Spot> {
    vec![Spot(line, 1)]
}

pub fn options() -> Options {
    Options { wide: true, depth: 1 }
}

pub fn length(shape: &Shape) -> u32 {
    match shape {
        Shape::Dot => 0,
        Shape::Line(length) => *length,
    }
}

pub fn shapes() -> [Shape; 2] {
    [Shape::Dot, Shape::Line(2)]
}

pub fn grouped(text: &str) -> String {
    groups::grouped(text)
}

pub fn called(text: &str) -> String {
    calls::first(text) + &calls::inner::second(text)
}
