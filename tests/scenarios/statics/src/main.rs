//! State in statics of every kind, which the edited functions use.

mod store;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, OnceLock};

use hotpatch_rt::hot;

static ATOMIC: AtomicU64 = AtomicU64::new(1);
static mut PLAIN: u64 = 1;
static LIST: Mutex<Vec<u64>> = Mutex::new(Vec::new());
static LAZY: LazyLock<Mutex<String>> = LazyLock::new(|| Mutex::new("lazy".to_string()));
static ONCE: OnceLock<u64> = OnceLock::new();
static TABLE: [&str; 2] = ["even", "odd"];

#[hot]
fn step() -> String {
    let atomic = ATOMIC.fetch_add(1, Ordering::SeqCst) + 1;
    let plain = plain(1);
    let mut list = LIST.lock().unwrap();
    list.push(atomic);
    let parity = TABLE[(atomic % 2) as usize];
    format!("{atomic} {plain} {} {parity}", list.len())
}

fn plain(by: u64) -> u64 {
    // SAFETY: only the main thread comes here.
    unsafe {
        PLAIN += by;
        PLAIN
    }
}

#[hot]
fn lazily() -> String {
    let mut text = LAZY.lock().unwrap();
    text.push('.');
    format!("{text} {}", ONCE.get_or_init(|| 7))
}

#[hot]
fn inside() -> String {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    static mut LAST: u64 = 0;
    let calls = CALLS.fetch_add(1, Ordering::SeqCst) + 1;
    // SAFETY: only the main thread comes here.
    let last = unsafe { std::mem::replace(&mut *std::ptr::addr_of_mut!(LAST), calls * 10) };
    format!("{calls} {last} {}", closure_inside())
}

fn closure_inside() -> u64 {
    let next = || {
        static IN_CLOSURE: AtomicU64 = AtomicU64::new(100);
        IN_CLOSURE.fetch_add(1, Ordering::SeqCst)
    };
    next()
}

/// Read by code that no patch replaces: what a patch writes must be what it reads.
fn seen_by_base() -> String {
    // SAFETY: only the main thread comes here.
    let plain = unsafe { PLAIN };
    let list = LIST.lock().unwrap();
    format!("{} {plain} {list:?} {}", ATOMIC.load(Ordering::SeqCst), store::names())
}

fn main() {
    for line in std::io::stdin().lines() {
        let reply = match line.expect("a line").as_str() {
            "step" => step(),
            "lazily" => lazily(),
            "inside" => inside(),
            "store" => store::put("x"),
            "seen" => seen_by_base(),
            "addresses" => addresses(),
            _ => "unknown".to_string(),
        };
        println!("{reply}");
    }
}

/// Whether hot code and the base mean the same statics.
fn addresses() -> String {
    let base = [&raw const ATOMIC as usize, &raw const PLAIN as usize, &raw const TABLE as usize];
    (base == hot_addresses()).to_string()
}

#[hot]
fn hot_addresses() -> [usize; 3] {
    [&raw const ATOMIC as usize, &raw const PLAIN as usize, &raw const TABLE as usize]
}
