// editions: 2015 2018 2021 2024
//! Arguments are dropped in the order that the language promises, whatever their patterns.

#![forbid(unsafe_code)]
#![deny(warnings)]

extern crate hotpatch_rt;

use hotpatch_rt::hot;
use std::cell::RefCell;
use std::sync::Mutex;

struct Loud(&'static str);

impl Drop for Loud {
    fn drop(&mut self) {
        println!("drop {}", self.0);
    }
}

impl Loud {
    #[hot]
    fn method(self, (_a, _): (Loud, Loud), _: Loud, _b: Loud) {
        let _local = Loud("local");
    }
}

#[hot]
fn patterns_in_parameters((_x, _): (Loud, Loud), (_, _y): (Loud, Loud)) {
    println!("body");
}

#[hot]
fn mixed(
    _a: Loud,
    _: Loud,
    (_b, _c): (Loud, Loud),
    _d: Loud,
    ref _e: Loud,
    _: Loud,
    mut _f: Loud,
) -> Loud {
    let _local = Loud("local");
    _f = Loud("new f");
    _d
}

#[hot]
fn plain(_: Loud, mut _a: Loud, _b: Loud) {
    _a.0 = "changed a";
}

#[hot]
fn guard_in_the_tail((mutex, _): (Mutex<u32>, Loud), cell: RefCell<u32>) -> u32 {
    *mutex.lock().unwrap() + *cell.borrow()
}

#[hot]
fn borrowed_in_the_tail(&(ref cell, _): &(RefCell<String>, u32)) -> usize {
    cell.borrow().len()
}

fn main() {
    patterns_in_parameters((Loud("0"), Loud("1")), (Loud("2"), Loud("3")));
    println!("--");
    let kept = mixed(
        Loud("a"),
        Loud("wild 1"),
        (Loud("b"), Loud("c")),
        Loud("d"),
        Loud("e"),
        Loud("wild 2"),
        Loud("f"),
    );
    println!("-- {}", kept.0);
    plain(Loud("wild"), Loud("a"), Loud("b"));
    println!("--");
    Loud("self").method((Loud("a"), Loud("_")), Loud("wild"), Loud("b"));
    println!(
        "-- {}",
        guard_in_the_tail((Mutex::new(1), Loud("with")), RefCell::new(2))
    );
    println!(
        "-- {}",
        borrowed_in_the_tail(&(RefCell::new("abc".to_owned()), 1))
    );
}
