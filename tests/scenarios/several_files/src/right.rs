//! The right half.

pub fn text(number: u32) -> String {
    CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("right {number}")
}

type Count = std::sync::atomic::AtomicU32;

static CALLS: Count = Count::new(0);
