//! What a trait provides may be part of any caller in an optimised program.

use hotpatch_rt::hot;

trait Shape {
    fn sides(&self) -> u32 {
        1
    }
}

struct Square;

impl Shape for Square {}

#[hot]
fn sides() -> u32 {
    Square.sides()
}

fn main() {
    for line in std::io::stdin().lines() {
        let _ = line.expect("a line");
        println!("{}", sides());
    }
}
