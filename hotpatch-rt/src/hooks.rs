//! The agent's side of `keep`: finds what the program's crates put into the section, and calls it.
//!
//! A program without `keep` has no hooks, and everything here does nothing.

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::hook::{Entry, Hook, Saved, VERSION};

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

/// The hooks in the program.
fn hooks() -> impl Iterator<Item = &'static Hook> {
    // Named, so that the part of this crate that holds it is linked.
    std::hint::black_box(&ENTRY);
    let mut at = (&raw const START).cast::<Entry>();
    let stop = (&raw const STOP).cast::<Entry>();
    std::iter::from_fn(move || {
        if at >= stop {
            return None;
        }
        // SAFETY: from the section's start to its end there is one `Entry` beside the other, each a static.
        let entry = unsafe { &*at };
        at = at.wrapping_add(1);
        Some(entry.0)
    })
    .filter(|hook| hook.version == VERSION)
}

/// Tells `keep` that the program runs under the tool, and where they meet.
pub fn begin(folder: &Path) {
    hooks().for_each(|hook| (hook.begin)(folder));
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
