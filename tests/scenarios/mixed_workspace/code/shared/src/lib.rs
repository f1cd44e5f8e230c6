//! Has a feature that only one of its users asks for; all of them get it.

pub fn level(value: u32) -> u32 {
    if cfg!(feature = "extra") { value * 10 } else { value }
}
