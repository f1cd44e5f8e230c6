//! What closures and futures hold changes while older ones of the same functions are alive.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use hotpatch_rt::hot;

type Call = Box<dyn Fn(u64) -> u64 + Send>;
type Work = Pin<Box<dyn Future<Output = u64> + Send>>;

static CALLS: Mutex<Vec<Call>> = Mutex::new(Vec::new());
static WORK: Mutex<Vec<Work>> = Mutex::new(Vec::new());

/// Keeps a closure of its own for any list.
fn adder<T: AsRef<[u64]>>(list: T) -> Call {
    let sum: u64 = list.as_ref().iter().sum();
    Box::new(move |by| by + sum)
}

/// Hands its closures to generic code of the standard library.
fn total<T: Copy + Into<u64>>(list: &[T], by: u64) -> u64 {
    list.iter().map(|one| (*one).into() + by).sum()
}

/// Waits once before it is done.
async fn later(number: u64) -> u64 {
    let small = number as u32;
    Once(false).await;
    u64::from(small)
}

struct Once(bool);

impl Future for Once {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[hot]
fn keep(number: u64) -> String {
    let mut calls = CALLS.lock().expect("unpoisoned");
    calls.push(adder([number, 1]));
    let mut work = WORK.lock().expect("unpoisoned");
    let mut future: Work = Box::pin(later(number));
    let mut context = Context::from_waker(Waker::noop());
    let first = pin!(&mut future).poll(&mut context).is_pending();
    work.push(future);
    format!("{first} {}", total(&[1_u8, 2], number))
}

/// Calls and ends whatever was kept, whoever made it.
#[hot]
fn all() -> String {
    let calls = CALLS.lock().expect("unpoisoned");
    let called: Vec<String> = calls.iter().map(|call| call(100).to_string()).collect();
    let mut context = Context::from_waker(Waker::noop());
    let mut work = WORK.lock().expect("unpoisoned");
    let done = work.drain(..).map(|mut future| match future.as_mut().poll(&mut context) {
        Poll::Ready(number) => number.to_string(),
        Poll::Pending => "pending".to_owned(),
    });
    format!("{} | {}", called.join(" "), done.collect::<Vec<_>>().join(" "))
}

fn main() {
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        match line.strip_prefix("keep ") {
            Some(number) => println!("{}", keep(number.parse().expect("a number"))),
            None => println!("{}", all()),
        }
    }
}
