//! The slot of a hot function: an atomic pointer to the body that its next call runs.
//!
//! # Orderings
//!
//! There is one atomic, [`Slot::current`]. Null stands for the body compiled into the base.
//!
//! *Writer*: the agent's thread alone, in `apply::publish`, with `Release`. Before the store it has mapped
//! and relocated the patch library that the pointer leads into.
//!
//! *Readers*: every thread that calls the hot function, in [`Slot::get`], with `Acquire`. A reader that sees
//! the pointer follows it, so the mapping must be visible to it first: the `Release` store and the `Acquire`
//! load that sees its value make that so. With `Relaxed` a reader could call into code whose relocations it
//! does not see yet.
//!
//! Null needs no ordering, since the base's body was there before any thread was. Nothing orders the stores of
//! *two* slots against each other for a reader: a thread may see the new body of one hot function and, for a
//! moment, the old body of another. Both are code that stays mapped, because no patch is ever unloaded.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Where the calls of one hot function go. Only expansions of `#[hot]` make one.
#[derive(Debug)]
#[repr(transparent)]
pub struct Slot {
    current: AtomicPtr<()>,
}

impl Slot {
    /// A slot that leads to the body compiled into the base.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a slot is a static, which `Default` cannot initialise"
    )]
    pub const fn new() -> Self {
        Slot {
            current: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// The function to call instead of the base's body, or `None` if that body is the current one.
    ///
    /// # Contract
    ///
    /// 1. Only the expansion of `#[hot]` calls this, on the slot declared in the very function it expands.
    /// 2. `F` is the type of a pointer to a function with that function's signature, safety and ABI.
    ///
    /// This would be an `unsafe fn` if `#[hot]` did not have to work in crates that forbid `unsafe`. It is
    /// reachable only through a module that is hidden and stamped with a version.
    #[inline(always)]
    pub fn get<F: Copy>(&self) -> Option<F> {
        const {
            assert!(
                size_of::<F>() == size_of::<*mut ()>(),
                "a slot holds a function pointer"
            )
        };
        // Acquire: see "Orderings" above.
        let current = self.current.load(Ordering::Acquire);
        if current.is_null() {
            return None;
        }
        // SAFETY: `F` has the size of a pointer, and by duty 2 it is a function pointer; a value other than null
        // was put here by `apply::publish`, which took it from a patch made for this function's slot.
        Some(unsafe { std::mem::transmute_copy::<*mut (), F>(&current) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::AtomicU64;

    static STATE: AtomicU64 = AtomicU64::new(0);

    fn double(n: u64) -> u64 {
        n * 2
    }

    fn read_state(n: u64) -> u64 {
        n + STATE.load(Ordering::Relaxed)
    }

    #[test]
    fn a_slot_is_a_pointer_and_begins_at_the_base() {
        assert_eq!(size_of::<Slot>(), 8);
        assert_eq!(align_of::<Slot>(), 8);
        let slot = Slot::new();
        assert!(slot.get::<fn(u64) -> u64>().is_none());
        assert!(slot.current.into_inner().is_null());
    }

    #[test]
    fn a_slot_leads_to_what_was_stored() {
        let slot = Slot::new();
        slot.current
            .store(double as fn(u64) -> u64 as *mut (), Ordering::Release);
        assert_eq!(slot.get::<fn(u64) -> u64>().map(|f| f(21)), Some(42));
        slot.current.store(ptr::null_mut(), Ordering::Release);
        assert!(slot.get::<fn(u64) -> u64>().is_none());
    }

    #[test]
    fn who_sees_the_pointer_sees_what_was_written_before_it() {
        const READERS: usize = 4;
        let slot = Slot::new();
        let start = Barrier::new(READERS + 1);
        std::thread::scope(|scope| {
            for _ in 0..READERS {
                scope.spawn(|| {
                    start.wait();
                    loop {
                        if let Some(f) = slot.get::<fn(u64) -> u64>() {
                            assert_eq!(f(1), 1001);
                            break;
                        }
                        std::hint::spin_loop();
                    }
                });
            }
            start.wait();
            STATE.store(1000, Ordering::Relaxed);
            slot.current
                .store(read_state as fn(u64) -> u64 as *mut (), Ordering::Release);
        });
    }
}
