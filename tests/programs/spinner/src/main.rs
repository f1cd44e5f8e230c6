//! Answers lines, while another thread never comes to rest.

use std::hint::black_box;
use std::io::BufRead;

struct Point {
    x: usize,
}

fn answer(line: &str) -> String {
    let point = Point { x: line.len() };
    format!("{}", point.x)
}

fn spin(step: u64) {
    let mut sum = 0_u64;
    loop {
        sum = sum.wrapping_add(black_box(step));
    }
}

fn main() {
    std::thread::spawn(|| spin(1));
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        println!("{}", answer(&line));
    }
}
