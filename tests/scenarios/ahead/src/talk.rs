use std::sync::atomic::{AtomicUsize, Ordering};

static REPLIES: AtomicUsize = AtomicUsize::new(0);

const MOTTO: &str = include_str!("motto.txt");

pub fn motto() -> String {
    MOTTO.trim_end().to_owned()
}

mod hidden {
    pub fn secret() -> usize {
        1000
    }
}

pub fn reply(text: &str) -> String {
    let number = count(text);
    format!("{text} {number}")
}

fn count(text: &str) -> usize {
    REPLIES.fetch_add(1, Ordering::Relaxed);
    text.len() + hidden::secret()
}
