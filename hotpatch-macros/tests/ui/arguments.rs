use hotpatch_rt::hot;

#[hot(name = "x", 1)]
fn f() {}

#[hot(?Send)]
async fn g() {}

#[hot(fast)]
static N: u32 = 1;

fn main() {
    f();
    drop((g(), N));
}
