//! A line server that can exit and crash.

use hotpatch_rt::hot;

#[hot]
fn answer(text: &str) -> String {
    format!("base {text}")
}

fn main() {
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        match line.split_once(' ') {
            Some(("exit", code)) => std::process::exit(code.parse().expect("a number")),
            _ if line == "abort" => std::process::abort(),
            _ => println!("{}", answer(&line)),
        }
    }
}
