//! Bodies of generic code, and of defaults of traits, which are not patched yet.

use std::fmt::Display;

use hotpatch_rt::hot;

struct Pair<T>(T, T);

impl<T: Display> Pair<T> {
    fn show(&self) -> String {
        format!("{}-{}", self.0, self.1)
    }
}

fn quoted<T: Display>(value: T) -> String {
    format!("<{value}>")
}

fn length(text: impl AsRef<str>) -> usize {
    text.as_ref().len()
}

trait Named {
    fn name(&self) -> String;

    fn greeting(&self) -> String {
        format!("hello {}", self.name())
    }
}

struct Guest;

impl Named for Guest {
    fn name(&self) -> String {
        "guest".to_string()
    }
}

#[hot]
fn all(text: &str) -> String {
    format!("{} {} {} {}", Pair(1, 2).show(), quoted(text), length(text), Guest.greeting())
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", all(&line.expect("a line")));
    }
}
