//! Types that change although no item of the source does.

mod records {
    second_opinion_make::record!(Record);
}

use std::any::Any;
use std::sync::Mutex;

use hotpatch_rt::hot;
use records::Record;

static RECORD: Mutex<Option<Record>> = Mutex::new(None);
static KEPT: Mutex<Vec<Box<dyn Any + Send>>> = Mutex::new(Vec::new());

#[hot]
fn step(word: &str) -> String {
    let mut record = RECORD.lock().expect("unpoisoned");
    let record = record.get_or_insert_default();
    record.level = record.level.saturating_add(word.len() as _);
    format!("level {}", record.level)
}

#[hot]
fn kept(_word: &str) -> String {
    let kept = KEPT.lock().expect("unpoisoned");
    format!("{} kept", kept.len())
}

fn main() {
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        match line.split_once(' ') {
            Some(("kept", word)) => println!("{}", kept(word)),
            _ => println!("{}", step(&line)),
        }
    }
}
