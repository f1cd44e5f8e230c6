//! The gate in front of all guards: a point where no guard is held is one where the gate is shut and nobody is inside.
//!
//! A thread passes the gate with its first guard and leaves with its last, so a thread that holds one guard may
//! always take another: waiting for the threads inside cannot deadlock with locks taken in some order. Outside
//! the tool nobody shuts the gate, and passing it is left out.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whether the program runs under the tool. Set before `main`, while there is one thread, and never again.
static GUARDED: AtomicBool = AtomicBool::new(false);

static GATE: Gate = Gate {
    state: Mutex::new(State {
        inside: 0,
        shut: false,
    }),
    changed: Condvar::new(),
};

thread_local! {
    /// How many guards this thread holds.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Threads that hold a guard or are about to.
    inside: usize,
    shut: bool,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From now on the gate counts.
pub fn guard() {
    // Relaxed: see `GUARDED`, every other thread is made after this.
    GUARDED.store(true, Ordering::Relaxed);
}

/// Passes the gate, unless this thread has; waits while it is shut. Gives back whether to [`leave`].
pub fn enter() -> bool {
    if !GUARDED.load(Ordering::Relaxed) {
        return false;
    }
    let held = HELD.get();
    if held == 0 {
        let mut state = GATE.state();
        while state.shut {
            state = GATE
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.inside += 1;
    }
    HELD.set(held + 1);
    true
}

/// Takes back one [`enter`] that said so.
pub fn leave() {
    let held = HELD.get() - 1;
    HELD.set(held);
    if held == 0 {
        let mut state = GATE.state();
        state.inside -= 1;
        // Nobody waits for less, and waking nobody costs a system call.
        if state.shut && state.inside == 0 {
            GATE.changed.notify_all();
        }
    }
}

/// How many guards the calling thread holds.
pub fn held_here() -> usize {
    HELD.get()
}

/// Shuts the gate and waits until nobody is inside; `false` if somebody still is after `limit`. It stays shut.
pub fn shut(limit: Duration) -> bool {
    let mut state = GATE.state();
    state.shut = true;
    let waited = GATE
        .changed
        .wait_timeout_while(state, limit, |state| state.inside > 0);
    let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
    state.inside == 0
}

/// Opens the gate.
pub fn open() {
    GATE.state().shut = false;
    GATE.changed.notify_all();
}
