//! The library of a package that also has a program of the same name.

mod inner;

use hotpatch_rt::hot;

pub struct Counter {
    pub(crate) count: u32,
}

impl Counter {
    pub fn from(count: u32) -> Counter {
        Counter { count }
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    #[hot]
    pub fn next(&mut self) -> u32 {
        inner::add(self, 1);
        self.count
    }
}
