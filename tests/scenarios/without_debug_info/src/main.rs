//! A build that says nothing about types: edits that may change one are refused.

use std::any::Any;
use std::sync::Mutex;

use hotpatch_rt::hot;

const STEP: u32 = 1;

mod walk {
    pub const fn pace() -> u32 {
        10
    }
}

mod lanes {
    const fn pace() -> usize {
        2
    }

    #[derive(Default)]
    pub struct Lane {
        pub steps: [u32; pace()],
    }
}

static LANE: Mutex<lanes::Lane> = Mutex::new(lanes::Lane { steps: [0; 2] });
static KEPT: Mutex<Vec<Box<dyn Any + Send>>> = Mutex::new(Vec::new());

#[hot]
fn step(word: &str) -> String {
    let mut lane = LANE.lock().expect("unpoisoned");
    lane.steps[0] += STEP + word.len() as u32;
    lane.steps[1] += walk::pace();
    format!("{} {}", lane.steps[0], lane.steps[1])
}

#[hot]
fn kept() -> String {
    let kept = KEPT.lock().expect("unpoisoned");
    format!("{} kept", kept.len())
}

/// Where the program's own code for what it returns would no longer fit.
fn adder() -> impl Fn() -> u64 {
    let by = 3u64;
    move || by
}

#[hot]
fn sum() -> u64 {
    let mut adders = vec![adder()];
    for _ in 0..9 {
        adders.push(adder());
    }
    adders.iter().map(|add| add()).sum()
}

fn main() {
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        match line.as_str() {
            "sum" => println!("{}", sum()),
            "kept" => println!("{}", kept()),
            word => println!("{}", step(word)),
        }
    }
}
