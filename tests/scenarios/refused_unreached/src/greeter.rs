//! Methods of a trait, for a type that may come to have its own.

use std::ops::Deref;

pub trait Say {
    fn name(&self) -> String;

    fn again(&self) -> String {
        "again".to_string()
    }
}

pub struct Host(pub &'static str);

impl Host {}

impl Say for Host {
    fn name(&self) -> String {
        self.0.to_string()
    }
}

pub struct Wrapped(pub Host);

impl Wrapped {}

impl Deref for Wrapped {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.0
    }
}

pub const MARK: &str = "-";

pub fn mark() -> String {
    "+".to_string()
}
