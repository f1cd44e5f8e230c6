//! A way to end tools that run, from another thread.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal};

/// Ends the tools that run under it, now and later; clones are the same token.
#[derive(Debug, Clone, Default)]
pub struct CancelToken {
    state: Arc<Mutex<CancelState>>,
}

#[derive(Debug, Default)]
struct CancelState {
    cancelled: bool,
    running: HashSet<Target>,
}

/// A started, not yet reaped process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub(super) pid: Pid,
    pub(super) group: bool,
}

impl Target {
    /// Fails only when the process has just ended by itself, which is as good.
    pub(super) fn end(self) {
        let _ = if self.group {
            rustix::process::kill_process_group(self.pid, Signal::KILL)
        } else {
            rustix::process::kill_process(self.pid, Signal::TERM)
        };
    }
}

impl CancelToken {
    /// A token nobody has cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Kills every tool that runs under this token; those started later do not run at all.
    pub fn cancel(&self) {
        let mut state = self.lock();
        state.cancelled = true;
        for target in &state.running {
            target.end();
        }
    }

    /// Whether [`CancelToken::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    pub(super) fn enter(&self, target: Target) {
        let mut state = self.lock();
        state.running.insert(target);
        if state.cancelled {
            target.end();
        }
    }

    pub(super) fn leave(&self, target: Target) {
        self.lock().running.remove(&target);
    }

    fn lock(&self) -> MutexGuard<'_, CancelState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
