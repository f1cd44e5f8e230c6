fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=data.txt");
    let number = std::fs::read_to_string("data.txt").unwrap();
    println!("cargo::rustc-env=NUMBER={}", number.trim());
}
