//! What `#[hot]` puts in front of the body of a function in an optimised crate, so that its callers are compiled without
//! any knowledge of the body.
//!
//! # Orderings
//!
//! There is one atomic, [`Slot::elsewhere`]. Nobody ever writes it, so there is nothing to order: `Relaxed`. It only has
//! to be something that the compiler cannot see through, and a static that others may write, in a section that the linker
//! must keep, is that.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A way around a body that is never taken. Only expansions of `#[hot]` make one.
#[derive(Debug)]
#[repr(transparent)]
pub struct Slot {
    elsewhere: AtomicPtr<()>,
}

impl Slot {
    /// Leads nowhere.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a slot is a static, which `Default` cannot initialise"
    )]
    pub const fn new() -> Self {
        Slot {
            elsewhere: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// The function to call instead of the body: always `None`, which the compiler does not know.
    ///
    /// # Contract
    ///
    /// `F` is the type of a pointer to a function. This would be an `unsafe fn` if `#[hot]` did not have to work in crates
    /// that forbid `unsafe`. It is reachable only through a module that is hidden and stamped with a version.
    #[inline(always)]
    pub fn get<F: Copy>(&self) -> Option<F> {
        const {
            assert!(
                size_of::<F>() == size_of::<*mut ()>(),
                "a slot holds a function pointer"
            )
        };
        // Relaxed: see "Orderings" above.
        let elsewhere = self.elsewhere.load(Ordering::Relaxed);
        if elsewhere.is_null() {
            return None;
        }
        // SAFETY: `F` has the size of a pointer, and is one to a function by contract. No other value than null is ever
        // in a slot, so that this is not reached.
        Some(unsafe { std::mem::transmute_copy::<*mut (), F>(&elsewhere) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_a_pointer_that_leads_nowhere() {
        assert_eq!(size_of::<Slot>(), 8);
        let slot = Slot::new();
        assert!(slot.get::<fn(u64) -> u64>().is_none());
        assert!(slot.elsewhere.into_inner().is_null());
    }
}
