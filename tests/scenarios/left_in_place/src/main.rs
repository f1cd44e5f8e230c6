//! Code that only its own module understands: items that macros make, private fields before a `Deref`.

use std::ops::Deref;

use hotpatch_rt::hot;

mod parts {
    macro_rules! part {
        ($name:ident, $make:ident) => {
            pub struct $name {
                n: u32,
            }

            fn $make(n: u32) -> $name {
                $name { n }
            }
        };
    }

    part!(Made, make);

    #[crate::hot]
    pub fn step(n: u32) -> u32 {
        let n = if n > 2 { self::step(n - 2) } else { n };
        make(n).n + inner(n) + 1
    }

    fn inner(n: u32) -> u32 {
        let made = Made { n };
        made.n * 10
    }

    impl Made {
        #[crate::hot]
        pub fn twice(&self) -> u32 {
            assert!(self.n < 50, "too much: {}", self.n);
            self.n * 2
        }
    }

    pub fn twice(n: u32) -> u32 {
        make(n).twice()
    }

    trait Grow {
        fn grow(&self) -> u32;
    }

    impl Grow for Made {
        fn grow(&self) -> u32 {
            make(self.n).n + 5
        }
    }

    #[crate::hot]
    pub fn grown(n: u32) -> u32 {
        let made: &dyn Grow = &Made { n };
        made.grow()
    }
}

pub struct Inner {
    len: u32,
}

pub struct Name {
    pub(crate) len: u32,
    inner: Inner,
}

impl Deref for Name {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

#[hot]
fn name(len: u32) -> u32 {
    let name = Name {
        len,
        inner: Inner { len: 100 },
    };
    name.len + name.inner.len
}

fn main() {
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let (what, n) = line.split_once(' ').expect("two words");
        let n = n.parse().expect("a number");
        match what {
            "step" => println!("{}", parts::step(n)),
            "twice" => println!(
                "{:?}",
                std::panic::catch_unwind(|| parts::twice(n)).map_err(|why| {
                    why.downcast_ref::<String>().cloned()
                })
            ),
            "grow" => println!("{}", parts::grown(n)),
            "name" => println!("{}", name(n)),
            _ => {}
        }
    }
}
