//! Hot `async` functions: new calls run new bodies, futures that have begun go on in theirs.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use hotpatch_rt::hot;

/// Lets others have their turn once.
async fn turn() {
    let mut first = true;
    std::future::poll_fn(move |_| if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }).await;
}

#[hot]
async fn length(text: &str) -> usize {
    turn().await;
    measure(text)
}

fn measure(text: &str) -> usize {
    text.len()
}

struct Desk {
    served: u32,
}

struct Noted(&'static str);

static DROPPED: Mutex<String> = Mutex::new(String::new());

impl Drop for Noted {
    fn drop(&mut self) {
        DROPPED.lock().expect("nobody panicked").push_str(self.0);
    }
}

impl Desk {
    #[hot]
    async fn serve(&mut self, (name, mut times): (&str, u32), _last: Noted) -> Result<String, std::num::ParseIntError> {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        times += CALLS.fetch_add(1, Ordering::Relaxed);
        let number: u32 = name.parse()?;
        if number == 0 {
            return Ok("none".into());
        }
        turn().await;
        self.served += 1;
        Ok(format!("{number} x {times}, {}", self.served))
    }
}

trait Answer {
    async fn answer(&self, question: &str) -> Box<dyn std::fmt::Display>;
}

impl Answer for Desk {
    #[hot]
    async fn answer(&self, question: &str) -> Box<dyn std::fmt::Display> {
        turn().await;
        Box::new(format!("{question}? {}", self.served))
    }
}

/// What is in it stays on its thread.
#[hot]
async fn local(by: Rc<Cell<u32>>) -> u32 {
    turn().await;
    by.get() + 1
}

/// It calls itself, through its slot.
#[hot]
async fn down(n: u32) -> u32 {
    if n == 0 { 0 } else { Box::pin(down(n - 1)).await + 1 }
}

#[hot]
async fn fails(text: &str) -> usize {
    turn().await;
    text.parse::<usize>().expect("a number")
}

trait Counts {
    type Number;

    async fn count(&self, by: Self::Number) -> Self::Number;
}

impl Counts for Desk {
    type Number = u32;

    #[hot]
    async fn count(&self, by: Self::Number) -> Self::Number {
        turn().await;
        let by: Self::Number = by;
        by + 1
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(result) = poll(future.as_mut()) {
            return result;
        }
    }
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

type Job = Pin<Box<dyn Future<Output = usize> + Send>>;

static JOBS: Mutex<VecDeque<Job>> = Mutex::new(VecDeque::new());

/// Such as an executor of many threads has it.
fn spawn(job: impl Future<Output = usize> + Send + 'static) {
    JOBS.lock().expect("nobody panicked").push_back(Box::pin(job));
}

fn main() {
    let mut desk = Desk { served: 0 };
    let by = Rc::new(Cell::new(1));
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match word {
            "length" => println!("{}", run(length(rest))),
            "serve" => {
                let result = run(desk.serve((rest, 1), Noted("l"))).ok();
                println!("{result:?} {}", std::mem::take(&mut *DROPPED.lock().expect("nobody panicked")));
            }
            "answer" => println!("{}", run(desk.answer(rest))),
            "local" => {
                by.set(by.get() * 2);
                println!("{}", run(local(by.clone())));
            }
            "count" => println!("{}", run(desk.count(rest.len() as u32))),
            "down" => println!("{}", run(down(rest.parse().expect("a number")))),
            "fails" => {
                let result = std::panic::catch_unwind(|| run(fails(rest)));
                println!("{}", result.map_or("panicked".to_owned(), |n| n.to_string()));
            }
            "begin" => {
                let text = rest.to_owned();
                let mut job: Job = Box::pin(async move { length(&text).await });
                assert!(poll(job.as_mut()).is_pending());
                spawn(job);
                println!("begun");
            }
            "queue" => {
                let text = rest.to_owned();
                spawn(async move { length(&text).await });
                println!("queued");
            }
            "give-up" => {
                JOBS.lock().expect("nobody panicked").pop_back();
                println!("given up");
            }
            "finish" => {
                let mut job = JOBS.lock().expect("nobody panicked").pop_front().expect("a job");
                println!("{}", std::thread::spawn(move || run(job.as_mut())).join().expect("it ends"));
            }
            _ => println!("?"),
        }
    }
}
