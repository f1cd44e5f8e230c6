//! Names that mean something private in a scope, where all is visible, and something else in the crate.

use hotpatch_rt::hot;
use strangers_lib::{Bolt, Sized2};

mod part {
    use std::fmt::Write;
    use std::str::FromStr as _;

    /// Uses what this module imports for itself.
    pub fn spelled() -> String {
        let mut out = String::new();
        let _ = out.write_str("ab");
        out + &u8::from_str("7").map_or_else(|_| String::new(), |number| number.to_string())
    }

    #[derive(Clone, Copy)]
    pub struct Part(pub u32);

    impl Part {
        #[inline(always)]
        fn size(&self) -> u32 {
            1000
        }

        fn secret(&self) -> u32 {
            1000
        }

        pub fn own(&self) -> u32 {
            self.size() + self.secret()
        }
    }

    pub use deep::open;

    mod deep {
        use std::collections::BTreeSet;

        pub fn open() -> u32 {
            BTreeSet::from([1, 1]).len() as u32
        }

        pub fn far() -> u32 {
            1000
        }

        pub(super) fn near() -> u32 {
            1000
        }
    }

    pub fn all() -> u32 {
        deep::far() + deep::near() + Vec::new().len
    }

    /// Not the one that `user` means.
    struct Vec {
        len: u32,
    }

    impl Vec {
        fn new() -> Self {
            Self { len: 1000 }
        }

        fn len(&self) -> usize {
            1000
        }
    }

    pub fn vectors() -> usize {
        Vec::new().len()
    }

    pub mod inner {
        pub(super) fn align_of<T>() -> usize {
            1000
        }

        pub fn aligned() -> usize {
            align_of::<u8>()
        }
    }

    pub fn aligned() -> usize {
        inner::align_of::<u8>()
    }
}

mod user {
    use super::part::inner::*;
    use super::part::*;
    use strangers_lib::STEP;

    trait Size {
        fn size(&self) -> u32;
    }

    impl Size for Part {
        fn size(&self) -> u32 {
            2
        }
    }

    #[hotpatch_rt::hot]
    pub fn size() -> u32 {
        Part(1).size() + 1
    }

    #[hotpatch_rt::hot]
    pub fn list() -> usize {
        let list: Vec<u8> = Vec::new();
        list.len() + 1
    }

    #[hotpatch_rt::hot]
    pub fn align() -> usize {
        align_of::<u16>() + 1
    }

    #[hotpatch_rt::hot]
    pub fn generic() -> usize {
        room(7u64)
    }

    /// Compiled through the scope.
    fn room<T>(of: T) -> usize {
        let mut list = Vec::with_capacity(1);
        list.push(of);
        list.len() + 1
    }

    #[hotpatch_rt::hot]
    pub fn plain() -> u32 {
        let _ = spelled();
        Part(1).0 + STEP
    }
}

/// One name, private in one module and not in the other.
mod left {
    fn shared() -> u32 {
        1000
    }

    pub fn left() -> u32 {
        shared()
    }
}

mod right {
    pub fn shared() -> u32 {
        5
    }
}

mod scales {
    pub trait Scale {
        fn scale(self) -> u32;
    }

    impl Scale for u32 {
        fn scale(self) -> u32 {
            self * 1000
        }
    }
}

mod scaled {
    use crate::scales::Scale;

    pub fn scaled() -> u32 {
        1u32.scale()
    }
}

mod zoomed {
    use crate::scaled::*;

    trait Zoom {
        fn scale(&self) -> u32;
    }

    impl Zoom for u32 {
        fn scale(&self) -> u32 {
            *self * 2
        }
    }

    #[hotpatch_rt::hot]
    pub fn zoomed() -> u32 {
        5u32.scale() + scaled()
    }
}

mod inside {
    const MAX: u32 = 5;

    #[hotpatch_rt::hot]
    pub fn inside() -> u32 {
        use crate::limits::{limit, *};
        MAX + limit() + 1
    }
}

mod limits {
    const MAX: u32 = 1000;

    pub fn limit() -> u32 {
        MAX
    }
}

mod both {
    use super::left::*;
    use super::right::*;

    #[hotpatch_rt::hot]
    pub fn both() -> u32 {
        shared() + left() + 1
    }
}

/// A function with a name of the prelude, where it is meant.
mod own {
    fn drop(number: u32) -> u32 {
        number + 7
    }

    #[hotpatch_rt::hot]
    pub fn dropped() -> u32 {
        drop(1) + 1
    }
}

trait Heavy {
    fn weight(&self) -> u32;
}

impl Heavy for Bolt {
    fn weight(&self) -> u32 {
        2
    }
}

#[hot]
fn weight() -> u32 {
    Bolt.weight() * 2
}

#[hot]
fn bolt_size() -> u32 {
    Bolt::SIZE * 2
}

fn main() {
    let kept = part::all() + part::open() + part::Part(1).own() + strangers_lib::seen();
    let sizes = part::vectors() + part::aligned() + part::inner::aligned();
    let kept = kept + Bolt.own() + sizes as u32;
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            "size" => println!("{}", user::size()),
            "list" => println!("{}", user::list()),
            "align" => println!("{}", user::align()),
            "generic" => println!("{}", user::generic()),
            "plain" => println!("{}", user::plain()),
            "zoomed" => println!("{}", zoomed::zoomed()),
            "inside" => println!("{}", inside::inside()),
            "both" => println!("{}", both::both()),
            "dropped" => println!("{}", own::dropped()),
            "weight" => println!("{}", weight()),
            "bolt" => println!("{}", bolt_size()),
            _ => println!("{kept}"),
        }
    }
}

