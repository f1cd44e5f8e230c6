//! Generic functions, of which a program makes the instances.

use std::fmt::Debug;

pub fn shown<T: Debug>(value: T) -> String {
    format!("{}{:?}", wrapped(&value), value)
}

fn wrapped<T: Debug>(value: &T) -> String {
    format!("({value:?})")
}

pub fn down<T: Debug>(value: T, left: u32) -> String {
    if left == 0 { shown(value) } else { down(value, left - 1) }
}

pub struct Kept<T>(pub Vec<T>);

impl<T: Debug + Clone> Kept<T> {
    pub fn all(&self) -> String {
        let all: Vec<String> = self.0.iter().map(|value| shown(value.clone())).collect();
        all.join(",")
    }
}
