//! Crates that are in the program in more than one way, and functions that C calls.

use std::ffi::{c_int, c_void};

use hotpatch_rt::hot;
use mixed_workspace_derive::number;

unsafe extern "C" {
    fn qsort(
        base: *mut c_void,
        count: usize,
        size: usize,
        compare: extern "C" fn(*const c_void, *const c_void) -> c_int,
    );
}

/// Called by C, which has its address.
#[unsafe(no_mangle)]
extern "C" fn mixed_workspace_compare(left: *const c_void, right: *const c_void) -> c_int {
    let (left, right) = unsafe { (*left.cast::<i32>(), *right.cast::<i32>()) };
    order(left, right)
}

fn order(left: i32, right: i32) -> c_int {
    left.cmp(&right) as c_int
}

/// Called by C, too, and hot.
#[hot]
extern "C" fn backwards(left: *const c_void, right: *const c_void) -> c_int {
    let (left, right) = unsafe { (*left.cast::<i32>(), *right.cast::<i32>()) };
    right.cmp(&left) as c_int
}

fn sorted(compare: extern "C" fn(*const c_void, *const c_void) -> c_int) -> String {
    let mut numbers = [3, 1, 2];
    unsafe { qsort(numbers.as_mut_ptr().cast(), numbers.len(), size_of::<i32>(), compare) };
    format!("{numbers:?}")
}

#[hot]
fn up() -> String {
    sorted(mixed_workspace_compare)
}

#[hot]
fn versions() -> String {
    let old = io_old::SeekFrom::Start(1);
    let new = io_new::SeekFrom::Start(2);
    format!("{old:?} {new:?}")
}

#[hot]
fn features() -> String {
    format!(
        "{} {} {}",
        mixed_workspace_shared::level(1),
        mixed_workspace_other::level(),
        env!("BUILT")
    )
}

#[hot]
fn derived() -> u32 {
    number!() + 1
}

fn main() {
    // C keeps this one for the whole run.
    let kept = sorted as fn(extern "C" fn(*const c_void, *const c_void) -> c_int) -> String;
    for line in std::io::stdin().lines() {
        let reply = match line.expect("a line").as_str() {
            "up" => up(),
            "down" => kept(backwards),
            "versions" => versions(),
            "features" => features(),
            "derived" => derived().to_string(),
            _ => "unknown".to_string(),
        };
        println!("{reply}");
    }
}
