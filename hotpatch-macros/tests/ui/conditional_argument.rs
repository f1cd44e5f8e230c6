use hotpatch_rt::hot;

#[hot]
fn f(#[cfg(all())] n: u32, #[cfg_attr(all(), allow(unused))] m: u32) -> u32 {
    n
}

fn main() {
    f(1, 2);
}
