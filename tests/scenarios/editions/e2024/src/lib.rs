//! Edition 2024.

use hotpatch_rt::hot;

#[hot]
pub fn hot(line: &str) -> String {
    let r#gen = line.len() + 24;
    let both = Some(line).zip(line.find('-'));
    if let Some((line, at)) = both
        && at > 0
    {
        return format!("2024 {}", &line[..at]);
    }
    format!("2024 {}", r#gen)
}
