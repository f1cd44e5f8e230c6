//! Methods that traits provide, and impls that come to override them.

use hotpatch_rt::hot;

#[derive(Clone, Copy)]
struct Value(u32);

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

struct Holder {
    list: Vec<u32>,
}

impl std::ops::Deref for Holder {
    type Target = Vec<u32>;
    fn deref(&self) -> &Vec<u32> {
        &self.list
    }
}

#[hot]
fn differs(value: Value) -> bool {
    value != Value(1)
}

#[hot]
fn first(holder: &Holder) -> u32 {
    holder[0]
}

fn main() {
    let holder = Holder { list: vec![3] };
    for line in std::io::stdin().lines() {
        let _ = line.expect("a line");
        println!("{} {}", differs(Value(2)), first(&holder));
    }
}
