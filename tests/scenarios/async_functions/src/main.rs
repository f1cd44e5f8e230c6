//! Bodies of `async` functions and of others that return what only the compiler can name.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use hotpatch_rt::hot;

async fn inner(text: &str) -> usize {
    text.len()
}

async fn outer(text: &str) -> String {
    let length = inner(text).await;
    format!("{text} {length}")
}

#[hot]
fn answer(text: &str) -> String {
    run(outer(text))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result;
        }
    }
}

/// Nothing hot calls it.
fn sent<F: Future + Send>(future: F) -> F {
    future
}

struct Counter(u64);

impl Counter {
    fn later(&self, by: u64) -> impl Future<Output = u64> + '_ {
        async move { self.0 + by }
    }
}

#[hot]
fn count(by: u64) -> u64 {
    run(Counter(1).later(by))
}

fn main() {
    let mut begun: Option<Pin<Box<dyn Future<Output = String>>>> = None;
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("count", by) => println!("{}", count(by.parse().expect("a number"))),
            ("begin", text) => {
                let text = text.to_owned();
                begun = Some(Box::pin(async move { outer(&text).await }));
                println!("begun");
            }
            ("send", text) => println!("{}", run(sent(inner(text)))),
            ("finish", _) => println!("{}", run(begun.take().expect("a future"))),
            _ => println!("{}", answer(&line)),
        }
    }
}
