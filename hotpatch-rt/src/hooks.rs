//! The agent's side of `keep` and of what hears of patches: finds what the program's crates put into the sections, and calls
//! it.
//!
//! A program without either has no hooks, and everything here does nothing.

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::hook::{Entry, Hook, Saved, VERSION};
use crate::watch::{self, Watch};

/// Room for values that are nested deeply, in bytes; only what is used becomes memory.
const STACK: usize = 64 << 20;

/// A hook of no version, so that the section is there in every program.
static NONE: Hook = Hook {
    version: 0,
    begin: |_| {},
    save: |_, _, _| (Vec::new(), Vec::new()),
    thaw: |_| {},
};

#[used]
#[unsafe(link_section = "hotpatch_keep")]
static ENTRY: Entry = Entry(&NONE);

unsafe extern "C" {
    // The linker makes these for a section whose name could be one of C.
    #[link_name = "__start_hotpatch_keep"]
    static START: [usize; 0];
    #[link_name = "__stop_hotpatch_keep"]
    static STOP: [usize; 0];
}

/// What the linker has put side by side between these two places.
///
/// # Safety
/// From the one to the other there is one `T` beside the other, each a static.
unsafe fn entries<T: 'static>(
    start: *const [usize; 0],
    stop: *const [usize; 0],
) -> impl Iterator<Item = &'static T> {
    let (mut at, stop) = (start.cast::<T>(), stop.cast::<T>());
    std::iter::from_fn(move || {
        if at >= stop {
            return None;
        }
        // SAFETY: the caller's promise.
        let entry = unsafe { &*at };
        at = at.wrapping_add(1);
        Some(entry)
    })
}

/// The hooks in the program.
fn hooks() -> impl Iterator<Item = &'static Hook> {
    // Named, so that the part of this crate that holds it is linked.
    std::hint::black_box(&ENTRY);
    // SAFETY: nothing but `Entry`s goes into the section.
    let entries = unsafe { entries::<Entry>(&raw const START, &raw const STOP) };
    let hooks = entries.map(|entry| entry.0);
    hooks.filter(|hook| hook.version == VERSION)
}

/// The same of those who hear of patches.
static DEAF: Watch = Watch {
    version: 0,
    begin: |_| {},
    patched: |_, _, _| {},
    publish: |patch| {
        patch();
        true
    },
};

#[used]
#[unsafe(link_section = "hotpatch_watch")]
static WATCH_ENTRY: watch::Entry = watch::Entry(&DEAF);

unsafe extern "C" {
    #[link_name = "__start_hotpatch_watch"]
    static WATCH_START: [usize; 0];
    #[link_name = "__stop_hotpatch_watch"]
    static WATCH_STOP: [usize; 0];
}

/// Those in the program who hear of patches.
fn watches() -> impl Iterator<Item = &'static Watch> {
    std::hint::black_box(&WATCH_ENTRY);
    // SAFETY: nothing but `watch::Entry`s goes into the section.
    let entries = unsafe { entries::<watch::Entry>(&raw const WATCH_START, &raw const WATCH_STOP) };
    let watches = entries.map(|entry| entry.0);
    watches.filter(|watch| watch.version == watch::VERSION)
}

/// Tells the program's crates that it runs under the tool, and where they meet.
pub fn begin(folder: &Path) {
    hooks().for_each(|hook| (hook.begin)(folder));
    watches().for_each(|watch| (watch.begin)(folder));
}

/// A generation is live.
pub fn patched(generation: u32, functions: &[String], restarted: bool) {
    watches().for_each(|watch| (watch.patched)(generation, functions, restarted));
}

/// Calls this where the program lets patches go live. `false`: it did not come there in time.
pub fn publish(patch: &mut dyn FnMut()) -> bool {
    publish_through(&mut watches(), patch)
}

/// Where several say where, one inside the other.
fn publish_through(
    watches: &mut dyn Iterator<Item = &'static Watch>,
    patch: &mut dyn FnMut(),
) -> bool {
    let Some(watch) = watches.next() else {
        patch();
        return true;
    };
    let mut is_published = true;
    let is_there = (watch.publish)(&mut || is_published = publish_through(watches, patch));
    is_there && is_published
}

/// Saves everything into `folder`, see [`Hook::save`].
pub fn save(folder: &Path, wait: Duration, insist: bool) -> io::Result<Saved> {
    let hooks: Vec<&Hook> = hooks().collect();
    let all = || {
        let mut all: Saved = Saved::default();
        for hook in &hooks {
            let (kept, failed) = (hook.save)(folder, wait, insist);
            all.0.extend(kept);
            all.1.extend(failed);
        }
        all
    };
    thread::scope(|scope| {
        let saver = thread::Builder::new()
            .name("hotpatch-save".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, all)?;
        saver
            .join()
            .map_err(|_| io::Error::other("saving what is kept has panicked"))
    })
}

/// Lets guards be taken again, see [`Hook::thaw`].
pub fn thaw(save_at_the_end: bool) {
    hooks().for_each(|hook| (hook.thaw)(save_at_the_end));
}
