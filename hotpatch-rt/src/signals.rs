//! Blocks signals while the agent's thread is made.
//!
//! A thread inherits the mask of the one that makes it, so the agent never runs a handler of the program's, and
//! a signal for the process goes to a thread that the program knows. The caller's own mask is put back.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;

/// Runs `action` with every signal blocked on this thread, and restores the mask.
pub fn blocked<T>(action: impl FnOnce() -> T) -> T {
    let mut all = SignalSet::empty();
    // SAFETY: the set is ours and large enough.
    unsafe { sigfillset(all.as_mut_ptr()) };
    let mut before = SignalSet::empty();
    // SAFETY: both sets are ours, and the first one is initialised.
    let status = unsafe { pthread_sigmask(SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
    let result = action();
    if status == 0 {
        // SAFETY: `before` was filled by the call above.
        unsafe { pthread_sigmask(SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    }
    result
}

/// `sigset_t`, which is 128 bytes in glibc and in musl.
#[repr(C, align(8))]
struct SignalSet([u8; 128]);

impl SignalSet {
    fn empty() -> MaybeUninit<SignalSet> {
        MaybeUninit::zeroed()
    }
}

const SIG_SETMASK: c_int = 2;

unsafe extern "C" {
    fn sigfillset(set: *mut SignalSet) -> c_int;
    fn pthread_sigmask(how: c_int, set: *const SignalSet, before: *mut SignalSet) -> c_int;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask() -> String {
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("proc is mounted");
        let line = status.lines().find(|line| line.starts_with("SigBlk:"));
        line.expect("the kernel tells the mask").to_owned()
    }

    #[test]
    fn the_mask_is_full_inside_and_as_before_afterwards() {
        let before = mask();
        // SIGKILL, SIGSTOP and the C library's two own signals cannot be blocked.
        assert_eq!(blocked(mask), "SigBlk:\tfffffffe7ffbfeff");
        assert_eq!(mask(), before);
    }
}
