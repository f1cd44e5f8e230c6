//! What everybody multiplies with.

pub fn scaled(value: i64) -> i64 {
    value * factor()
}

fn factor() -> i64 {
    2
}
