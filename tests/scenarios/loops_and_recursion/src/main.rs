//! Hot functions that call hot functions: a loop that never returns, recursion, mutual recursion.

use std::sync::mpsc::{Receiver, Sender, channel};

use hotpatch_rt::hot;

#[hot]
fn serve(name: &str, inbox: Receiver<u32>, outbox: Sender<String>) {
    for request in inbox {
        outbox.send(format!("{name} {}", value(request))).expect("somebody listens");
    }
}

#[hot]
fn value(request: u32) -> u32 {
    request + 1
}

#[hot]
fn depth(level: u32) -> String {
    if level == 0 { "|".to_string() } else { format!("a{}", depth(level - 1)) }
}

#[hot]
fn even(number: u32) -> bool {
    number == 0 || odd(number - 1)
}

fn odd(number: u32) -> bool {
    number != 0 && even(number - 1)
}

/// Recursion that is under way while the patch arrives: it waits for a command at its deepest place.
#[hot]
fn pause(level: u32, inbox: &Receiver<u32>) -> String {
    if level == 0 {
        inbox.recv().expect("somebody sends").to_string()
    } else {
        format!("old{}({})", level, pause(level - 1, inbox))
    }
}

struct Thread {
    orders: Sender<u32>,
    replies: Receiver<String>,
}

fn start(name: String) -> Thread {
    let (orders, inbox) = channel();
    let (outbox, replies) = channel();
    std::thread::spawn(move || serve(&name, inbox, outbox));
    Thread { orders, replies }
}

fn start_paused() -> Thread {
    let (orders, inbox) = channel();
    let (outbox, replies) = channel();
    std::thread::spawn(move || {
        for () in std::iter::from_fn(|| inbox.recv().ok().map(|_| ())) {
            outbox.send("pausing".to_string()).expect("somebody listens");
            outbox.send(pause(2, &inbox)).expect("somebody listens");
        }
    });
    Thread { orders, replies }
}

fn main() {
    let mut threads: Vec<Thread> = Vec::new();
    let paused = start_paused();
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let reply = match command {
            "start" => {
                threads.push(start(rest.to_string()));
                "started".to_string()
            }
            "all" => {
                let replies = threads.iter().map(|thread| {
                    thread.orders.send(rest.parse().expect("a number")).expect("it listens");
                    thread.replies.recv().expect("it answers")
                });
                replies.collect::<Vec<_>>().join(", ")
            }
            "pause" => {
                paused.orders.send(0).expect("it listens");
                paused.replies.recv().expect("it answers")
            }
            "resume" => {
                paused.orders.send(7).expect("it listens");
                paused.replies.recv().expect("it answers")
            }
            "value" => value(rest.parse().expect("a number")).to_string(),
            "depth" => depth(rest.parse().expect("a number")),
            "even" => even(rest.parse().expect("a number")).to_string(),
            _ => "unknown".to_string(),
        };
        println!("{reply}");
    }
}
