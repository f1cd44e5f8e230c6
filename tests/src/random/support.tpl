//! What every random program brings along: values that can be made, mixed, written down and read again, a strict
//! allocator, an executor, and a way to run under valgrind. It is never edited.

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

pub type Tokens<'a> = std::str::SplitAsciiWhitespace<'a>;

/// A value whose every byte matters to `mix` and survives `put` and `get`.
pub trait Plain: Sized + Clone + 'static {
    fn mk(s: u64) -> Self;
    fn mix(&self) -> u64;
    fn put(&self, o: &mut String);
    fn get(i: &mut Tokens) -> Self;
}

pub fn next(i: &mut Tokens) -> u64 {
    i.next().expect("a token").parse().expect("a number")
}

pub fn put(o: &mut String, n: u64) {
    o.push_str(&n.to_string());
    o.push(' ');
}

/// Spreads the bits.
pub fn stir(n: u64) -> u64 {
    let n = (n ^ (n >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    n ^ (n >> 29)
}

macro_rules! number {
    ($($ty:ty),*) => {$(
        impl Plain for $ty {
            fn mk(s: u64) -> Self { stir(s) as $ty }
            fn mix(&self) -> u64 { stir(*self as u64) }
            fn put(&self, o: &mut String) { put(o, *self as u64) }
            fn get(i: &mut Tokens) -> Self { next(i) as $ty }
        }
    )*};
}
number!(u64, u32, u16, u8, i16, i64, usize);

impl Plain for bool {
    fn mk(s: u64) -> Self { stir(s) % 2 == 1 }
    fn mix(&self) -> u64 { if *self { 77 } else { 13 } }
    fn put(&self, o: &mut String) { put(o, *self as u64) }
    fn get(i: &mut Tokens) -> Self { next(i) == 1 }
}

impl Plain for f64 {
    fn mk(s: u64) -> Self { (stir(s) % 100_000) as f64 / 7.0 }
    fn mix(&self) -> u64 { stir(self.to_bits()) }
    fn put(&self, o: &mut String) { put(o, self.to_bits()) }
    fn get(i: &mut Tokens) -> Self { f64::from_bits(next(i)) }
}

impl Plain for String {
    fn mk(s: u64) -> Self { format!("s{}", stir(s) % 10_000) }
    fn mix(&self) -> u64 { self.bytes().fold(5, |h, b| stir(h ^ b as u64)) }
    fn put(&self, o: &mut String) { o.push_str(self); o.push(' ') }
    fn get(i: &mut Tokens) -> Self { i.next().expect("a token").to_string() }
}

impl<T: Plain> Plain for Option<T> {
    fn mk(s: u64) -> Self { (stir(s) % 3 != 0).then(|| T::mk(s.wrapping_add(1))) }
    fn mix(&self) -> u64 { self.as_ref().map_or(3, |v| stir(v.mix().wrapping_add(1))) }
    fn put(&self, o: &mut String) {
        put(o, self.is_some() as u64);
        if let Some(v) = self { v.put(o) }
    }
    fn get(i: &mut Tokens) -> Self { (next(i) == 1).then(|| T::get(i)) }
}

impl<T: Plain> Plain for Vec<T> {
    fn mk(s: u64) -> Self { (0..stir(s) % 3).map(|n| T::mk(s ^ n)).collect() }
    fn mix(&self) -> u64 { self.iter().fold(7, |h, v| stir(h ^ v.mix())) }
    fn put(&self, o: &mut String) {
        put(o, self.len() as u64);
        self.iter().for_each(|v| v.put(o));
    }
    fn get(i: &mut Tokens) -> Self { (0..next(i)).map(|_| T::get(i)).collect() }
}

impl<T: Plain> Plain for Box<T> {
    fn mk(s: u64) -> Self { Box::new(T::mk(s)) }
    fn mix(&self) -> u64 { (**self).mix() }
    fn put(&self, o: &mut String) { (**self).put(o) }
    fn get(i: &mut Tokens) -> Self { Box::new(T::get(i)) }
}

impl<T: Plain, U: Plain> Plain for (T, U) {
    fn mk(s: u64) -> Self { (T::mk(s), U::mk(stir(s))) }
    fn mix(&self) -> u64 { stir(self.0.mix()) ^ self.1.mix() }
    fn put(&self, o: &mut String) { self.0.put(o); self.1.put(o) }
    fn get(i: &mut Tokens) -> Self { (T::get(i), U::get(i)) }
}

impl<T: Plain, const N: usize> Plain for [T; N] {
    fn mk(s: u64) -> Self { std::array::from_fn(|n| T::mk(s.wrapping_add(n as u64))) }
    fn mix(&self) -> u64 { self.iter().fold(N as u64, |h, v| stir(h ^ v.mix())) }
    fn put(&self, o: &mut String) { self.iter().for_each(|v| v.put(o)) }
    fn get(i: &mut Tokens) -> Self { std::array::from_fn(|_| T::get(i)) }
}

/// What `Drop` impls of the program count.
pub static DROPS: AtomicU64 = AtomicU64::new(0);

pub fn dropped(n: u64) {
    DROPS.fetch_add(n, Ordering::Relaxed);
}

pub fn lock<T>(of: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(|error| error.into_inner())
}

/// Ready at its second poll.
pub struct Later(bool);

pub fn later() -> Later {
    Later(false)
}

impl Future for Later {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(out) = future.as_mut().poll(&mut cx) {
            return out;
        }
    }
}

/// An allocator that ends the program when a block is freed as something else than it was made, written past its
/// ends, or freed twice.
pub struct Strict;

const GUARD: u64 = 0x5AFE_5AFE_5AFE_5AFE;
const FREED: u64 = 0xDEAD_DEAD_DEAD_DEAD;

fn padding(layout: Layout) -> usize {
    layout.align().max(32)
}

fn whole(layout: Layout) -> Layout {
    let size = padding(layout) + layout.size() + 8;
    Layout::from_size_align(size, layout.align().max(8)).expect("a layout")
}

fn fail(what: &str) -> ! {
    eprintln!("strict allocator: {what}");
    std::process::abort()
}

unsafe impl GlobalAlloc for Strict {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe {
            let base = System.alloc(whole(layout));
            if base.is_null() {
                return base;
            }
            let block = base.add(padding(layout));
            let head = block.cast::<u64>();
            head.sub(1).write(GUARD);
            head.sub(2).write(layout.size() as u64);
            head.sub(3).write(layout.align() as u64);
            block.add(layout.size()).cast::<u64>().write_unaligned(GUARD);
            block.write_bytes(0xA5, layout.size());
            block
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe {
            let head = block.cast::<u64>();
            match head.sub(1).read() {
                GUARD => {}
                FREED => fail("freed twice"),
                _ => fail("written before its start"),
            }
            if head.sub(2).read() != layout.size() as u64 || head.sub(3).read() != layout.align() as u64 {
                fail("freed with another layout");
            }
            if block.add(layout.size()).cast::<u64>().read_unaligned() != GUARD {
                fail("written past its end");
            }
            head.sub(1).write(FREED);
            block.write_bytes(0xDF, layout.size());
            System.dealloc(block.sub(padding(layout)), whole(layout));
        }
    }
}

#[global_allocator]
static ALLOCATOR: Strict = Strict;

/// Starts the program again under valgrind, in the same process and before any of its own code ran.
extern "C" fn under_valgrind() {
    use std::os::unix::process::CommandExt;
    let Some(log) = std::env::var_os("RANDOM_VALGRIND_LOG") else {
        return;
    };
    if std::env::var_os("RANDOM_VALGRIND_RUNS").is_some() {
        return;
    }
    let mut log_file = std::ffi::OsString::from("--log-file=");
    log_file.push(log);
    let error = std::process::Command::new("valgrind")
        .args(["--error-exitcode=0", "--leak-check=no", "--num-callers=30"])
        .arg(log_file)
        .arg(std::env::current_exe().expect("this program"))
        .env("RANDOM_VALGRIND_RUNS", "1")
        .exec();
    eprintln!("valgrind does not start: {error}");
    std::process::abort();
}

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = under_valgrind;
