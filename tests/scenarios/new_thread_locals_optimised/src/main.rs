//! Thread-locals that come with an edit, in optimised code that is in its callers' and in two crates.

use std::sync::mpsc::{Receiver, Sender, channel};

use hotpatch_rt::hot;
use new_thread_locals_state as state;

#[hot]
fn step() -> String {
    format!("{}", state::count())
}

#[hot]
fn other() -> String {
    String::new()
}

fn start_worker() -> (Sender<bool>, Receiver<String>) {
    let (orders, inbox) = channel();
    let (outbox, replies) = channel();
    std::thread::spawn(move || {
        for steps in inbox {
            outbox.send(if steps { step() } else { other() }).expect("somebody listens");
        }
    });
    (orders, replies)
}

fn main() {
    let (orders, replies) = start_worker();
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let reply = match line.as_str() {
            "step" => step(),
            "other" => other(),
            _ => {
                orders.send(line == "worker").expect("the worker listens");
                replies.recv().expect("the worker answers")
            }
        };
        println!("{reply}");
    }
}
