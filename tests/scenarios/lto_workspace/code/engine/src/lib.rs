//! A library of which a build with LTO leaves nothing on its own.

use std::sync::atomic::{AtomicI64, Ordering};

use hotpatch_rt::hot;

static STEPS: AtomicI64 = AtomicI64::new(0);

pub struct Engine {
    pub position: i64,
}

impl Engine {
    pub fn advance(&mut self, by: i64) {
        self.position += scaled(by);
        STEPS.fetch_add(1, Ordering::Relaxed);
    }

    #[hot]
    #[inline(never)]
    pub fn jump(&mut self) -> i64 {
        self.position += far();
        self.position
    }
}

pub fn steps() -> i64 {
    STEPS.load(Ordering::Relaxed)
}

pub fn set_steps(steps: i64) {
    STEPS.store(steps, Ordering::Relaxed);
}

#[inline]
pub fn scaled(value: i64) -> i64 {
    value * 2
}

pub fn twice<T: Clone>(value: &T) -> (T, T) {
    (value.clone(), value.clone())
}

/// Through a crate of the registry.
pub fn commas(text: &str) -> usize {
    memchr::memchr_iter(b',', text.as_bytes()).count()
}

fn far() -> i64 {
    100
}
