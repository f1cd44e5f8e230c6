use hotpatch_rt::hot;

#[hot]
fn argument(value: &impl Clone, more: Vec<Box<dyn Fn(u32) -> u32>>) {
    drop((value.clone(), more));
}

#[hot]
fn output(list: &[u32]) -> Option<(impl Iterator<Item = &u32>, u32)> {
    Some((list.iter(), 1))
}

fn main() {
    argument(&1, Vec::new());
    output(&[]);
}
