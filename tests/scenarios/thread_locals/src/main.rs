//! Thread-locals: lazy, const, with destructors, on the main thread and on others.

use std::cell::{Cell, RefCell};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use hotpatch_rt::hot;

static DROPPED: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Noisy(Vec<u32>);

impl Drop for Noisy {
    fn drop(&mut self) {
        DROPPED.lock().expect("unpoisoned").push(format!("{:?}", self.0));
    }
}

thread_local! {
    static LAZY: RefCell<Vec<u32>> = RefCell::new(vec![1]);
    static CONST: Cell<u32> = const { Cell::new(10) };
    static NOISY: RefCell<Noisy> = RefCell::new(Noisy(Vec::new()));
}

#[hot]
fn step(by: u32) -> String {
    CONST.set(CONST.get() + by);
    LAZY.with_borrow_mut(|list| list.push(by));
    NOISY.with_borrow_mut(|noisy| noisy.0.push(by));
    show()
}

fn show() -> String {
    thread_local!(static SHOWN: Cell<u32> = const { Cell::new(0) });
    SHOWN.set(SHOWN.get() + 1);
    format!("{} {:?} {}", CONST.get(), LAZY.with_borrow(Vec::clone), SHOWN.get())
}

/// Read by code that no patch replaces.
fn seen_by_base() -> String {
    format!("{} {:?}", CONST.get(), LAZY.with_borrow(Vec::clone))
}

type Worker = (Sender<u32>, Receiver<String>, JoinHandle<()>);

fn start_worker() -> Worker {
    let (orders, inbox) = channel();
    let (outbox, replies) = channel();
    let thread = std::thread::spawn(move || {
        for by in inbox {
            outbox.send(step(by)).expect("somebody listens");
        }
    });
    (orders, replies, thread)
}

fn main() {
    let mut worker = None;
    for line in std::io::stdin().lines() {
        let reply = match line.expect("a line").as_str() {
            "step" => step(2),
            "seen" => seen_by_base(),
            "worker" => {
                let (orders, replies, _) = worker.get_or_insert_with(start_worker);
                orders.send(3).expect("the worker listens");
                replies.recv().expect("the worker answers")
            }
            "end" => {
                let (orders, _, thread) = worker.take().expect("there is a worker");
                drop(orders);
                thread.join().expect("the worker ends");
                DROPPED.lock().expect("unpoisoned").join(" ")
            }
            _ => "unknown".to_string(),
        };
        println!("{reply}");
    }
}
