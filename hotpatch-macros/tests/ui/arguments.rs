use hotpatch_rt::hot;

#[hot(name = "x", 1)]
fn f() {}

fn main() {
    f();
}
