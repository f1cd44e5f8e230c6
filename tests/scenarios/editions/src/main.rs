//! A program of edition 2015 with a library of each later one.

extern crate editions_2018;
extern crate editions_2021;
extern crate editions_2024;
extern crate hotpatch_rt;

mod parts;

use hotpatch_rt::hot;
use parts::helper;
use std::io::BufRead;

#[hot]
fn oldest(line: &str) -> String {
    let async = helper(line);
    let dyn: Box<Fn(usize) -> usize> = Box::new(|length| length + 1);
    format!("2015 {}", dyn(async))
}

fn main() {
    let input = std::io::stdin();
    for line in input.lock().lines() {
        let line = line.expect("a line");
        println!(
            "{} {} {} {}",
            oldest(&line),
            ::editions_2018::hot(&line),
            editions_2021::hot(&line),
            editions_2024::hot(&line)
        );
    }
}
