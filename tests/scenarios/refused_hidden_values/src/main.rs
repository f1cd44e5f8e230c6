//! Values that outlive a call where nothing near them says so.

use std::sync::Mutex;

use hotpatch_rt::hot;

struct Erased {
    x: u32,
}

fn erase<T>(value: Box<T>) -> usize {
    Box::into_raw(value) as usize
}

fn found<T>(at: usize) -> &'static mut T {
    unsafe { &mut *(at as *mut T) }
}

static ERASED: Mutex<usize> = Mutex::new(0);

pub struct Entry {
    hits: u32,
}

pub const EMPTY: Entry = Entry { hits: 0 };

include!("tables.in");

#[hot]
fn answer(line: &str) -> String {
    if line == "erased" {
        let mut at = ERASED.lock().expect("an address");
        if *at == 0 {
            *at = erase(Box::new(Erased { x: 1 }));
        }
        let erased = found::<Erased>(*at);
        erased.x += 1;
        erased.x.to_string()
    } else {
        let mut table = TABLE.lock().expect("a table");
        table.hits += 1;
        table.hits.to_string()
    }
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.expect("a line")));
    }
}
