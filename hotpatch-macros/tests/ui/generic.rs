use hotpatch_rt::hot;

#[hot]
fn types<'a, T: Clone>(value: &'a T) -> &'a T {
    value
}

#[hot]
fn constants<const N: usize>(value: [u8; N]) -> usize {
    value.len()
}

fn main() {
    types(&1);
    constants([1]);
}
