//! Small arithmetic that every module uses.

/// Folds `value` into `total`.
pub fn mix(total: u64, value: u64) -> u64 {
    (total ^ value)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(23)
}

/// The sum of `values`, which never overflows in practice.
pub fn sum_of(values: &[u32]) -> u64 {
    values.iter().map(|&value| u64::from(value)).sum()
}
