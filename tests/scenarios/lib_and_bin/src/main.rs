//! The program of a package that also has a library of the same name.

use hotpatch_rt::hot;
use lib_and_bin::Counter;

#[hot]
fn twice(counter: &mut Counter) -> String {
    let first = counter.next();
    format!("{first} {}", counter.next())
}

fn main() {
    let mut counter = Counter::from(0);
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let reply = match command {
            "next" => counter.next().to_string(),
            "twice" => twice(&mut counter),
            "dump" => counter.count().to_string(),
            "load" => {
                counter = Counter::from(rest.parse().expect("a number"));
                "ok".to_string()
            }
            _ => "unknown".to_string(),
        };
        println!("{reply}");
    }
}
