//! Tells the tool of a thread that panics or gets the signal of a crash, and has the thread wait until the tool has looked at
//! its stack and, maybe, taken the newest patch back. Then it goes on as it would have.
//!
//! A panic is met where the standard library begins to unwind, behind all hooks of the program: the word through which the
//! program calls `_Unwind_RaiseException` leads to [`raise`]. A crash is met in a handler, which is there from the beginning
//! of `main` on; one that the program installs itself takes its place. A panic that aborts is met as the signal of that.
//!
//! # What the waiting thread may do
//!
//! [`tell`] runs in handlers of signals, between any two instructions of the program: it takes no lock, allocates nothing and
//! opens nothing. It leaves two numbers in statics and waits for a word to change; a thread of the agent does the rest.
//!
//! # Orderings
//!
//! `TELLER` is a lock by thread id: taken with `Acquire`, given back with `Release`, so that what one teller wrote and read is
//! over before the next begins. `STATE` hands the two numbers over: they are written before it becomes `ASKED` (`Release`)
//! and read by whoever sees that (`Acquire`). The other atomics are written before anybody can call [`raise`] or the handler,
//! which the kernel or the stores with `Release` below order.

use std::ffi::{CStr, c_int, c_long, c_void};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::agent::THREAD;
use crate::ask;
use crate::elf::{self, Segments};
use crate::hold;
use crate::signals;

/// How long the tool may take. It looks at once, unless it compiles something that it does not want to begin anew.
const LIMIT: Duration = Duration::from_secs(60);

/// How long the standard library may take until it has installed its own handlers, before `main` is called.
const UNTIL_MAIN: Duration = Duration::from_secs(2);

/// Signals of crashes, by their numbers on x86-64: SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV.
const CRASHES: [c_int; 5] = [4, 6, SIGBUS, 8, SIGSEGV];
const SIGBUS: c_int = 7;
const SIGSEGV: c_int = 11;

/// What [`STATE`] says: nobody tells anything.
const IDLE: u32 = 0;
/// [`WHO`] waits.
const ASKED: u32 = 1;
/// It may go on.
const ANSWERED: u32 = 2;
/// Nobody answers any more.
const OFF: u32 = 3;

static STATE: AtomicU32 = AtomicU32::new(OFF);
/// The process that has the thread which answers; a child made by `fork` has it not.
static PROCESS: AtomicU32 = AtomicU32::new(0);
/// The thread that tells; 0 if none does.
static TELLER: AtomicU32 = AtomicU32::new(0);
/// The thread, and the signal that it got; 0 for a panic.
static WHO: AtomicU32 = AtomicU32::new(0);
static WHAT: AtomicU32 = AtomicU32::new(0);
/// The handlers are to be installed once `main` begins.
static IS_WANTED: AtomicBool = AtomicBool::new(false);
/// What was done about each of [`CRASHES`] before.
static BEFORE: [AtomicPtr<Action>; CRASHES.len()] =
    [const { AtomicPtr::new(ptr::null_mut()) }; CRASHES.len()];
/// The C library's `_Unwind_RaiseException`.
static RAISE: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Tells the tool from now on, through the socket in this folder. `raise` is the ELF virtual address of the word through which
/// the program begins to unwind; 0 if it does not do so through one.
///
/// # Errors
/// There is no thread to be had, or the word cannot be written: then nothing is told.
pub fn begin(folder: &Path, segments: &Segments, raise: u64) -> io::Result<()> {
    let socket = folder.join(ask::SOCKET);
    let thread = thread::Builder::new().name(THREAD.to_owned());
    signals::blocked(|| thread.spawn(move || answer_all(&socket)))?;
    PROCESS.store(std::process::id(), Ordering::Relaxed);
    STATE.store(IDLE, Ordering::Release);
    if raise != 0 {
        intercept(segments, raise)?;
    }
    IS_WANTED.store(true, Ordering::SeqCst);
    if hold::is_open() {
        main_begins();
    }
    Ok(())
}

/// The main thread is on its way to `main`, if it is not there.
pub fn main_begins() {
    if !IS_WANTED.swap(false, Ordering::SeqCst) {
        return;
    }
    // The standard library installs its own handlers only where there are none: ours come second.
    let thread = thread::Builder::new().name(THREAD.to_owned());
    let install = || {
        let step = Duration::from_millis(1);
        let mut waited = Duration::ZERO;
        while waited < UNTIL_MAIN && action_of(SIGSEGV).is_default() {
            thread::sleep(step);
            waited += step;
        }
        install();
    };
    // Without the thread crashes are not told.
    let _ = signals::blocked(|| thread.spawn(install));
}

fn answer_all(socket: &Path) {
    loop {
        let state = STATE.load(Ordering::Acquire);
        if state != ASKED {
            futex_wait(&STATE, state, None);
            continue;
        }
        let words = [
            "fallen".to_owned(),
            WHO.load(Ordering::Relaxed).to_string(),
            WHAT.load(Ordering::Relaxed).to_string(),
        ];
        // If the tool is gone, nobody has anything to do before the thread goes on.
        let _ = ask_tool(socket, words.into());
        let answered =
            STATE.compare_exchange(ASKED, ANSWERED, Ordering::Release, Ordering::Relaxed);
        if answered.is_ok() {
            futex_wake(&STATE);
        }
    }
}

fn ask_tool(socket: &Path, words: Vec<String>) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(LIMIT))?;
    ask::write(&mut stream, &[words])?;
    ask::read(&mut stream).map(drop)
}

/// Tells of this thread, and waits until it may go on.
fn tell(signal: c_int) {
    if this_process().unsigned_abs() != PROCESS.load(Ordering::Relaxed) {
        return;
    }
    let thread = u32::try_from(this_thread()).unwrap_or_default();
    while let Err(teller) = TELLER.compare_exchange(0, thread, Ordering::Acquire, Ordering::Relaxed)
    {
        // A crash of a thread that tells of its panic already, or nobody will ever answer.
        if teller == thread || STATE.load(Ordering::Relaxed) == OFF {
            return;
        }
        futex_wait(&TELLER, teller, None);
    }
    WHO.store(thread, Ordering::Relaxed);
    WHAT.store(signal.unsigned_abs(), Ordering::Relaxed);
    let asked = STATE.compare_exchange(IDLE, ASKED, Ordering::Release, Ordering::Relaxed);
    if asked.is_ok() {
        futex_wake(&STATE);
        // Another signal may end a wait before its time: `LIMIT` is for a tool that does not answer at all.
        while STATE.load(Ordering::Acquire) == ASKED {
            if futex_wait(&STATE, ASKED, Some(LIMIT)) == Waited::TimedOut {
                let _ = STATE.compare_exchange(ASKED, OFF, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
        let _ = STATE.compare_exchange(ANSWERED, IDLE, Ordering::Relaxed, Ordering::Relaxed);
    }
    TELLER.store(0, Ordering::Release);
    futex_wake(&TELLER);
}

/// What the C library's unwinder calls an exception, up to where it says whose it is.
#[repr(C)]
struct Exception {
    class: u64,
}

/// The class of Rust's panics, see `library/panic_unwind/src/gcc.rs`: a number first, an array of bytes in newer compilers.
const RUST: [u64; 2] = [
    u64::from_be_bytes(*b"MOZ\0RUST"),
    u64::from_ne_bytes(*b"MOZ\0RUST"),
];

type Raise = unsafe extern "C-unwind" fn(*mut Exception) -> c_int;

/// What the program calls in the place of `_Unwind_RaiseException`.
///
/// # Safety
/// As that one: `exception` is one.
unsafe extern "C-unwind" fn raise(exception: *mut Exception) -> c_int {
    // SAFETY: the caller's promise.
    let class = unsafe { (*exception).class };
    if RUST.contains(&class) {
        tell(0);
    }
    let real = RAISE.load(Ordering::Acquire);
    // SAFETY: `intercept` has put the C library's function there before it led anybody here.
    let real = unsafe { std::mem::transmute::<*mut c_void, Raise>(real) };
    // SAFETY: the caller's promise.
    unsafe { real(exception) }
}

/// Leads the word through which the program begins to unwind to [`raise`].
fn intercept(segments: &Segments, word: u64) -> io::Result<()> {
    let missing = |what| io::Error::new(io::ErrorKind::NotFound, what);
    let word = segments.relocated(word);
    let word = word.ok_or_else(|| missing("the program has no such word"))?;
    // SAFETY: the name ends with a zero, and nothing else is asked.
    let real = unsafe { dlsym(ptr::null_mut(), UNWIND.as_ptr()) };
    if real.is_null() {
        return Err(missing("nothing unwinds in this program"));
    }
    RAISE.store(real, Ordering::Release);
    let page = word.map_addr(|address| address & !(PAGE - 1));
    let page = page.cast::<c_void>();
    // SAFETY: the page holds a word of the program's own table, which stays mapped, and can only be used in more ways now.
    if unsafe { mprotect(page, PAGE, PROT_READ | PROT_WRITE) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `relocated` vouches for an aligned word of that table; it can be written since the line above. All others read
    // it in one instruction.
    let cell = unsafe { AtomicPtr::from_ptr(word.cast::<*mut c_void>()) };
    cell.store(raise as Raise as *mut c_void, Ordering::Release);
    if segments.is_protected(page.addr() as u64) {
        // SAFETY: so it was, and the loader has no need to write there any more.
        unsafe { mprotect(page, PAGE, PROT_READ) };
    }
    Ok(())
}

const UNWIND: &CStr = c"_Unwind_RaiseException";
const PAGE: usize = elf::PAGE as usize;
const PROT_READ: c_int = 1;
const PROT_WRITE: c_int = 2;

/// `struct sigaction` of glibc and of musl on x86-64.
#[derive(Clone, Copy)]
#[repr(C)]
struct Action {
    handler: usize,
    mask: [u64; 16],
    flags: c_int,
    restorer: usize,
}

const SA_SIGINFO: c_int = 4;
const SA_ONSTACK: c_int = 0x0800_0000;

/// `siginfo_t`, up to where it says who sent the signal.
#[repr(C)]
struct Info {
    signal: c_int,
    errno: c_int,
    code: c_int,
}

impl Action {
    const NONE: Action = Action {
        handler: 0,
        mask: [0; 16],
        flags: 0,
        restorer: 0,
    };

    fn is_default(&self) -> bool {
        self.handler == 0
    }
}

fn action_of(signal: c_int) -> Action {
    let mut action = Action::NONE;
    // SAFETY: the place is ours and as large as what is written there.
    unsafe { sigaction(signal, ptr::null(), &raw mut action) };
    action
}

fn install() {
    for (signal, before) in CRASHES.into_iter().zip(&BEFORE) {
        let was = action_of(signal);
        // A handler that is there is the standard library's, or the program's: that one may mean to go on.
        let is_std = signal == SIGSEGV || signal == SIGBUS;
        if !was.is_default() && !is_std {
            continue;
        }
        // Never freed: the handler may read it at any time.
        before.store(Box::into_raw(Box::new(was)), Ordering::Release);
        let ours = Action {
            handler: on_crash as extern "C" fn(c_int, *const Info, *mut c_void) as usize,
            flags: SA_SIGINFO | SA_ONSTACK,
            ..Action::NONE
        };
        // SAFETY: the handler has the type that `SA_SIGINFO` asks for, and does only what a handler may.
        unsafe { sigaction(signal, &raw const ours, ptr::null_mut()) };
    }
}

/// Tells, and then has happen what would have happened.
extern "C" fn on_crash(signal: c_int, info: *const Info, _context: *mut c_void) {
    // SAFETY: the C library has one for each thread.
    let errno = unsafe { __errno_location() };
    // SAFETY: as above.
    let was = unsafe { *errno };
    tell(signal);
    let crashes = CRASHES.into_iter().zip(&BEFORE);
    for (_, before) in crashes.filter(|(of, _)| *of == signal) {
        let before = before.load(Ordering::Acquire);
        // SAFETY: what `sigaction` gave once, which is not freed, is given back to it.
        unsafe { sigaction(signal, before, ptr::null_mut()) };
    }
    // SAFETY: the kernel gives one to a handler with `SA_SIGINFO`.
    let is_sent = unsafe { (*info).code } <= 0;
    if is_sent {
        // The instruction that is returned to is not the one that crashes: it comes once more, when this handler is left.
        let (process, thread) = (this_process(), this_thread());
        // SAFETY: numbers are all that it takes.
        unsafe { syscall(SYS_TGKILL, process, thread, signal) };
    }
    // SAFETY: as above.
    unsafe { *errno = was };
}

fn this_process() -> c_int {
    // SAFETY: it takes nothing, and cannot fail.
    unsafe { getpid() }
}

fn this_thread() -> c_long {
    // SAFETY: as above.
    unsafe { syscall(SYS_GETTID) }
}

#[derive(PartialEq, Eq)]
enum Waited {
    Woken,
    TimedOut,
}

/// Waits until `word` is not `value`, or somebody wakes; it may return before.
fn futex_wait(word: &AtomicU32, value: u32, limit: Option<Duration>) -> Waited {
    let limit = limit.map(|limit| [limit.as_secs().cast_signed(), 0]);
    let limit = limit.as_ref().map_or(ptr::null(), |limit| limit.as_ptr());
    // SAFETY: the word is a static, and the time is on this stack until the call returns.
    let result = unsafe { syscall(SYS_FUTEX, word.as_ptr(), FUTEX_WAIT, value, limit) };
    // SAFETY: the C library has one for each thread.
    let errno = unsafe { __errno_location() };
    // SAFETY: as above.
    let errno = unsafe { *errno };
    match result == -1 && errno == ETIMEDOUT {
        true => Waited::TimedOut,
        false => Waited::Woken,
    }
}

fn futex_wake(word: &AtomicU32) {
    // SAFETY: the word is a static.
    unsafe { syscall(SYS_FUTEX, word.as_ptr(), FUTEX_WAKE, c_int::MAX) };
}

// Of Linux on x86-64.
const SYS_GETTID: c_long = 186;
const SYS_FUTEX: c_long = 202;
const SYS_TGKILL: c_long = 234;
const FUTEX_WAIT: c_int = 128;
const FUTEX_WAKE: c_int = 129;
const ETIMEDOUT: c_int = 110;

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn getpid() -> c_int;
    fn __errno_location() -> *mut c_int;
    fn sigaction(signal: c_int, new: *const Action, old: *mut Action) -> c_int;
    fn mprotect(start: *mut c_void, length: usize, how: c_int) -> c_int;
    fn dlsym(handle: *mut c_void, name: *const std::ffi::c_char) -> *mut c_void;
}
