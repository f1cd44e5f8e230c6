//! A private field that a public one is found behind.

use hotpatch_rt::hot;

mod wrapper {
    pub struct Inner {
        pub len: u32,
    }
    pub struct Wrapper {
        len: u32,
        inner: Inner,
    }
    impl Wrapper {
        pub fn new() -> Self {
            Self { len: 1000, inner: Inner { len: 1 } }
        }
        pub fn own(&self) -> u32 {
            self.len % 10
        }
    }
    impl std::ops::Deref for Wrapper {
        type Target = Inner;
        fn deref(&self) -> &Inner {
            &self.inner
        }
    }
}

#[hot]
fn value(wrapper: &wrapper::Wrapper) -> u32 {
    wrapper.len + 1 + wrapper.own()
}

fn main() {
    let wrapper = wrapper::Wrapper::new();
    for line in std::io::stdin().lines() {
        let _ = line.expect("a line");
        println!("{}", value(&wrapper));
    }
}
