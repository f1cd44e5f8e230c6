//! Thread-locals inside hot functions: one for all versions of the function.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU32, Ordering};

use hotpatch_rt::hot;

#[hot]
fn count(by: u32) -> u32 {
    thread_local! {
        static COUNT: Cell<u32> = const { Cell::new(0) };
        static SEEN: RefCell<Vec<u32>> = RefCell::new(vec![by_default()]);
    }
    static CALLS: AtomicU32 = AtomicU32::new(0);
    fn by_default() -> u32 {
        100
    }
    CALLS.fetch_add(1, Ordering::Relaxed);
    COUNT.set(COUNT.get() + by);
    SEEN.with_borrow_mut(|seen| seen.push(by));
    SEEN.with_borrow(|seen| seen.iter().sum::<u32>()) + COUNT.get() * 1000
        + CALLS.load(Ordering::Relaxed) * 1_000_000
}

struct Desk(u32);

impl Desk {
    #[hot]
    fn serve(&self) -> u32 {
        thread_local!(static SERVED: Cell<u32> = Cell::new(7));
        SERVED.set(SERVED.get() + self.0);
        SERVED.get()
    }
}

macro_rules! number {
    () => {{
        static NEXT: AtomicU32 = AtomicU32::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }};
}

#[hot]
fn numbered() -> u32 {
    number!() + 10
}

fn main() {
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            "serve" => println!("{}", Desk(1).serve()),
            "number" => println!("{}", numbered()),
            "thread" => {
                let thread = std::thread::spawn(|| count(1));
                println!("{}", thread.join().expect("a number"));
            }
            line => println!("{}", count(line.parse().expect("a number"))),
        }
    }
}
