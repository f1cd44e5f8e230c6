//! State that a service has behind a trait object, in a place whose type says nothing of it.

use std::sync::{Arc, Mutex};

struct Item {
    name: String,
}

#[derive(Clone, Default)]
struct Shop {
    items: Arc<Mutex<Vec<Item>>>,
}

trait Service {
    fn serve(&self, text: &str) -> String;
}

struct Stateful<S, F>(S, F);

impl<S, F: Fn(&S, &str) -> String> Service for Stateful<S, F> {
    fn serve(&self, text: &str) -> String {
        (self.1)(&self.0, text)
    }
}

struct Routes(Vec<Box<dyn Service>>);

fn add(shop: &Shop, text: &str) -> String {
    let mut items = shop.items.lock().expect("unpoisoned");
    items.push(Item { name: text.to_owned() });
    items.iter().map(|item| item.name.as_str()).collect::<Vec<_>>().join(",")
}

/// For the time of a call.
struct Parsed {
    length: usize,
}

trait Measured {
    fn measure(&self) -> usize;
}

impl Measured for Parsed {
    fn measure(&self) -> usize {
        self.length
    }
}

fn parsed(text: &str) -> Box<dyn Measured> {
    Box::new(Parsed { length: text.len() })
}

fn routes() -> Routes {
    Routes(vec![Box::new(Stateful(Shop::default(), add))])
}

fn main() {
    let routes = routes();
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let reply = match line.split_once(' ') {
            Some(("add", text)) => routes.0[0].serve(text),
            _ => parsed(&line).measure().to_string(),
        };
        println!("{reply}");
    }
}
