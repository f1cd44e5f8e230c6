//! Code that is compiled where it is used, and what it calls.

pub fn helper(number: u32) -> u32 {
    number + 1
}

#[inline]
pub fn inlined(number: u32) -> u32 {
    helper(number) * 2
}

#[inline(always)]
pub fn always(number: u32) -> u32 {
    number + 3
}

pub fn generic<T: Into<u32>>(value: T) -> u32 {
    inlined(value.into()) + 5
}

pub struct Wrap<T>(pub T);

impl<T: Into<u32> + Copy> Wrap<T> {
    pub fn get(&self) -> u32 {
        generic(self.0) + helper(100)
    }
}

/// An instance of std's code that calls ours.
pub fn mapped(list: &[u32]) -> u32 {
    list.iter().copied().map(helper).sum()
}
