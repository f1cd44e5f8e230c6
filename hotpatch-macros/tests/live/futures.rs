// editions: 2018 2021 2024
//! `async` functions: what they return, borrow, and drop, and when.

#![forbid(unsafe_code)]
#![deny(warnings)]

use hotpatch_rt::hot;
use std::fmt::Display;
use std::future::Future;
use std::num::ParseIntError;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

struct Loud(&'static str);

impl Drop for Loud {
    fn drop(&mut self) {
        println!("drop {}", self.0);
    }
}

/// Pending once.
struct Turn(bool);

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

#[hot]
async fn nothing() {}

#[hot]
async fn early(text: &str, n: u32) -> Result<u32, ParseIntError> {
    let parsed: u32 = text.parse()?;
    if n == 0 {
        return Ok(parsed);
    }
    Turn(false).await;
    Ok(parsed * n)
}

#[hot]
async fn coerced(n: u32) -> Result<Box<dyn Display>, Box<dyn std::error::Error>> {
    if n == 0 {
        return Err("none".into());
    }
    if n == 1 {
        return Ok(Box::new("one"));
    }
    Ok(Box::new(n))
}

#[hot]
async fn collected(text: &str) -> Vec<char> {
    text.chars().rev().collect()
}

#[hot]
async fn longer<'a>(a: &'a str, b: &'a str, _n: u8) -> &'a str {
    Turn(false).await;
    if a.len() > b.len() { a } else { b }
}

#[hot]
async fn patterns(
    _a: Loud,
    _: Loud,
    (_b, _c): (Loud, Loud),
    (_d, _): (Loud, Loud),
    mut _e: Loud,
) -> Loud {
    let _local = Loud("local");
    Turn(false).await;
    _e = Loud("new e");
    _b
}

struct Desk<'a> {
    served: Vec<&'a str>,
}

impl<'a> Desk<'a> {
    #[hot]
    async fn serve(&mut self, name: &'a str) -> usize {
        Turn(false).await;
        self.served.push(name);
        self.served.len()
    }

    #[hot]
    async fn last(&self) -> Option<&&'a str> {
        self.served.last()
    }

    #[hot]
    async fn close(self, _why: Loud) -> Vec<&'a str> {
        self.served
    }
}

#[hot]
async fn countdown(n: u32) -> u32 {
    if n == 0 {
        return 0;
    }
    let rest: Pin<Box<dyn Future<Output = u32>>> = Box::pin(countdown(n - 1));
    rest.await + 1
}

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

fn run<F: Future>(future: F) -> F::Output {
    let mut future = Box::pin(future);
    let waker = Waker::from(Arc::new(Nobody));
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        println!("pending");
    }
}

fn is_send<T: Send>(value: T) -> T {
    value
}

fn main() {
    run(nothing());
    println!("{:?} {:?} {:?}", run(early("x", 1)), run(early("4", 0)), run(is_send(early("4", 3))));
    for n in 0..3 {
        match run(coerced(n)) {
            Ok(shown) => println!("{shown}"),
            Err(error) => println!("{error}"),
        }
    }
    println!("{:?} {}", run(collected("abc")), run(longer("a", "bc", 0)));
    let kept = run(patterns(
        Loud("a"),
        Loud("wild"),
        (Loud("b"), Loud("c")),
        (Loud("d"), Loud("rest")),
        Loud("e"),
    ));
    println!("kept {}", kept.0);
    drop(patterns(
        Loud("never a"),
        Loud("never wild"),
        (Loud("never b"), Loud("never c")),
        (Loud("never d"), Loud("never rest")),
        Loud("never e"),
    ));
    let mut desk = Desk { served: vec!["first"] };
    println!("{} {:?}", run(desk.serve("second")), run(desk.last()));
    println!("{:?}", run(desk.close(Loud("why"))));
    println!("{}", run(countdown(3)));
}
