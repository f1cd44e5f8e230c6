//! A module in a file.

pub fn in_file(value: u32) -> u32 {
    private(value) * 2
}

fn private(value: u32) -> u32 {
    value + 6
}
