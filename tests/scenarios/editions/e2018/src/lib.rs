//! Edition 2018.

use hotpatch_rt::hot;

#[hot]
pub fn hot(line: &str) -> String {
    let array = [line.len(), 18];
    // In this edition an array's `into_iter` gives references.
    let sum: usize = array.into_iter().map(|number: &usize| *number).sum();
    format!("2018 {}", sum)
}
