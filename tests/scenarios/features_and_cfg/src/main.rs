//! Code that features and `cfg` choose.

#[cfg(feature = "loud")]
mod loud;
#[cfg(feature = "quiet")]
mod there_is_no_such_file;

use hotpatch_rt::hot;

#[hot]
fn answer(text: &str) -> String {
    let text = if cfg!(feature = "plain") { "plain".to_string() } else { changed(text) };
    #[cfg(debug_assertions)]
    let text = format!("{text} checked");
    #[cfg(not(debug_assertions))]
    let text = format!("{text} unchecked");
    text
}

#[cfg(feature = "loud")]
fn changed(text: &str) -> String {
    loud::shout(text)
}

#[cfg(not(feature = "loud"))]
fn changed(text: &str) -> String {
    text.to_lowercase()
}

#[cfg_attr(feature = "loud", hot)]
fn conditionally_hot() -> u32 {
    1
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{} {}", answer(&line.expect("a line")), conditionally_hot());
    }
}
