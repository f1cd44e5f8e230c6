//! Edits to how the program is built, with a restart that keeps the state.

use hotpatch_rt::{Keep, hot};
use restart_build_macros::word;

static ASKED: Keep<u64> = Keep::new("asked", || 0);

#[hot]
fn answer() -> String {
    let mut asked = ASKED.lock();
    *asked += 1;
    let loud = if cfg!(feature = "loud") { "!" } else { "." };
    format!(
        "{asked}: {} {} {}{loud}",
        env!("DECIDED"),
        env!("FROM_CONFIG"),
        word!()
    )
}

fn main() {
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        match line.strip_prefix("load ") {
            Some(state) => {
                *ASKED.lock() = state.parse().expect("a number");
                println!("ok");
            }
            None if line == "dump" => println!("{}", ASKED.lock()),
            None => println!("{}", answer()),
        }
    }
}
