//! The running program as `cargo hotpatch` sees it, from inside: its functions and variables, and when it was patched.
//!
//! Without the tool there is nothing to see and nothing happens: lists are empty, the generation is 0, and a hook is never
//! called.

mod checkpoint;
#[cfg(target_os = "linux")]
mod service;

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

pub use self::checkpoint::checkpoint;

/// A function that can be replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Function {
    /// Its path, with its crate.
    pub path: String,
    /// The file it is written in.
    pub file: Option<String>,
    /// The line there, from 1.
    pub line: Option<u32>,
    /// What it takes and returns, as `fn(u32, &str) -> bool`.
    pub signature: Option<String>,
    /// The generation of its code; 0 for what the program began with.
    pub generation: u32,
    /// How often it was patched in this process.
    pub patches: u32,
    /// Whether it was called since the last of them; `None` if that is not known.
    pub called: Option<bool>,
}

/// A static of the workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variable {
    /// Its path, with its crate.
    pub path: String,
    /// Its type.
    pub ty: String,
    /// The file it is written in.
    pub file: Option<String>,
    /// The line there, from 1.
    pub line: Option<u32>,
    /// Its value, as Rust would write it; `None` if it has none yet, or none that can be told.
    pub value: Option<String>,
    /// Why it cannot be set; `None` if it can.
    pub cannot_be_set: Option<String>,
}

/// What has become live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The generation that runs.
    pub generation: u32,
    /// Paths of the functions that have other code now; the first ones, where there are thousands.
    pub functions: Vec<String>,
    /// This process was started in the place of another one in the same session.
    pub restarted: bool,
}

/// Set by the agent's thread, for whoever wants to know: nothing else is ordered by it, so `Relaxed`.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// The generation of the code that runs: 0 as long as nothing was patched.
#[must_use]
pub fn generation() -> u32 {
    #[cfg(target_os = "linux")]
    service::link();
    GENERATION.load(Ordering::Relaxed)
}

/// All functions of the workspace that can be replaced, by path.
///
/// The tool is asked, which answers when it has nothing else to do: during a compile that takes as long.
#[must_use]
pub fn functions() -> Vec<Function> {
    functions_in("")
}

/// Those of them whose paths contain `text`; the others are not listed in between.
#[must_use]
pub fn functions_in(text: &str) -> Vec<Function> {
    let number = |text: &String| text.parse().ok();
    let function = |fields: Vec<String>| {
        let mut fields = fields.into_iter();
        let mut next = || fields.next().filter(|field| !field.is_empty());
        Function {
            path: next().unwrap_or_default(),
            file: next(),
            line: next().as_ref().and_then(number),
            signature: next(),
            generation: next().as_ref().and_then(number).unwrap_or_default(),
            patches: next().as_ref().and_then(number).unwrap_or_default(),
            called: next().map(|called| called == "true"),
        }
    };
    let answer = ask(&["functions", text]).unwrap_or_default();
    answer.into_iter().map(function).collect()
}

/// All statics of the workspace with their values, by path.
#[must_use]
pub fn variables() -> Vec<Variable> {
    variables_in("")
}

/// Those of them whose paths contain `text`.
#[must_use]
pub fn variables_in(text: &str) -> Vec<Variable> {
    let variable = |fields: Vec<String>| {
        let mut fields = fields.into_iter();
        let mut next = || fields.next().filter(|field| !field.is_empty());
        Variable {
            path: next().unwrap_or_default(),
            ty: next().unwrap_or_default(),
            file: next(),
            line: next().and_then(|line| line.parse().ok()),
            value: next(),
            cannot_be_set: next(),
        }
    };
    let answer = ask(&["variables", text]).unwrap_or_default();
    answer.into_iter().map(variable).collect()
}

/// Why a variable was not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotSet(String);

impl fmt::Display for NotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotSet {}

/// Gives the static with this path, or the only one whose path ends so, another value, written as in Rust.
///
/// What can be set: atomics; `Mutex`, `RwLock` and an empty `OnceLock` of a number, a `bool`, a `char`, a `&'static str` or
/// a `String`, each through its own lock; and a `static mut` of a number, a `bool` or a `char`.
///
/// # Errors
/// There is no such variable, it cannot be set, the text is no value of it, its lock is held, or the program does not
/// run under `cargo hotpatch`.
pub fn set(path: &str, value: &str) -> Result<(), NotSet> {
    let mut answer = ask(&["set", path, value])
        .map_err(NotSet)?
        .into_iter()
        .flatten();
    match answer.next() {
        Some(why) => Err(NotSet(why)),
        None => Ok(()),
    }
}

/// What the tool answers: lists of fields.
fn ask(words: &[&str]) -> Result<Vec<Vec<String>>, String> {
    #[cfg(target_os = "linux")]
    return service::ask(words);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = words;
        Err("`cargo hotpatch` knows Linux alone".to_owned())
    }
}

type Hook = Arc<Mutex<dyn FnMut(&Report) + Send>>;

/// What is to be called, by number.
static HOOKS: Mutex<Vec<(u64, Hook)>> = Mutex::new(Vec::new());

/// Each hook has a number of its own; nothing else is ordered by this, so `Relaxed`.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// To the thread that calls hooks.
static REPORTS: Mutex<Option<Sender<Report>>> = Mutex::new(None);

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing here is left half done by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As long as it lives, its hook is called; see [`on_patch`].
#[derive(Debug)]
#[must_use = "a hook is taken out when this is dropped"]
pub struct OnPatch(u64);

impl OnPatch {
    /// Leaves the hook for the rest of the process.
    pub fn forever(self) {
        std::mem::forget(self);
    }
}

impl Drop for OnPatch {
    fn drop(&mut self) {
        lock(&HOOKS).retain(|(number, _)| *number != self.0);
    }
}

/// Calls `hook` after each patch, on a thread that does nothing else: for programs that keep what was made by code which is
/// older now, such as routers, schedules and windows.
///
/// Reports come one after the other. A hook that panics is called again at the next patch; a slow one holds up nobody but
/// other hooks. Under plain `cargo run` it is never called.
///
/// ```
/// # #[cfg(not(feature = "live"))]
/// let _hook = hotpatch_rt::on_patch(|report| {
///     println!("{:?} changed", report.functions);
/// });
/// ```
pub fn on_patch(hook: impl FnMut(&Report) + Send + 'static) -> OnPatch {
    #[cfg(target_os = "linux")]
    service::link();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    lock(&HOOKS).push((number, Arc::new(Mutex::new(hook))));
    OnPatch(number)
}

/// Tells all hooks, later and elsewhere.
fn report(report: Report) {
    GENERATION.store(report.generation, Ordering::Relaxed);
    let mut reports = lock(&REPORTS);
    if reports.is_none() && !lock(&HOOKS).is_empty() {
        let (sender, inbox) = channel::<Report>();
        let thread = thread::Builder::new().name("hotpatch-hooks".to_owned());
        let spawned = thread.spawn(move || inbox.iter().for_each(|report| call_all(&report)));
        *reports = spawned.ok().map(|_| sender);
    }
    if let Some(reports) = &*reports {
        let _ = reports.send(report);
    }
}

fn call_all(report: &Report) {
    let hooks: Vec<Hook> = lock(&HOOKS).iter().map(|(_, hook)| hook.clone()).collect();
    for hook in hooks {
        // Its panic was said by the program's own panic hook.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| (lock(&hook))(report)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_tool_there_is_nothing_to_see() {
        assert!(functions().is_empty() && variables().is_empty());
        assert!(set("LIMIT", "1").is_err());
    }

    #[test]
    fn hooks_hear_of_patches_until_they_are_taken_out() {
        assert_eq!(generation(), 0);
        let (said, heard) = channel();
        let also = said.clone();
        let panicking = on_patch(move |report| {
            also.send(("panicking", report.generation)).unwrap();
            panic!("a hook's own fault");
        });
        let other = on_patch(move |report| said.send(("other", report.generation)).unwrap());
        let of = |generation| Report {
            generation,
            ..Report::default()
        };
        report(of(1));
        assert_eq!(heard.recv(), Ok(("panicking", 1)));
        assert_eq!(heard.recv(), Ok(("other", 1)));
        report(of(2));
        assert_eq!(heard.recv(), Ok(("panicking", 2)));
        assert_eq!(heard.recv(), Ok(("other", 2)));
        assert_eq!(GENERATION.load(Ordering::Relaxed), 2);
        drop(panicking);
        report(of(3));
        assert_eq!(heard.recv(), Ok(("other", 3)));
        drop(other);
        GENERATION.store(0, Ordering::Relaxed);
    }
}
