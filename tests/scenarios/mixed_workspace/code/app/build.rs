//! Uses a crate that the program's own crates use too.

fn main() {
    println!("cargo::rustc-env=BUILT={}", mixed_workspace_tables::row(4));
}
