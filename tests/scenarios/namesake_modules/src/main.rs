//! A function that is called what its module is, imported from there, while the module imports all of its parent.

mod table;

use hotpatch_rt::hot;
use table::table;

fn scale() -> u32 {
    10
}

fn rows() -> u32 {
    1
}

#[hot]
fn value() -> u32 {
    table() + rows()
}

fn main() {
    for line in std::io::stdin().lines() {
        let _ = line.expect("a line");
        println!("{}", value());
    }
}
