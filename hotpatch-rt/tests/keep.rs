//! What `keep` is in a plain build: a value with a name, and nothing else.

#![cfg(feature = "keep")]

use std::panic;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use hotpatch_rt::{Keep, keep};

/// The message of the panic that `action` ends with.
fn panic_of<R>(action: impl FnOnce() -> R + panic::UnwindSafe) -> String {
    let payload = panic::catch_unwind(action).err().expect("it panics");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload
            .downcast_ref::<&str>()
            .map_or_else(String::new, |text| (*text).to_owned()),
    }
}

#[test]
fn one_name_is_one_value() {
    static HITS: Keep<u32> = Keep::new("one name", || 5);
    let first = keep("one name", || 7_u32);
    assert_eq!(*first.lock(), 7);
    *HITS.lock() += 1;
    assert_eq!(*first.clone().lock(), 8);
    assert_eq!(*keep("one name", || 9_u32).lock(), 8);
}

#[test]
fn another_type_under_a_name_is_said_clearly() {
    let _hits = keep("two types", || 7_u32);
    assert_eq!(
        panic_of(|| keep("two types", || 7_u64)),
        "`two types` is asked for as `u64`, but what is kept under this name is a `u32`"
    );
}

#[test]
fn what_makes_a_value_may_not_ask_for_it() {
    let message = panic_of(|| keep("itself", || *keep("itself", || 1_u32).lock()));
    assert_eq!(message, "`itself` is asked for by what makes it");
    assert_eq!(*keep("itself", || 3_u32).lock(), 3);
    let outer = keep("outer", || *keep("inner", || 4_u32).lock() + 1);
    assert_eq!(*outer.lock(), 5);
}

#[test]
fn threads_make_it_once_and_take_turns() {
    static MADE: AtomicU32 = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let sum = keep("sum", || u64::from(MADE.fetch_add(1, Ordering::Relaxed)));
                for _ in 0..1000 {
                    *sum.lock() += 1;
                }
            });
        }
    });
    assert_eq!(MADE.load(Ordering::Relaxed), 1);
    assert_eq!(*keep("sum", || 0_u64).lock(), 8000);
}

#[test]
fn a_panic_with_a_guard_in_hand_changes_nothing() {
    let value = keep("panicked", || 1_u32);
    let inside = value.clone();
    let message = panic_of(move || {
        let mut guard = inside.lock();
        *guard = 2;
        panic!("with the guard in hand");
    });
    assert_eq!(message, "with the guard in hand");
    assert_eq!(*value.lock(), 2);
}
