// editions: 2015
//! What the attribute refuses is said in the same words in the oldest edition.

extern crate hotpatch_rt;

#[hotpatch_rt::hot]
fn generic<T>(_: T) {}

#[hotpatch_rt::hot]
struct Item;

fn main() {
    generic(1);
    let _ = Item;
}
