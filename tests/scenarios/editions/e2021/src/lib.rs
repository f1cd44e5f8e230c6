//! Edition 2021.

#[hotpatch_rt::hot]
pub fn hot(line: &str) -> String {
    let length: u8 = line.len().try_into().unwrap_or(u8::MAX);
    let gen = length + 21;
    format!("2021 {gen}")
}
