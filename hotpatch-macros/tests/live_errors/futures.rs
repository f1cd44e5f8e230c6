// editions: 2018 2021 2024
//! Mistakes in `async` bodies, whose places must not move.

#![warn(unused)]

use hotpatch_rt::hot;

#[hot]
async fn tail(n: u32) -> bool {
    n
}

#[hot]
async fn statement(n: u32, (a, b): (u32, String)) -> bool {
    let text: &str = n;
    if a == 0 {
        return text.is_empty();
    }
    b.missing().await
}

struct Counter(u32);

impl Counter {
    #[hot]
    async fn bump(&self, n: u32) {
        self.1 += n;
    }
}

fn main() {
    drop(tail("text"));
    drop(statement(1));
    drop(Counter(1).bump("text"));
}
