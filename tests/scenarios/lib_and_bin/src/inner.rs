//! What the library keeps to itself.

use crate::Counter;

pub(crate) fn add(counter: &mut Counter, by: u32) {
    counter.count += by;
}
