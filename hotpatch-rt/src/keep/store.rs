//! All kept values by name, and what was kept before.
//!
//! Values come into being one by one, each name once, and stay for the life of the process. What an earlier process
//! kept and nobody has asked for yet is saved again with the rest, so that it is not lost to code that runs later.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};

use super::snapshot::{self, Values};
use crate::news::{self, News};

/// The file of this version of the crate: two in one program keep apart.
pub const FILE: &str = env!("CARGO_PKG_VERSION");

/// A value of any type.
pub trait Kept: Send + Sync {
    /// The name of its type.
    fn type_name(&self) -> &'static str;
    /// Itself.
    fn any(&'static self) -> &'static dyn Any;
    /// Its bytes, or why there are none.
    fn save(&self) -> Result<Vec<u8>, String>;
    /// Who holds it, as the reason of a failure.
    fn held(&self) -> String;
    /// Whether somebody holds it.
    fn is_held(&self) -> bool;
}

#[derive(Clone, Copy)]
enum Slot {
    /// This thread is making it.
    InTheMaking(ThreadId),
    Made(&'static dyn Kept),
}

static SLOTS: Mutex<BTreeMap<&'static str, Slot>> = Mutex::new(BTreeMap::new());
static MADE: Condvar = Condvar::new();

/// The folder where tool and program meet; unset outside the tool.
pub static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// What was kept before and not asked for yet; `None` before the file was read.
static BEFORE: Mutex<Option<Values>> = Mutex::new(None);

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives what is kept under `name`, made by `make` if it is the first time.
#[track_caller]
pub fn find(name: &'static str, make: impl FnOnce() -> &'static dyn Kept) -> &'static dyn Kept {
    let mut slots = lock(&SLOTS);
    loop {
        match slots.get(name) {
            Some(Slot::Made(kept)) => return *kept,
            Some(Slot::InTheMaking(thread)) if *thread == thread::current().id() => {
                panic!("`{name}` is asked for by what makes it");
            }
            Some(Slot::InTheMaking(_)) => {
                slots = MADE.wait(slots).unwrap_or_else(PoisonError::into_inner);
            }
            None => break,
        }
    }
    slots.insert(name, Slot::InTheMaking(thread::current().id()));
    drop(slots);
    let making = Making { name };
    let kept = make();
    lock(&SLOTS).insert(name, Slot::Made(kept));
    // Not before: a save in between takes the old bytes.
    if let Some(before) = &mut *lock(&BEFORE) {
        before.remove(name);
    }
    drop(making);
    kept
}

/// Makes way for others, also when what makes the value panics.
struct Making {
    name: &'static str,
}

impl Drop for Making {
    fn drop(&mut self) {
        let mut slots = lock(&SLOTS);
        if let Some(Slot::InTheMaking(_)) = slots.get(self.name) {
            slots.remove(self.name);
        }
        MADE.notify_all();
    }
}

/// What an earlier process kept under this name.
pub fn before(name: &str) -> Option<Vec<u8>> {
    let folder = FOLDER.get()?;
    let mut before = lock(&BEFORE);
    before
        .get_or_insert_with(|| read(folder))
        .get(name)
        .cloned()
}

fn read(folder: &Path) -> Values {
    snapshot::read(&folder.join(news::KEPT).join(FILE)).unwrap_or_else(|error| {
        dropped("", format!("the file cannot be read: {error}"));
        Values::new()
    })
}

/// Tells that a value was dropped; an empty name means all.
pub fn dropped(name: &str, why: String) {
    let news = News::Dropped {
        name: name.to_owned(),
        why,
    };
    #[cfg(target_os = "linux")]
    super::service::tell(&news);
    #[cfg(not(target_os = "linux"))]
    unreachable!("nothing was kept: {news:?}");
}

/// All values that were made.
pub fn all() -> Vec<(&'static str, &'static dyn Kept)> {
    let slots = lock(&SLOTS);
    let made = slots.iter().filter_map(|(name, slot)| match slot {
        Slot::Made(kept) => Some((*name, *kept)),
        Slot::InTheMaking(_) => None,
    });
    made.collect()
}

/// What was kept before and nobody has asked for yet.
pub fn unclaimed() -> Values {
    match FOLDER.get() {
        Some(folder) => lock(&BEFORE).get_or_insert_with(|| read(folder)).clone(),
        None => Values::new(),
    }
}
