//! A crate whose own names come into the way of others once it is seen by its scope.

pub const STEP: u32 = 1;

pub struct Bolt;

impl Bolt {
    const SIZE: u32 = 1000;

    fn weight(&self) -> u32 {
        1000
    }

    pub fn own(&self) -> u32 {
        self.weight() + Self::SIZE
    }
}

pub trait Sized2 {
    const SIZE: u32;
}

impl Sized2 for Bolt {
    const SIZE: u32 = 3;
}

pub(crate) fn unseen() -> u32 {
    1000
}

pub fn seen() -> u32 {
    unseen()
}
