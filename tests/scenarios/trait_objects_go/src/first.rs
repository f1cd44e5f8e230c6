use crate::{SHAPES, Shape};

struct Square(u32);

impl Shape for Square {
    fn area(&self) -> u32 {
        self.0 * self.0
    }

    fn name(&self) -> String {
        "square".to_owned()
    }
}

pub fn add() {
    SHAPES.lock().unwrap().push(Box::new(Square(3)));
}
