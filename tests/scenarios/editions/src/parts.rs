//! A module whose paths start at the crate, as edition 2015 has it.

use parts::inner::length;

pub fn helper(line: &str) -> usize {
    length(line) + ::parts::inner::length(line)
}

mod inner {
    pub fn length(line: &str) -> usize {
        line.len()
    }
}
