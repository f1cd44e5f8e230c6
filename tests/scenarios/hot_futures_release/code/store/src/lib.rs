//! A library with hot `async` functions, compiled with optimisations.

use std::ops::Deref;

/// Lets others have their turn once.
pub async fn turn() {
    let mut first = true;
    std::future::poll_fn(move |_| match std::mem::take(&mut first) {
        true => std::task::Poll::Pending,
        false => std::task::Poll::Ready(()),
    })
    .await;
}

pub struct Store {
    entries: Vec<String>,
    inner: Inner,
}

pub struct Inner {
    /// Hidden behind the field of this name.
    pub entries: u32,
}

impl Deref for Store {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl Store {
    pub fn new() -> Self {
        Self { entries: Vec::new(), inner: Inner { entries: 7 } }
    }

    #[hotpatch_rt::hot]
    pub async fn put(&mut self, entry: &str) -> usize {
        turn().await;
        self.entries.push(entry.to_owned());
        self.entries.len()
    }

    #[hotpatch_rt::hot]
    pub async fn first<'a>(&'a self, or: &'a str) -> &'a str {
        turn().await;
        pick(self, or)
    }
}

fn pick<'a>(store: &'a Store, or: &'a str) -> &'a str {
    store.entries.first().map_or(or, |entry| shorten(entry))
}

fn shorten(entry: &str) -> &str {
    &entry[..1]
}

/// A pointer stays on its thread.
#[hotpatch_rt::hot]
pub async unsafe fn fill(to: *mut u8, with: u8) {
    turn().await;
    unsafe { *to = with }
}
