//! One import of a macro, which nobody outside of the crate may call, and of what everybody may name.

use crate::{
    macros::{doubled, joined},
    words::{self, Word, shorten as short},
};

pub fn grouped(text: &str) -> String {
    parts(text) + &doubled!("!")
}

fn parts(text: &str) -> String {
    let word = Word(text.len());
    format!("{} {} {}", short(text), word.0, words::last(text))
}
