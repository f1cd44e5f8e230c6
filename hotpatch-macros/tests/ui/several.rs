use hotpatch_rt::hot;

#[hot(always)]
#[track_caller]
const fn f<T, const N: usize>(first: impl Copy, second: [T; N]) {
    std::mem::forget((first, second));
}

fn main() {
    f(1, [1]);
}
