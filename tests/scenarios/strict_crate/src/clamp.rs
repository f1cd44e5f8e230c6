//! Limits.

const LIMIT: i64 = 100;

pub(crate) fn clamped(value: i64) -> i64 {
    value.min(LIMIT)
}
