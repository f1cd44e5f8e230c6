//! Thread-locals that come with an edit.

mod store;

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
    static OLD: Cell<u32> = const { Cell::new(10) };
}

#[hot]
fn step(by: u32) -> String {
    let mut noisy = Noisy(vec![by]);
    noisy.0.push(OLD.get());
    std::mem::forget(noisy);
    let list: RefCell<Vec<u32>> = RefCell::default();
    format!("{by} {} {}", list.borrow().len(), helper())
}

fn helper() -> u32 {
    1
}

#[allow(dead_code, reason = "an edit comes to use it")]
mod idle {
    thread_local!(pub static UNUSED: std::cell::RefCell<Vec<u32>> = std::cell::RefCell::new(vec![4]));
}

#[hot]
fn other() -> u32 {
    2
}

type Worker = (Sender<&'static str>, Receiver<String>, JoinHandle<()>);

fn start_worker() -> Worker {
    let (orders, inbox) = channel();
    let (outbox, replies) = channel();
    let thread = std::thread::spawn(move || {
        for order in inbox {
            let reply = match order {
                "step" => step(3),
                _ => other().to_string(),
            };
            outbox.send(reply).expect("somebody listens");
        }
    });
    (orders, replies, thread)
}

fn main() {
    let mut worker = None;
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let reply = match line.as_str() {
            "step" => step(2),
            "other" => other().to_string(),
            "store" => store::put(),
            // A thread begins as one of a fresh build does.
            "fresh" => std::thread::spawn(|| format!("{} {}", step(5), other()))
                .join()
                .expect("it ends"),
            "worker" | "worker other" => {
                let (orders, replies, _) = worker.get_or_insert_with(start_worker);
                let order = if line == "worker" { "step" } else { "other" };
                orders.send(order).expect("the worker listens");
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
