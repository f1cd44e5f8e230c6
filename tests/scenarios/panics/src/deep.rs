//! Backtraces.

use std::backtrace::Backtrace;

/// The user's own frames: each function with its file and line.
pub fn own_frames() -> String {
    let trace = Backtrace::force_capture().to_string();
    let mut frames = Vec::new();
    let mut function = "";
    for line in trace.lines().map(str::trim) {
        match line.strip_prefix("at ") {
            Some(place) if place.contains("/src/deep.rs") || place.contains("/src/main.rs") => {
                let name = function.split_once(": ").map_or(function, |(_, name)| name);
                if name.starts_with("panics::") {
                    let at = place.rfind("src/").expect("it contains that");
                    frames.push(format!("{name} {}", &place[at..]));
                }
            }
            Some(_) => {}
            None => function = line,
        }
    }
    frames.join(", ")
}
