//! Impls whose trait or type an import calls otherwise, and what changes without a word of theirs.

mod shapes {
    pub trait Sized2 {
        fn size(&self) -> u32;
    }

    pub struct Round(pub u32);

    pub use self::Sized2 as Measured;
}

mod parts {
    use super::shapes::{Round as Ball, Sized2 as Big};
    use super::{MARGIN, double};

    impl Big for Ball {
        #[hotpatch_rt::hot]
        fn size(&self) -> u32 {
            double!(self.0) + MARGIN
        }
    }

    impl Ball {
        pub fn half(&self) -> u32 {
            double!(self.0) / 4
        }
    }
}

mod others {
    use super::double;
    use super::shapes::Measured;

    pub struct Square(pub u32);

    impl Measured for Square {
        fn size(&self) -> u32 {
            double!(self.0) + 1
        }
    }
}

const MARGIN: u32 = 1;
const GREETING: &str = "hello";

macro_rules! double {
    ($n:expr) => {
        $n * 2
    };
}
use double;

use hotpatch_rt::hot;
use shapes::{Round, Sized2};

#[hot]
fn half(n: u32) -> u32 {
    Round(n).half()
}

#[hot]
fn square(n: u32) -> u32 {
    others::Square(n).size()
}

fn main() {
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let (word, number) = line.split_once(' ').unwrap_or((&line, "0"));
        let number: u32 = number.parse().expect("a number");
        match word {
            "size" => println!("{}", Round(number).size()),
            "half" => println!("{}", half(number)),
            "square" => println!("{}", square(number)),
            _ => println!("{GREETING}"),
        }
    }
}
