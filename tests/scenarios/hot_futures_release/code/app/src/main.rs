//! Awaits hot functions of another crate, in code that is hot and in code that is not.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use hot_futures_release_store::{Store, fill};
use hotpatch_rt::hot;

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return result;
        }
    }
}

#[hot]
async fn both(store: &mut Store, entry: &str) -> String {
    let count = store.put(entry).await;
    let first = store.first("nothing").await;
    format!("{count} {first}")
}

/// Its field has the name of one behind the `Deref`, so that a method that uses it stays in its place.
struct Outer {
    length: u32,
    inner: Inner,
}

struct Inner {
    length: u32,
}

impl std::ops::Deref for Outer {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl Outer {
    #[cfg_attr(all(), hot)]
    async fn inside(&self) -> u32 {
        hot_futures_release_store::turn().await;
        self.length + 10 * self.inner.length
    }
}

#[hot]
async fn calls(n: u32) -> u32 {
    let outer = Outer { length: n, inner: Inner { length: 2 } };
    outer.inside().await + 100
}

fn main() {
    let mut store = Store::new();
    let mut byte = 0;
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match word {
            "both" => println!("{}", run(both(&mut store, rest))),
            "calls" => println!("{}", run(calls(rest.len() as u32))),
            "put" => println!("{}", run(store.put(rest))),
            "first" => println!("{}", run(store.first(rest))),
            "fill" => {
                let pointer = &raw mut byte;
                run(unsafe { fill(pointer, rest.len() as u8) });
                println!("{byte}");
            }
            _ => println!("?"),
        }
    }
}
