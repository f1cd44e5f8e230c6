//! All kept values by name, what was kept before, and the agent's requests.
//!
//! Values come into being one by one, each name once, and stay for the life of the process. What an earlier process
//! kept and nobody has asked for yet is saved again with the rest, so that it is not lost to code that runs later.

use std::any::Any;
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::gate;
use super::snapshot::{self, Values};
use crate::hook::{Entry, Hook, Saved, VERSION};
use crate::news::{self, News};

/// The file of this version of the crate: two in one program keep apart.
const FILE: &str = env!("CARGO_PKG_VERSION");

/// How long the end of the program may wait for guards to be dropped.
const FAREWELL: Duration = Duration::from_secs(1);

static HOOK: Hook = Hook {
    version: VERSION,
    begin,
    save,
    thaw,
};

// In the program's own section, where the agent finds it: see hook.rs.
#[used]
#[unsafe(link_section = "hotpatch_keep")]
static ENTRY: Entry = Entry(&HOOK);

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
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// What was kept before and not asked for yet; `None` before the file was read.
static BEFORE: Mutex<Option<Values>> = Mutex::new(None);

/// Where the values were saved last, to save them there once more.
static SAVED_TO: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Whether to save them once more when the program ends.
static AT_THE_END: AtomicBool = AtomicBool::new(false);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
    tell(&News::Dropped {
        name: name.to_owned(),
        why,
    });
}

fn tell(news: &News) {
    let told = FOLDER.get().is_some_and(|folder| {
        let socket = UnixDatagram::unbound();
        let sent = socket.and_then(|it| it.send_to(&news.encode(), folder.join(news::SOCKET)));
        sent.is_ok()
    });
    if !told {
        let (News::Dropped { name, why } | News::Stale { name, why }) = news;
        // `eprintln!` panics where stderr is closed.
        let _ = writeln!(std::io::stderr(), "cargo-hotpatch: kept `{name}`: {why}");
    }
}

fn begin(folder: &Path) {
    if FOLDER.set(folder.to_owned()).is_ok() {
        gate::guard();
        // SAFETY: the function is `extern "C"`, lives as long as the program, and does not unwind. Failing to register
        // it costs the second save alone.
        unsafe { atexit(save_at_the_end) };
    }
}

fn save(folder: &Path, wait: Duration, insist: bool) -> Saved {
    AT_THE_END.store(false, Ordering::SeqCst);
    let shut = gate::shut(wait);
    let all = all();
    let held = || all.iter().filter(|(_, kept)| kept.is_held());
    if !shut && !insist {
        let mut failed: Vec<(String, String)> = held()
            .map(|(name, kept)| ((*name).to_owned(), kept.held()))
            .collect();
        if failed.is_empty() {
            failed.push((String::new(), "guards are still taken".to_owned()));
        }
        gate::open();
        return (Vec::new(), failed);
    }
    let (values, mut failed) = bytes_of(&all);
    let mut names: Vec<String> = values.keys().cloned().collect();
    if failed.is_empty() || insist {
        match write(folder, values) {
            Ok(()) => *lock(&SAVED_TO) = Some(folder.to_owned()),
            Err(error) => {
                failed.extend(names.drain(..).map(|name| (name, error.clone())));
            }
        }
    }
    if !failed.is_empty() && !insist {
        gate::open();
        names.clear();
    }
    (names, failed)
}

fn thaw(save_at_the_end: bool) {
    AT_THE_END.store(save_at_the_end, Ordering::SeqCst);
    gate::open();
}

fn all() -> Vec<(&'static str, &'static dyn Kept)> {
    let slots = lock(&SLOTS);
    let made = slots.iter().filter_map(|(name, slot)| match slot {
        Slot::Made(kept) => Some((*name, *kept)),
        Slot::InTheMaking(_) => None,
    });
    made.collect()
}

/// The bytes of those that have some, and why the others have none.
fn bytes_of(all: &[(&str, &dyn Kept)]) -> (Values, Vec<(String, String)>) {
    let mut values = Values::new();
    let mut failed = Vec::new();
    for (name, kept) in all {
        match kept.save() {
            Ok(bytes) => {
                values.insert((*name).to_owned(), bytes);
            }
            Err(why) => failed.push(((*name).to_owned(), why)),
        }
    }
    (values, failed)
}

fn write(folder: &Path, values: Values) -> Result<(), String> {
    // Nobody has asked for these yet.
    let mut out = match FOLDER.get() {
        Some(met) => lock(&BEFORE).get_or_insert_with(|| read(met)).clone(),
        None => Values::new(),
    };
    out.extend(values);
    let path = folder.join(FILE);
    snapshot::write(&path, &out)
        .map_err(|error| format!("failed to write `{}`: {error}", path.display()))
}

unsafe extern "C" {
    fn atexit(function: extern "C" fn()) -> std::ffi::c_int;
}

/// Saves once more: what the program did between the first save and its own end counts, too.
extern "C" fn save_at_the_end() {
    if !AT_THE_END.swap(false, Ordering::SeqCst) {
        return;
    }
    let Some(folder) = lock(&SAVED_TO).clone() else {
        return;
    };
    // Who ends the program with a guard in hand would wait for itself.
    let shut = gate::held_here() == 0 && gate::shut(FAREWELL);
    let all = all();
    let mut failed = Vec::new();
    if shut {
        let (values, not) = bytes_of(&all);
        failed = not;
        if failed.is_empty()
            && let Err(error) = write(&folder, values)
        {
            failed.push((String::new(), error));
        }
    } else {
        let held = all.iter().filter(|(_, kept)| kept.is_held());
        failed.extend(held.map(|(name, kept)| ((*name).to_owned(), kept.held())));
    }
    for (name, why) in failed {
        tell(&News::Stale { name, why });
    }
}
