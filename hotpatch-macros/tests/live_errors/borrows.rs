// editions: 2018 2021 2024
//! What only the borrow checker and the lints find, whose places must not move.

#![deny(unused)]

use hotpatch_rt::hot;

#[hot]
fn returns_local() -> &'static str {
    let text = String::new();
    &text
}

#[hot]
fn moves_twice(text: String) -> usize {
    drop(text);
    text.len()
}

#[hot]
fn needs_mut(list: Vec<u32>, (other, _): (Vec<u32>, u32)) -> Vec<u32> {
    list.push(1);
    other.push(2);
    list
}

#[hot]
fn unused_local((a, b): (u32, u32)) -> u32 {
    let local = 1;
    let mut never = 2;
    a
}

struct Holder<'a>(&'a str);

impl<'a> Holder<'a> {
    #[hot]
    fn escapes(&mut self, text: &str) {
        self.0 = text;
    }
}

fn main() {
    returns_local();
    moves_twice(String::new());
    needs_mut(vec![], (vec![], 1));
    unused_local((1, 2));
    Holder("").escapes("");
}
