//! Functions that a hot one reaches: in its module, in others, nested, inlined, through function pointers.

mod deep;
mod other;
#[path = "elsewhere/odd_name.rs"]
mod renamed;

use hotpatch_rt::hot;

fn same_module(value: u32) -> u32 {
    value + 1
}

mod inline {
    pub mod nested {
        pub(in crate::inline) fn hidden(value: u32) -> u32 {
            value + 2
        }
    }

    pub fn open(value: u32) -> u32 {
        nested::hidden(value)
    }
}

#[inline(always)]
fn inlined(value: u32) -> u32 {
    value + 3
}

fn by_pointer(value: u32) -> u32 {
    value + 4
}

fn outermost(value: u32) -> u32 {
    middle(value) + 1
}

fn middle(value: u32) -> u32 {
    innermost(value) + 1
}

fn innermost(value: u32) -> u32 {
    value + 5
}

#[hot]
fn all(value: u32) -> String {
    let pointer: fn(u32) -> u32 = by_pointer;
    format!(
        "{} {} {} {} {} {} {} {}",
        same_module(value),
        inline::open(value),
        inlined(value),
        pointer(value),
        outermost(value),
        other::in_file(value),
        deep::deeper::in_folder(value),
        renamed::by_path(value),
    )
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", all(line.expect("a line").parse().expect("a number")));
    }
}
