use hotpatch_rt::hot;

#[hot]
async fn f() -> ! {
    loop {}
}

fn main() {
    drop(f());
}
