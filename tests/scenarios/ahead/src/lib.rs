//! A library, much of which nobody else may name.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Mutex;

static VISITS: Mutex<u32> = Mutex::new(0);

thread_local! {
    static HERE: Cell<u32> = const { Cell::new(0) };
}

#[derive(Default)]
pub struct Shop {
    stock: BTreeMap<String, Item>,
}

#[derive(Default, Debug)]
struct Item {
    count: u32,
}

impl Shop {
    pub fn add(&mut self, name: &str) -> u32 {
        let item = self.stock.entry(name.to_owned()).or_default();
        item.count += 1;
        self.sum()
    }

    fn sum(&self) -> u32 {
        self.stock.values().map(|item| item.count).sum()
    }

    pub fn visits(&self) -> String {
        *VISITS.lock().unwrap() += 1;
        HERE.set(HERE.get() + 1);
        format!("{} {}", VISITS.lock().unwrap(), HERE.get())
    }
}

pub fn twice<T: Copy + std::ops::Add<Output = T>>(value: T) -> T {
    value + value
}
