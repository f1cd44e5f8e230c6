//! A library of the same name as the program.

pub mod inner {
    pub fn count() -> u32 {
        1
    }
}
