//! Generic and inlined code of a library, patched and, later, called by a patch that did not change it.

use generics_lib::{Wrap, always, generic, helper, inlined, mapped};
use hotpatch_rt::hot;

#[hot]
fn all(number: u32) -> String {
    let values = [
        generic(number),
        Wrap(number).get(),
        inlined(number),
        always(number),
        mapped(&[number, number]),
        local(number),
    ];
    values.map(|value| value.to_string()).join(" ")
}

#[hot]
fn sorted(number: u32) -> String {
    let mut list = [number, number + 1, number + 2];
    list.sort_by_key(|key| std::cmp::Reverse(helper(*key)));
    format!("{list:?}")
}

fn local<T: Into<u32>>(value: T) -> u32 {
    helper(value.into())
}

fn main() {
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let number = line.parse().expect("a number");
        println!("{} {}", all(number), sorted(number));
    }
}
