use hotpatch_rt::hot;

#[hot]
async fn f() {}

fn main() {
    drop(f());
}
