use hotpatch_rt::hot;

#[hot]
const fn f() -> u32 {
    1
}

const ONE: u32 = f();

fn main() {
    println!("{}", ONE);
}
