//! Says what it was started with, repeats one line of its input and exits with the code it is told.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;

use hotpatch_rt::hot;

#[hot]
fn echo(line: &str) -> String {
    format!("read {line}")
}

fn main() {
    let mut variables: Vec<_> = std::env::vars_os().collect();
    variables.sort();
    for (name, value) in variables {
        // Values may be secrets; only those that cargo makes up are said.
        if name.to_string_lossy().starts_with("CARGO_PKG") || name == "LD_LIBRARY_PATH" {
            println!("variable {name:?} {value:?}");
        } else {
            let mut hasher = DefaultHasher::new();
            value.hash(&mut hasher);
            println!("variable {name:?} {:016x}", hasher.finish());
        }
    }
    println!("folder {:?}", std::env::current_dir().expect("a folder"));
    println!(
        "arguments {:?}",
        std::env::args().skip(1).collect::<Vec<_>>()
    );
    println!("end");
    eprintln!("to the errors");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("input");
    println!("{}", echo(line.trim_end()));
    let mut rest = String::new();
    std::io::stdin().read_line(&mut rest).expect("input");
    std::io::stdout().flush().expect("output");
    std::process::exit(rest.trim_end().parse().expect("a number"));
}
