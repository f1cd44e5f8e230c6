use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=pump.c");
    let out = std::env::var("OUT_DIR").unwrap();
    let object = Path::new(&out).join("pump.o");
    let library = Path::new(&out).join("libpump.a");
    let run = |program: &str, args: &[&Path]| {
        assert!(Command::new(program).args(args).status().unwrap().success());
    };
    run("cc", &["-c", "-fPIC", "pump.c", "-o"].map(Path::new).iter().copied().chain([&*object]).collect::<Vec<_>>());
    let _ = std::fs::remove_file(&library);
    run("ar", &[Path::new("crD"), &library, &object]);
    println!("cargo::rustc-link-search=native={out}");
    println!("cargo::rustc-link-lib=static=pump");
}
