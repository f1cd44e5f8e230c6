//! A static that only this module can name.

use std::cell::RefCell;
use std::sync::Mutex;

use hotpatch_rt::hot;

static NAMES: Mutex<RefCell<Vec<String>>> = Mutex::new(RefCell::new(Vec::new()));

#[hot]
pub fn put(name: &str) -> String {
    let names = NAMES.lock().unwrap();
    names.borrow_mut().push(name.to_string());
    names.borrow().join(",")
}

pub fn names() -> usize {
    NAMES.lock().unwrap().borrow().len()
}
