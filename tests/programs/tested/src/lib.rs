//! Something to test.

use std::sync::atomic::{AtomicU32, Ordering};

pub fn add(a: u32, b: u32) -> u32 {
    a + b
}

pub fn mul(a: u32, b: u32) -> u32 {
    a * b
}

pub trait Shape {
    fn area(&self) -> u32;
}

pub struct Square {
    pub side: u32,
}

impl Shape for Square {
    fn area(&self) -> u32 {
        mul(self.side, self.side)
    }
}

static COUNT: AtomicU32 = AtomicU32::new(10);

pub fn count() -> u32 {
    COUNT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds() {
        assert_eq!(add(1, 2), 3);
    }

    #[test]
    fn multiplies() {
        assert_eq!(mul(3, 2), 6);
    }

    #[test]
    fn squares_have_areas() {
        let shape: Box<dyn Shape> = Box::new(Square { side: 3 });
        assert_eq!(shape.area(), 9);
    }

    #[test]
    fn counts_from_ten() {
        assert_eq!(count(), 10);
    }

    #[test]
    #[should_panic]
    fn panics() {
        let none: Option<u32> = None;
        none.unwrap();
    }

    #[test]
    #[ignore]
    fn takes_long() {}
}
