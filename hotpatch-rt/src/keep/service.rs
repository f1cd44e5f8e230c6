//! What the agent asks of kept values: to be saved when the tool restarts the program.
//!
//! The tool knows Linux alone; elsewhere values are kept by nobody, and nothing here is compiled.

use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::gate;
use super::snapshot::{self, Values};
use super::store::{self, Kept, lock};
use crate::hook::{Entry, Hook, Saved, VERSION};
use crate::news::{self, News};

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

/// Where the values were saved last, to save them there once more.
static SAVED_TO: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Whether to save them once more when the program ends.
static AT_THE_END: AtomicBool = AtomicBool::new(false);

/// Tells the tool or, if it does not listen, whoever reads the errors.
pub fn tell(news: &News) {
    let told = store::FOLDER.get().is_some_and(|folder| {
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
    if store::FOLDER.set(folder.to_owned()).is_ok() {
        gate::guard();
        // SAFETY: the function is `extern "C"`, lives as long as the program, and does not unwind. Failing to register
        // it costs the second save alone.
        unsafe { atexit(save_at_the_end) };
    }
}

fn save(folder: &Path, wait: Duration, insist: bool) -> Saved {
    AT_THE_END.store(false, Ordering::SeqCst);
    let shut = gate::shut(wait);
    let all = store::all();
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
    let mut out = store::unclaimed();
    out.extend(values);
    let path = folder.join(store::FILE);
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
    let all = store::all();
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
