//! Makes std's backtraces know libraries that were loaded after the first of them.
//!
//! std lists the loaded libraries once, in a `static mut Option` that it reads and writes under its backtrace lock
//! alone, and frames in a library that came later have no name and no place. Back at `None`, as the program's file
//! has it, the list is made anew at the next backtrace.
//!
//! The old list is leaked and not dropped, because its type cannot be named here: the names of libraries and what
//! std parsed of their debug information. Where anything is not as expected, all stays as it is.

use std::ptr;
use std::sync::{Mutex, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Refusal;
use crate::image::Image;
use crate::wire::LibraryList;

/// How long a backtrace that is being taken is waited for. Its reader may have stopped reading.
const LOCK_LIMIT: Duration = Duration::from_millis(200);
const POLL: Duration = Duration::from_millis(1);

/// Puts the list back to `None`.
pub fn relist(image: &Image, list: &LibraryList) -> Result<(), Refusal> {
    if usize::try_from(list.lock_size) != Ok(size_of::<Mutex<()>>()) {
        return Err(Refusal::NotALibraryList);
    }
    let lock = image
        .writable(list.lock, size_of::<Mutex<()>>(), align_of::<Mutex<()>>())
        .ok_or(Refusal::NotALibraryList)?
        .cast::<Mutex<()>>();
    let target = image
        .writable(list.list, list.empty.len(), align_of::<usize>())
        .ok_or(Refusal::NotALibraryList)?;
    // SAFETY: `Image::writable` vouches for aligned memory of this program, mapped for good. By the tool's word it is
    // std's own `Mutex<()>`, which was initialised before the program started and is only ever shared; this
    // crate is compiled against the same std, so it means the same by the type.
    let lock = unsafe { &*lock };
    let deadline = Instant::now() + LOCK_LIMIT;
    let guard = loop {
        match lock.try_lock() {
            Ok(guard) => break guard,
            // std does not mind either.
            Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(Refusal::BacktraceGoesOn);
            }
            Err(TryLockError::WouldBlock) => thread::sleep(POLL),
        }
    };
    // SAFETY: `Image::writable` vouches for memory of this size, which `list.empty` does not overlap. By the tool's
    // word it is std's list, which nobody else touches while we hold the lock, and the bytes are those of `None`,
    // which is a value of its type and holds no pointer that the loader would have had to relocate.
    unsafe { ptr::copy_nonoverlapping(list.empty.as_ptr(), target, list.empty.len()) };
    drop(guard);
    Ok(())
}
