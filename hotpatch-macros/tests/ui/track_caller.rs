use hotpatch_rt::hot;

#[track_caller]
#[hot]
fn above() {}

#[hot]
#[track_caller]
fn below() {}

fn main() {
    above();
    below();
}
