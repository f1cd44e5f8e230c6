use hotpatch_rt::hot;

#[hot(?Send)]
fn f() {}

#[hot(?Send)]
static N: u32 = 1;

#[hot(?Sync)]
async fn g() {}

fn main() {
    f();
    drop((g(), N));
}
