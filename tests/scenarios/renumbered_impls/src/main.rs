//! An `impl` that goes takes its number along, and those behind it have others then.

use hotpatch_rt::hot;
use parts::{Part, Step};
use std::sync::atomic::Ordering;

mod parts {
    use std::sync::atomic::{AtomicU32, Ordering};

    pub static DROPPED: AtomicU32 = AtomicU32::new(0);

    pub struct Part(pub u32);

    impl Part {
        pub fn unused(&self) -> u32 {
            self.0
        }
    }

    pub trait Step {
        fn step(&self, by: u32) -> u32;
        fn twice(&self) -> u32;
    }

    impl Step for Part {
        #[hotpatch_rt::hot]
        fn step(&self, by: u32) -> u32 {
            self.0 + by
        }

        fn twice(&self) -> u32 {
            self.0 * 2
        }
    }

    impl Drop for Part {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[hot]
fn run(n: u32) -> u32 {
    let part = Part(n);
    part.step(1) + part.twice() * 10
}

fn main() {
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            "dropped" => println!("{}", parts::DROPPED.swap(0, Ordering::Relaxed)),
            n => println!("{}", run(n.parse().expect("a number"))),
        }
    }
}
