//! A module whose file is called otherwise.

pub fn by_path(value: u32) -> u32 {
    value + 8
}
