//! Edits that nothing but the tool itself stands in the way of.

use std::any::Any;

use hotpatch_rt::hot;

const PICK: fn(u32) -> u32 = |value| value + 1;

struct Value(u32);

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    #[expect(clippy::partialeq_ne_impl, reason = "an edit takes it away")]
    fn ne(&self, _: &Self) -> bool {
        false
    }
}

#[hot]
fn answer(value: u32) -> String {
    format!("{} {}", PICK(value), Value(value) != Value(9))
}

#[hot]
fn own_type(value: u32) -> bool {
    struct Own(#[expect(dead_code, reason = "it is only there")] u32);
    let any: Box<dyn Any> = Box::new(Own(value));
    any.is::<Own>()
}

fn main() {
    for line in std::io::stdin().lines() {
        let value = line.expect("a line").parse().expect("a number");
        println!("{} {}", answer(value), own_type(value));
    }
}
