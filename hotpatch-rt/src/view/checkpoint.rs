//! Moments at which the program lets patches go live, all slots of one together.
//!
//! # Orderings
//!
//! [`WAITS`] is a hint that is looked at with one `Relaxed` load: who reads an older value goes on for one round more. All that
//! follows is ordered by the lock of [`STATE`]; the slots themselves are written by the agent while a thread of the program
//! waits under that lock, so that this one sees all of them, or none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whether a call has something to do: before the first one, and while a patch waits.
static WAITS: AtomicBool = AtomicBool::new(true);

static STATE: Mutex<State> = Mutex::new(State {
    in_use: false,
    patch_waits: false,
    is_there: false,
});

static CHANGED: Condvar = Condvar::new();

struct State {
    /// The program has checkpoints.
    in_use: bool,
    /// The agent waits for one.
    patch_waits: bool,
    /// A thread is at one, and waits for the agent.
    is_there: bool,
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets a patch that waits go live: call it where nothing is half done, such as once a frame, a turn or a request.
///
/// Once a program has called this, each patch waits for the next call, from whichever thread it comes, and all of its
/// functions are replaced there. Where no call comes within some seconds, the patch is refused as HP0207. One for which types
/// or signatures differ does not wait, and a program that never calls this is patched at any time. Costs one load where
/// nothing waits.
#[inline]
pub fn checkpoint() {
    if WAITS.load(Ordering::Relaxed) {
        arrive();
    }
}

#[cold]
fn arrive() {
    #[cfg(target_os = "linux")]
    super::service::link();
    let mut state = state();
    state.in_use = true;
    if !state.patch_waits {
        WAITS.store(false, Ordering::Relaxed);
        return;
    }
    state.is_there = true;
    CHANGED.notify_all();
    while state.is_there && state.patch_waits {
        state = CHANGED.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Publishes at the next checkpoint, or at once in a program that has none. Gives back whether one came in time.
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "the tool knows Linux alone")
)]
pub(super) fn publish(patch: &mut dyn FnMut(), limit: Duration) -> bool {
    let mut state = state();
    if !state.in_use {
        drop(state);
        patch();
        return true;
    }
    state.patch_waits = true;
    WAITS.store(true, Ordering::Relaxed);
    let waited = CHANGED.wait_timeout_while(state, limit, |state| !state.is_there);
    let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
    let is_there = state.is_there;
    if is_there {
        patch();
    }
    state.patch_waits = false;
    state.is_there = false;
    WAITS.store(false, Ordering::Relaxed);
    drop(state);
    CHANGED.notify_all();
    is_there
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;
    use std::thread;

    #[test]
    fn a_patch_goes_live_at_a_checkpoint_or_not_at_all() {
        // Each half of a frame has to see the same of both.
        static SLOTS: [AtomicU32; 2] = [AtomicU32::new(0), AtomicU32::new(0)];
        static ENDS: AtomicBool = AtomicBool::new(false);
        let mut patch = || {
            SLOTS.iter().for_each(|slot| {
                slot.fetch_add(1, Ordering::SeqCst);
            });
        };
        checkpoint();
        // Nobody comes.
        assert!(!publish(&mut patch, Duration::from_millis(20)));
        assert_eq!(SLOTS[0].load(Ordering::SeqCst), 0);
        let program = thread::spawn(|| {
            while !ENDS.load(Ordering::SeqCst) {
                checkpoint();
                let first = SLOTS[0].load(Ordering::SeqCst);
                thread::yield_now();
                assert_eq!(first, SLOTS[1].load(Ordering::SeqCst));
            }
        });
        for _ in 0..200 {
            assert!(publish(&mut patch, Duration::from_secs(60)));
        }
        ENDS.store(true, Ordering::SeqCst);
        program.join().unwrap();
        assert_eq!(SLOTS[1].load(Ordering::SeqCst), 200);
        state().in_use = false;
    }
}
