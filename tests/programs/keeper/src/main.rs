//! A line server whose state is kept. Another thread can be told to hold on to it.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use hotpatch_rt::{Keep, hot, keep};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct World {
    ticks: u64,
}

/// Found at its first use, which the commands decide.
static HITS: Keep<u64> = Keep::new("hits", || 100);

#[hot]
fn step(world: &mut World) -> String {
    world.ticks += 1;
    format!("base {}", world.ticks)
}

fn main() {
    let world = keep("world", || World { ticks: 0 });
    boot();
    let mut release: Option<Sender<()>> = None;
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            "step" => println!("{}", step(&mut world.lock())),
            "hit" => {
                let mut hits = HITS.lock();
                *hits += 1;
                println!("{hits}");
            }
            "count" => {
                println!("from {}", HITS.lock());
                std::thread::spawn(|| {
                    loop {
                        let mut hits = HITS.lock();
                        *hits += 1;
                        println!("{hits}");
                        drop(hits);
                        std::thread::sleep(Duration::from_millis(1));
                    }
                });
            }
            "hold" => {
                let (sender, released) = channel();
                let world = world.clone();
                release = Some(sender);
                std::thread::spawn(move || {
                    let guard = world.lock();
                    println!("held");
                    let _ = released.recv();
                    drop(guard);
                    println!("released");
                });
            }
            "release" => drop(release.take()),
            other => match other.strip_prefix("exit ") {
                Some(code) => std::process::exit(code.parse().expect("a number")),
                None => println!("what is {other}?"),
            },
        }
    }
}

fn boot() {}
