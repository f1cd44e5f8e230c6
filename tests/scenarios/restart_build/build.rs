//! Decides something at build time.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=DECIDED=1");
}
