//! What runs once, and what runs always.

use crate::greeter::{Host, Say, Wrapped};

pub fn told(host: &Host) -> String {
    host.name() + &host.again()
}

pub fn behind(host: &Wrapped) -> String {
    host.name()
}

pub fn greeting() -> String {
    "hello".to_string()
}

pub fn suffix() -> &'static str {
    "!"
}

/// Says what another module has.
pub mod signs {
    use crate::greeter::*;

    pub fn sign() -> String {
        mark() + MARK
    }
}
