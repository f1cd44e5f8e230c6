//! A program of three crates that runs plugins: trait objects, states behind `dyn Any`, words on the threads of rayon, lines on a
//! thread behind a channel of crossbeam.
//!
//! Start it with `cargo hotpatch run -p plugins-host` and type `PLUGIN WORDS`. Bodies of all three crates are live by themselves,
//! default methods and `async` ones too. The list of plugins is a value that was made when the program began: `reload` makes
//! it anew, and keeps the states of those that were there.

use std::collections::HashMap;
use std::io::BufRead;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use plugins_api::{Plugin, State};
use rayon::prelude::*;

struct Host {
    plugins: Vec<Box<dyn Plugin>>,
    states: HashMap<&'static str, State>,
}

impl Host {
    fn new() -> Self {
        let mut host = Self {
            plugins: Vec::new(),
            states: HashMap::new(),
        };
        host.reload();
        host
    }

    fn reload(&mut self) {
        self.plugins = plugins_words::plugins();
        for plugin in &self.plugins {
            let state = || plugin.state();
            self.states.entry(plugin.name()).or_insert_with(state);
        }
    }

    fn answer(&mut self, line: &str) -> String {
        let (name, words) = line.split_once(' ').unwrap_or((line, ""));
        if name == "reload" {
            self.reload();
            return self.about();
        }
        let Some(plugin) = self.plugins.iter().find(|plugin| plugin.name() == name) else {
            return format!("no plugin {name}");
        };
        let Some(state) = self.states.get_mut(name) else {
            return format!("no state of {name}");
        };
        let words: Vec<&str> = words.split_whitespace().collect();
        let words: Vec<String> = words.par_iter().map(|word| plugin.word(word)).collect();
        finish(plugin.line(&words, state))
    }

    fn about(&self) -> String {
        let about: Vec<String> = self.plugins.iter().map(|plugin| plugin.about()).collect();
        about.join(", ")
    }
}

/// Runs a future that waits for nothing but itself.
fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return value;
        }
    }
}

fn serve(lines: &Receiver<String>, answers: &Sender<String>) {
    let mut host = Host::new();
    for line in lines {
        if answers.send(host.answer(&line)).is_err() {
            return;
        }
    }
}

fn main() {
    let (ask, lines) = bounded(1);
    let (answers, answered) = bounded(1);
    thread::spawn(move || serve(&lines, &answers));
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a line");
        if ask.send(line).is_err() {
            return;
        }
        match answered.recv() {
            Ok(answer) => println!("{answer}"),
            Err(_) => return,
        }
    }
}
