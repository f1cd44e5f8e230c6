//! A private trait of a module that others take all from.

use hotpatch_rt::hot;

mod part {
    pub struct Part(pub u32);

    trait Hidden {
        fn number(self) -> u32;
    }

    impl Hidden for Part {
        fn number(self) -> u32 {
            1000
        }
    }

    impl Part {
        pub fn number(&self) -> u32 {
            self.0
        }
    }

    impl Part {
        /// Not for `user`, to which `Named` gives a method of this name.
        pub(self) fn name(&self) -> u32 {
            7
        }

        pub fn own_name(&self) -> u32 {
            self.name()
        }
    }

    pub fn hidden() -> u32 {
        Hidden::number(Part(1))
    }
}

mod user {
    use super::part::*;

    trait Named {
        fn name(&self) -> u32;
    }

    impl Named for Part {
        fn name(&self) -> u32 {
            self.own_name() * 2
        }
    }

    #[hotpatch_rt::hot]
    pub fn named() -> u32 {
        Part(3).name() + 1
    }

    #[hotpatch_rt::hot]
    pub fn value() -> u32 {
        let part = Part(1);
        part.number() + 1
    }

    /// Generic code is compiled through the scope, where the private trait can be seen as well.
    #[hotpatch_rt::hot]
    pub fn added() -> u64 {
        add(4u32)
    }

    fn add<T: Into<u64>>(by: T) -> u64 {
        let part = Part(2);
        u64::from(part.number()) + by.into()
    }
}

#[hot]
fn other() -> u32 {
    part::hidden()
}

fn main() {
    let _ = other();
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            "name" => println!("{}", user::named()),
            "add" => println!("{}", user::added()),
            _ => println!("{}", user::value()),
        }
    }
}
