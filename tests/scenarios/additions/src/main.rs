//! A program to which helpers, methods, constants, imports and files are added while it runs.

mod shapes;

use hotpatch_rt::hot;
use shapes::Square;

#[hot]
fn describe(square: &Square) -> String {
    format!("side {}", square.side)
}

fn main() {
    let square = Square { side: 4 };
    for line in std::io::stdin().lines() {
        let _ = line.expect("a line");
        println!("{}", describe(&square));
    }
}
