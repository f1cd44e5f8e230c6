//! A program of the same name as its library, with thread-locals of the same names.

use std::cell::Cell;

use hotpatch_rt::hot;
use new_thread_locals_lib::inner;

thread_local!(static OLD: Cell<u32> = const { Cell::new(1) });

#[hot]
fn step() -> String {
    OLD.set(OLD.get() + 1);
    format!("{} {}", OLD.get(), inner::count())
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", if line.is_ok_and(|line| line == "thread") {
            std::thread::spawn(|| { step(); step() }).join().expect("it ends")
        } else {
            step()
        });
    }
}
