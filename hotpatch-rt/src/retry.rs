//! `#[hot(retry)]`: a call that panics waits for other code, and is made again.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::env;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Once, OnceLock};
use std::thread;

use crate::ask;

/// Where tool and program meet.
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// The generation that runs, by the tool's last word. A hint, by which the tool tells whether other code has come since: nothing
/// is ordered by it, so `Relaxed`.
static GENERATION: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// How many calls of this thread would be made again.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Tool and program meet there.
pub fn begin(folder: &Path) {
    let _ = FOLDER.set(folder.to_owned());
}

/// This generation runs.
pub fn patched(generation: u32) {
    GENERATION.store(generation, Ordering::Relaxed);
}

/// Calls `call`, the type of which is called `name`, until it does not panic, each time once other code has come than that which panicked. A panic goes on where
/// somebody gives up, and where there is no tool.
///
/// What the arguments refer to is as the panic left it, as it is for whoever catches a panic.
#[inline(never)]
pub fn retry<R>(name: &str, call: &mut dyn FnMut() -> R) -> R {
    // It is a closure of the function that is meant.
    let function = name.strip_suffix("::{{closure}}").unwrap_or(name);
    show_backtraces();
    loop {
        let generation = GENERATION.load(Ordering::Relaxed);
        DEPTH.with(|depth| depth.set(depth.get() + 1));
        let result = panic::catch_unwind(AssertUnwindSafe(&mut *call));
        DEPTH.with(|depth| depth.set(depth.get() - 1));
        match result {
            Ok(result) => return result,
            Err(panic) if comes_again(function, generation) => forget(panic),
            Err(panic) => panic::resume_unwind(panic),
        }
    }
}

/// What a panic carries may itself panic when it is dropped, for which nobody would be to blame.
fn forget(panic: Box<dyn Any + Send>) {
    let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(panic)));
}

/// Waits until there is other code than that of `generation`. `false`: nobody expects any.
fn comes_again(function: &str, generation: u32) -> bool {
    let Some(folder) = FOLDER.get() else {
        return false;
    };
    let thread = thread::current();
    let words = [
        "retry".to_owned(),
        function.to_owned(),
        thread.name().unwrap_or_default().to_owned(),
        generation.to_string(),
    ];
    let asked = || {
        let mut stream = UnixStream::connect(folder.join(ask::SOCKET))?;
        ask::write(&mut stream, &[words.into()])?;
        ask::read(&mut stream)
    };
    let answer: io::Result<Vec<Vec<String>>> = asked();
    // A tool that has gone brings nothing.
    answer.is_ok_and(|lists| lists.iter().flatten().any(|word| word == "again"))
}

/// Shows where a call panicked that would be made again, also where the program's own way to tell does not.
fn show_backtraces() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Where that is on, all panics show theirs.
        if env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            return;
        }
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            told(info);
            if DEPTH.with(Cell::get) > 0 {
                let backtrace = Backtrace::force_capture();
                if backtrace.status() == BacktraceStatus::Captured {
                    let text = short(&backtrace.to_string());
                    // `eprintln!` panics where stderr is closed.
                    let _ = io::stderr().write_all(text.as_bytes());
                }
            }
        }));
    });
}

/// The frames of a backtrace between those of the panic and those of the retry. Each frame is a line with its number, and
/// lines that say where it is.
fn short(backtrace: &str) -> String {
    let is_frame = |line: &str| {
        line.trim_start()
            .starts_with(|first: char| first.is_ascii_digit())
    };
    let mut frames: Vec<String> = Vec::new();
    for line in backtrace.lines() {
        match frames.last_mut() {
            Some(frame) if !is_frame(line) => {
                frame.push('\n');
                frame.push_str(line);
            }
            _ => frames.push(line.to_owned()),
        }
    }
    let is_panics = |frame: &String| {
        let of = [
            ": core::panicking::",
            ": std::panicking::",
            "rust_begin_unwind",
        ];
        of.iter().any(|of| frame.contains(of))
    };
    let is_ours = |frame: &String| {
        let of = [
            "hotpatch_live::retry",
            "panicking::catch_unwind",
            "panic::catch_unwind",
        ];
        of.iter().any(|of| frame.contains(of))
    };
    let begin = frames.iter().rposition(|frame| {
        // What catches panics is called so, too, further out.
        is_panics(frame) && !frame.contains("catch_unwind")
    });
    let begin = begin.map_or(0, |last| last + 1);
    let own = frames[begin..].iter().take_while(|frame| !is_ours(frame));
    own.flat_map(|frame| [frame.as_str(), "\n"]).collect()
}

/// Types of arguments with which a function can be called again.
#[diagnostic::on_unimplemented(
    message = "`#[hot(retry)]` calls the function again with the same arguments, and `{Self}` is not `Clone`",
    label = "this argument is gone after the first call"
)]
pub trait CanBePassedAgain {
    /// The same once more.
    #[must_use]
    fn once_more(&self) -> Self;
}

impl<T: Clone> CanBePassedAgain for T {
    #[inline]
    fn once_more(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::{retry, short};
    use std::panic;

    #[test]
    fn a_panic_goes_on_where_there_is_no_tool() {
        let mut calls = 0;
        let call = || {
            retry("f", &mut || {
                calls += 1;
                panic!("once")
            })
        };
        let caught = panic::catch_unwind(panic::AssertUnwindSafe(call));
        let said = caught.expect_err("it panicked");
        assert_eq!(said.downcast_ref(), Some(&"once"));
        assert_eq!(calls, 1);
        assert_eq!(retry("f", &mut || 3), 3);
    }

    #[test]
    fn the_frames_of_the_call_are_shown() {
        let backtrace = "   0: std::backtrace::Backtrace::force_capture
             at /rustc/library/std/src/backtrace.rs:1:2
   1: std::panicking::panic_with_hook
   2: rust_begin_unwind
   3: core::panicking::panic_fmt
   4: game::row
             at ./src/main.rs:4:5
   5: game::draw::{{closure}}
   6: std::panicking::catch_unwind
   7: hotpatch_live::retry::retry
   8: game::draw
";
        let shown =
            "   4: game::row\n             at ./src/main.rs:4:5\n   5: game::draw::{{closure}}\n";
        assert_eq!(short(backtrace), shown);
    }
}
