//! Bodies of `async` functions, which are not patched yet.

use std::future::Future;
use std::pin::pin;
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

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.expect("a line")));
    }
}
