//! Has the terminal to itself, as programs with a terminal library have: takes keys one by one and draws on all of the screen.
//! Says on its standard output which keys it got.

use std::io::Read;
use std::process::Command;

fn main() {
    set(&["raw", "-echo"]);
    eprint!("\x1b[?1049h<<painted>>");
    for key in std::io::stdin().bytes() {
        let key = char::from(key.expect("a key"));
        println!("{}", told(key).escape_debug());
        match key {
            'q' => break,
            'a' => std::process::abort(),
            _ => {}
        }
    }
    eprint!("<<left>>\x1b[?1049l");
    set(&["sane"]);
}

fn told(key: char) -> String {
    format!("base {key}")
}

fn set(modes: &[&str]) {
    let status = Command::new("stty").args(modes).status().expect("stty");
    assert!(status.success());
}
