use hotpatch_rt::hot;

#[hot]
#[hot]
fn twice() {}

#[hot]
#[inline]
#[hotpatch_rt::hot]
fn by_path() {}

fn main() {
    twice();
    by_path();
}
