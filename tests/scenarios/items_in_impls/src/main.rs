//! Constants and types of impls, and whole impls, that come and go.

use hotpatch_rt::hot;

trait Shape {
    const SIDES: u32 = 1;
    fn name(&self) -> String {
        "shape".to_owned()
    }
}

struct Square;
struct Round;

impl Shape for Square {
    fn name(&self) -> String {
        "square".to_owned()
    }
}

impl Shape for Round {}

impl Square {
    const SIZE: u32 = 2;
}

fn sides<T: Shape>(_: &T) -> u32 {
    T::SIDES
}

#[hot]
fn size() -> u32 {
    Square::SIZE + sides(&Square) * 10 + sides(&Round) * 100
}

#[hot]
fn names() -> String {
    format!("{} {}", Square.name(), Round.name())
}

fn main() {
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            "size" => println!("{}", size()),
            _ => println!("{}", names()),
        }
    }
}
