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

const fn half() -> usize {
    1
}

const fn whole() -> usize {
    half() * 2
}

struct Wide {
    cells: [u8; whole()],
    count: u32,
}

static WIDE: Mutex<Option<Wide>> = Mutex::new(None);

#[hot]
fn wide(word: &str) -> String {
    let mut wide = WIDE.lock().expect("unpoisoned");
    let wide = wide.get_or_insert_with(|| Wide { cells: [0; whole()], count: 0 });
    wide.count += 1;
    wide.cells[whole() - 1] += word.len() as u8;
    format!("{:?} {}", wide.cells, wide.count)
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
            Some(("wide", word)) => println!("{}", wide(word)),
            _ => println!("{}", step(&line)),
        }
    }
}
