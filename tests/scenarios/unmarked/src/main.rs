//! A program that knows nothing of the tool: no dependency, no attribute.

use std::collections::BTreeMap;
use std::fmt;
use std::io::BufRead;
use std::sync::atomic::{AtomicU32, Ordering};

static CALLS: AtomicU32 = AtomicU32::new(0);
const FACTOR: u32 = 2;

#[derive(Debug, Clone, Default, PartialEq)]
struct Order {
    item: String,
    count: u32,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.count, self.item)
    }
}

trait Price {
    fn price(&self) -> u32;
    fn label(&self) -> String {
        format!("costs {}", self.price())
    }
}

impl Price for Order {
    fn price(&self) -> u32 {
        self.count * FACTOR
    }
}

fn largest<T: Ord + Copy>(all: &[T]) -> Option<T> {
    all.iter().copied().max()
}

fn total(orders: &[Order]) -> u32 {
    orders.iter().map(|order| order.count).sum()
}

fn answer(orders: &mut BTreeMap<String, Order>, line: &str) -> String {
    CALLS.fetch_add(1, Ordering::Relaxed);
    let mut words = line.split(' ');
    match (words.next(), words.next()) {
        (Some("add"), Some(item)) => {
            let order = orders.entry(item.to_owned()).or_default();
            order.item = item.to_owned();
            order.count += 1;
            order.to_string()
        }
        (Some("total"), _) => {
            let all: Vec<Order> = orders.values().cloned().collect();
            format!("{} {:?}", total(&all), largest(&[1, 3, 2]))
        }
        (Some("label"), Some(item)) => orders.get(item).map_or_else(String::new, Price::label),
        (Some("first"), _) => format!("{:?}", orders.values().next()),
        (Some("calls"), _) => CALLS.load(Ordering::Relaxed).to_string(),
        _ => "?".to_owned(),
    }
}

fn main() {
    let mut orders = BTreeMap::new();
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        println!("{}", answer(&mut orders, &line));
    }
}
