use hotpatch_rt::hot;

#[hot]
unsafe extern "C" fn f(n: u32, _: ...) -> u32 {
    n
}

fn main() {}
