//! Edits to what a hot function is, rather than to what it does.

use hotpatch_rt::hot;

#[hot]
fn first(value: u32) -> u32 {
    value + 1
}

#[hot]
fn second(value: u32) -> u32 {
    helper(value)
}

fn helper(value: u32) -> u32 {
    value + 2
}

fn cold(value: u32) -> u32 {
    value + 3
}

fn all(value: u32) -> String {
    format!("{} {} {}", first(value), second(value), cold(value))
}

fn main() {
    for line in std::io::stdin().lines() {
        let value = line.expect("a line").parse().expect("a number");
        println!("{}", all(value));
    }
}
