//! A line server whose calls are made again when they have panicked.

use std::fmt::Display;

use hotpatch_rt::hot;

/// What is moved into a call.
#[derive(Clone)]
struct Job {
    text: String,
}

struct Server {
    calls: u32,
}

trait Describe {
    fn describe(&self, what: &str) -> String;
}

impl Server {
    #[hot(retry)]
    fn answer(&mut self, Job { text }: Job) -> String {
        self.calls += 1;
        format!("base {text} {}", self.calls)
    }

    #[hot(retry)]
    fn name(&self) -> &str {
        "server"
    }
}

impl Describe for Server {
    #[hot(retry)]
    fn describe(&self, what: &str) -> String {
        format!("{} of {what}", self.name())
    }
}

#[hot(retry)]
fn first<T: Display>(items: &[T], _unused: usize) -> String {
    items[0].to_string()
}

fn main() {
    let mut server = Server { calls: 0 };
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let answer = match line.split_once(' ') {
            Some(("describe", what)) => server.describe(what),
            Some(("first", text)) => first(&text.split(' ').collect::<Vec<_>>(), 1),
            _ => server.answer(Job { text: line }),
        };
        println!("{answer}");
    }
}
