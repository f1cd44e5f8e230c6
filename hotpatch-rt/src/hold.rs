//! Stops the program before its `main`, so that the tool can bring newer code first.
//!
//! Nothing of the program has run then but its constructors. It goes on when the tool says so, with other arguments if
//! the tool has some, and ends without a word when the tool is gone.

use std::ffi::{CString, OsString, c_char, c_int};
use std::os::unix::ffi::OsStringExt;
use std::process;
use std::ptr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a program waits for somebody who could release it, if nobody ever comes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where the main thread stands.
#[derive(Debug, PartialEq, Eq)]
enum Gate {
    /// It is in `main`, or on its way there.
    Open,
    /// It waits; whether somebody has come who can release it.
    Closed { is_met: bool },
    /// It is told to go, with these arguments behind the program's name, as soon as whoever said so has the answer.
    Unlocked(Option<Vec<CString>>),
    /// It may go.
    Opening(Option<Vec<CString>>),
}

static GATE: Mutex<Gate> = Mutex::new(Gate::Open);
static MOVED: Condvar = Condvar::new();

fn gate() -> MutexGuard<'static, Gate> {
    GATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on the main thread is to wait. Call it before the agent can be asked for anything.
pub fn close() {
    *gate() = Gate::Closed { is_met: false };
}

/// There is nobody who would open it.
pub fn give_up() {
    *gate() = Gate::Open;
}

/// Whether the main thread is in `main`, or on its way there.
pub fn is_open() -> bool {
    matches!(*gate(), Gate::Open | Gate::Opening(_))
}

/// Somebody is there who can release the program.
pub fn meet() {
    if let Gate::Closed { is_met } = &mut *gate() {
        *is_met = true;
        MOVED.notify_all();
    }
}

/// Whoever could release it is gone. Then nobody waits for what the program would do.
pub fn part() {
    if matches!(*gate(), Gate::Closed { .. }) {
        process::exit(0);
    }
}

/// Has the main thread go on at the next [`open`]. `false`: it does not wait, or an argument has a zero in it.
///
/// These are two steps because a program may end before an answer that is written after it went.
pub fn unlock(args: Option<Vec<OsString>>) -> bool {
    let args = args.map(|args| {
        let args = args.into_iter();
        args.map(|arg| CString::new(arg.into_vec())).collect()
    });
    let Ok(args) = args.transpose() else {
        return false;
    };
    let mut gate = gate();
    let is_closed = matches!(*gate, Gate::Closed { .. });
    if is_closed {
        *gate = Gate::Unlocked(args);
    }
    is_closed
}

/// Lets the main thread go on, if [`unlock`] has said so.
pub fn open() {
    let mut gate = gate();
    if let Gate::Unlocked(args) = &mut *gate {
        *gate = Gate::Opening(args.take());
        MOVED.notify_all();
    }
}

/// Waits until the program may go on. Gives back the arguments that it gets, if they are others.
fn wait() -> Option<Vec<CString>> {
    let mut gate = gate();
    loop {
        match &*gate {
            Gate::Open => return None,
            Gate::Opening(_) => {
                return match std::mem::replace(&mut *gate, Gate::Open) {
                    Gate::Opening(args) => args,
                    Gate::Open | Gate::Closed { .. } | Gate::Unlocked(_) => None,
                };
            }
            Gate::Closed { is_met: true } | Gate::Unlocked(_) => {
                gate = MOVED.wait(gate).unwrap_or_else(PoisonError::into_inner);
            }
            Gate::Closed { is_met: false } => {
                let (now, waited) = MOVED
                    .wait_timeout(gate, PATIENCE)
                    .unwrap_or_else(PoisonError::into_inner);
                if waited.timed_out() && *now == (Gate::Closed { is_met: false }) {
                    process::exit(0);
                }
                gate = now;
            }
        }
    }
}

/// Waits until the program may go on, and gives it its arguments.
///
/// # Safety
/// `count` and `args` are those of `main`: `args` leads to an array of `count` texts and a null.
pub unsafe fn wait_with(count: *mut c_int, args: *mut *const *const c_char) {
    let Some(others) = wait() else {
        return;
    };
    // SAFETY: the caller's promise.
    let has_name = unsafe { *count } > 0;
    let name = has_name.then(|| {
        // SAFETY: as above.
        let first = unsafe { *args };
        // SAFETY: there is at least one.
        unsafe { *first }
    });
    // The program may read them until it ends.
    let others = others.into_iter().map(|arg| arg.into_raw().cast_const());
    let mut all: Vec<*const c_char> = name.into_iter().chain(others).collect();
    let length = c_int::try_from(all.len()).unwrap_or(c_int::MAX);
    all.push(ptr::null());
    // SAFETY: it is a variable of the caller's frame.
    unsafe { *count = length };
    // SAFETY: so is this, and what it gets stays for the life of the process.
    unsafe { *args = all.leak().as_ptr() };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_other_arguments_when_it_is_released_and_only_once() {
        assert!(!unlock(None), "nobody waits");
        close();
        meet();
        assert!(!unlock(Some(vec![OsString::from("a\0b")])));
        let others = ["--exact", ""].map(OsString::from);
        assert!(unlock(Some(others.to_vec())));
        assert!(!unlock(None), "it is on its way");
        open();
        let first = [c"app".as_ptr(), c"old".as_ptr(), ptr::null()];
        let (mut count, mut args) = (2, first.as_ptr());
        // SAFETY: as `main` has them.
        unsafe { wait_with(&raw mut count, &raw mut args) };
        // SAFETY: as many as were given.
        let now = unsafe { std::slice::from_raw_parts(args, 4) };
        // SAFETY: three texts and a null.
        let texts = now[..3]
            .iter()
            .map(|arg| unsafe { std::ffi::CStr::from_ptr(*arg) });
        assert_eq!(count, 3);
        assert_eq!(texts.collect::<Vec<_>>(), [c"app", c"--exact", c""]);
        assert!(now[3].is_null());

        close();
        assert!(unlock(None));
        open();
        // SAFETY: as above.
        unsafe { wait_with(&raw mut count, &raw mut args) };
        assert_eq!(count, 3);
    }
}
