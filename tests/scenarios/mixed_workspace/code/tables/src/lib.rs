//! In the program and in its build script.

mod rows;

pub fn row(number: u32) -> u32 {
    rows::width() * number
}
