//! The body of a `Drop` that hot code reaches: by a value's end, in a collection, and through a helper.

use std::sync::Mutex;

use hotpatch_rt::hot;

static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Guard(u32);

impl Drop for Guard {
    fn drop(&mut self) {
        LOG.lock().expect("the log").push(text(self.0));
    }
}

fn text(number: u32) -> String {
    format!("end {number}")
}

#[hot]
fn step(number: u32) -> String {
    LOG.lock().expect("the log").clear();
    {
        let _one = Guard(number);
        let _many = vec![Guard(number + 1), Guard(number + 2)];
    }
    LOG.lock().expect("the log").join(", ")
}

fn main() {
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        println!("{}", step(line.parse().unwrap_or(0)));
    }
}
