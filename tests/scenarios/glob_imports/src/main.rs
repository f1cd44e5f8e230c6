//! Imports that give names another meaning.

use hotpatch_rt::hot;

mod one {
    pub fn helper() -> u32 {
        1
    }
}

mod two {
    pub fn helper() -> u32 {
        2
    }
}

mod three {
    pub fn other() -> u32 {
        10
    }
}

mod four {
    pub fn other() -> u32 {
        20
    }
}

use one::*;
use three::other;

macro_rules! call {
    () => {
        other()
    };
}

mod below {
    use super::*;

    pub struct Far {
        pub other: u32,
    }

    pub fn far(far: &Far) -> u32 {
        far.other + helper() * 100
    }
}

#[hot]
fn value() -> u32 {
    helper() + call!() + below::far(&below::Far { other: 1000 })
}

fn main() {
    let _ = (two::helper(), four::other());
    for line in std::io::stdin().lines() {
        let _ = line.expect("a line");
        println!("{}", value());
    }
}
