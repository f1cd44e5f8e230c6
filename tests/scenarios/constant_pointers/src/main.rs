//! Functions behind pointers that never change, which optimised code holds as if they were named.

use hotpatch_rt::hot;

fn pointed(n: u32) -> u32 {
    n + 1
}

fn listed(n: u32) -> u32 {
    n + 2
}

fn closed(n: u32) -> u32 {
    n + 3
}

const POINTER: fn(u32) -> u32 = pointed;

static LIST: [fn(u32) -> u32; 1] = [listed];

const AGAIN: fn(u32) -> u32 = |n| POINTER(n) + closed(n);

trait Step {
    const STEP: fn(u32) -> u32;
}

struct Long;

impl Long {
    fn long(n: u32) -> u32 {
        n + 4
    }
}

impl Step for Long {
    const STEP: fn(u32) -> u32 = Long::long;
}

fn step<T: Step>(n: u32) -> u32 {
    T::STEP(n)
}

#[hot]
fn by_pointer(n: u32) -> u32 {
    POINTER(n) * 10
}

#[hot]
fn by_list(n: u32) -> u32 {
    LIST[0](n) * 10
}

#[hot]
fn by_closure(n: u32) -> u32 {
    AGAIN(n) * 10
}

#[hot]
fn by_type(n: u32) -> u32 {
    step::<Long>(n) * 10
}

fn main() {
    for line in std::io::stdin().lines() {
        let n = line.expect("a line").parse().expect("a number");
        println!("{} {} {} {}", by_pointer(n), by_list(n), by_closure(n), by_type(n));
    }
}
