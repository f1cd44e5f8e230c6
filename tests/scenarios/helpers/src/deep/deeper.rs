//! A module in a module's folder.

pub fn in_folder(value: u32) -> u32 {
    super::super::same_module(value) + 7
}
