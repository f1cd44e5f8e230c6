//! A patch library: a newer body of the launcher's function.

#[unsafe(no_mangle)]
pub fn newer_body(n: u32) -> u32 {
    n + 100
}
