//! Macros of one name: the one that stands before counts.

use hotpatch_rt::hot;

macro_rules! number {
    () => {
        1
    };
}

#[hot]
fn value() -> u32 {
    number!()
}

macro_rules! number {
    () => {
        2
    };
}

fn main() {
    assert_eq!(number!(), 2);
    for line in std::io::stdin().lines() {
        let _ = line.expect("a line");
        println!("{}", value());
    }
}
