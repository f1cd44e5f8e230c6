//! Imports of traits decide what methods mean.

use hotpatch_rt::hot;

mod one {
    pub trait Ext {
        fn ext(&self) -> u32;
    }
    impl Ext for u32 {
        fn ext(&self) -> u32 {
            1
        }
    }
}

mod two {
    pub trait Ext {
        fn ext(&self) -> u32;
    }
    impl Ext for u32 {
        fn ext(&self) -> u32 {
            2
        }
    }
}

use one::Ext;

#[hot]
fn value() -> u32 {
    5_u32.ext()
}

fn main() {
    let _ = two::Ext::ext(&1);
    for line in std::io::stdin().lines() {
        let _ = line.expect("a line");
        println!("{}", value());
    }
}
