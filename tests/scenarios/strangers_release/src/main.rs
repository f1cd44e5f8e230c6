//! Private methods that optimised code would hold copies of, where the crate means a trait's.

mod part {
    pub struct Part(pub u32);

    impl Part {
        #[inline]
        fn inlined(&self) -> u32 {
            1000
        }

        const fn constant(&self) -> u32 {
            1000
        }

        fn generic<T: Into<u32>>(&self, by: T) -> u32 {
            by.into() + 1000
        }

        fn small(&self) -> u32 {
            1000
        }

        pub fn own(&self) -> u32 {
            self.inlined() + self.constant() + self.generic(1u8) + self.small()
        }

        pub fn shown(&self) -> u32 {
            self.0
        }
    }
}

mod user {
    use super::part::Part;

    trait Means {
        fn inlined(&self) -> u32 {
            1
        }

        fn constant(&self) -> u32 {
            2
        }

        fn generic(&self, by: u8) -> u32 {
            3 + u32::from(by)
        }

        fn small(&self) -> u32 {
            4
        }
    }

    impl Means for Part {}

    #[hotpatch_rt::hot]
    pub fn inlined() -> u32 {
        Part(1).inlined() + 1
    }

    #[hotpatch_rt::hot]
    pub fn constant() -> u32 {
        Part(1).constant() + 1
    }

    #[hotpatch_rt::hot]
    pub fn generic() -> u32 {
        Part(1).generic(1u8) + 1
    }

    #[hotpatch_rt::hot]
    pub fn small() -> u32 {
        Part(1).small() + 1
    }

    /// What it calls is compiled through the scope.
    #[hotpatch_rt::hot]
    pub fn through() -> u32 {
        twice(1u8)
    }

    fn twice<T: Into<u32>>(by: T) -> u32 {
        Part(1).inlined() * 2 + by.into()
    }

    /// It names what is private as well, but of another type.
    #[hotpatch_rt::hot]
    pub fn shown() -> u32 {
        Other.inlined() + Part(1).shown()
    }

    struct Other;

    impl Other {
        fn inlined(&self) -> u32 {
            5
        }
    }
}

fn main() {
    let kept = part::Part(1).own();
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            "inlined" => println!("{}", user::inlined()),
            "constant" => println!("{}", user::constant()),
            "generic" => println!("{}", user::generic()),
            "small" => println!("{}", user::small()),
            "through" => println!("{}", user::through()),
            "shown" => println!("{}", user::shown()),
            _ => println!("{kept}"),
        }
    }
}
