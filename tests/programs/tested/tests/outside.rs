use tested::{add, mul};

#[test]
fn both() {
    assert_eq!(mul(add(1, 1), 2), 4);
}

#[test]
fn neither() {}
