//! What runs once.

use crate::told;
use crate::words::colon;
use crate::words::*;

fn dot() -> String {
    ".".to_string()
}

const DOT: &str = ".";

pub fn sign() -> String {
    let once = 3;
    drop(1);
    mark()
        + MARK
        + &dot()
        + DOT
        + &colon()
        + &Pair::made()
        + &inner::x()
        + told!()
        + &once.to_string()
        + &crate::words::once::y()
}
