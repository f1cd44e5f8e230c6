// editions: 2015
//! The oldest edition, in which `::name` is a path from the crate's own root.

#![forbid(unsafe_code)]
#![deny(warnings)]
#![allow(bare_trait_objects)]

extern crate hotpatch_rt;

mod inner {
    use hotpatch_rt::hot;

    #[hot]
    pub fn double(n: u32) -> u32 {
        n * 2
    }

    #[hot]
    pub fn patterns((a, _): (u32, u32), mut n: u32) -> Box<::std::fmt::Debug> {
        n += a;
        Box::new(n)
    }
}

struct Pair(u32, u32);

impl Pair {
    #[hotpatch_rt::hot]
    fn sum(&self) -> u32 {
        self.0 + self.1
    }
}

fn main() {
    println!(
        "{} {:?} {}",
        inner::double(2),
        inner::patterns((2, 3), 4),
        Pair(1, 2).sum()
    );
}
