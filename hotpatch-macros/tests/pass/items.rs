//! The attribute wherever it may be, in a plain build.

#![forbid(unsafe_code)]
#![deny(warnings)]

use hotpatch_rt::hot;
use std::fmt::{self, Display};

#[hot]
fn free<'a>(text: &'a str, (a, _): (u32, u32)) -> (&'a str, u32) {
    #![allow(unused_variables)]
    let unused = 1;
    (text, a)
}

struct Item(u32);

impl Item {
    #[hotpatch_rt::hot]
    fn inherent(&mut self, _: u32, mut n: u32) -> &mut u32 {
        n += 1;
        self.0 += n;
        &mut self.0
    }
}

impl Display for Item {
    #[hot]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[hot]
fn main() {
    #[hot]
    fn inside() -> u32 {
        4
    }
    assert_eq!(free("a", (1, 2)), ("a", 1));
    let mut item = Item(inside());
    assert_eq!(*item.inherent(1, 2), 7);
    assert_eq!(item.to_string(), "7");
}
