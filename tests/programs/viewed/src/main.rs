//! A line server with state of every kind that can be looked at from outside.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, OnceLock, RwLock};

mod game;

static COUNT: AtomicU32 = AtomicU32::new(3);
static BALANCE: AtomicI64 = AtomicI64::new(-5);
static OPEN: AtomicBool = AtomicBool::new(true);
static LIMIT: Mutex<u32> = Mutex::new(10);
static GREETING: RwLock<String> = RwLock::new(String::new());
static MOTTO: Mutex<&'static str> = Mutex::new("take your time");
static LETTER: RwLock<char> = RwLock::new('x');
static NAME: OnceLock<String> = OnceLock::new();
static RATIO: Mutex<f64> = Mutex::new(0.5);
static PLAIN: u32 = 7;
static mut RAW: u16 = 9;
static PLAYERS: Mutex<Vec<game::Player>> = Mutex::new(Vec::new());
static TABLE: LazyLock<Mutex<BTreeMap<u32, u32>>> = LazyLock::new(Mutex::default);

thread_local!(static DEPTH: Cell<u32> = const { Cell::new(1) });

fn answer(line: &str) -> String {
    match line {
        "count" => COUNT.fetch_add(1, Ordering::Relaxed).to_string(),
        "balance" => BALANCE.load(Ordering::Relaxed).to_string(),
        "open" => OPEN.load(Ordering::Relaxed).to_string(),
        "limit" => LIMIT.lock().unwrap().to_string(),
        "greeting" => GREETING.read().unwrap().clone(),
        "motto" => (*MOTTO.lock().unwrap()).to_owned(),
        "letter" => LETTER.read().unwrap().to_string(),
        "name" => NAME.get_or_init(|| "nobody".to_owned()).clone(),
        "ratio" => RATIO.lock().unwrap().to_string(),
        "plain" => PLAIN.to_string(),
        // SAFETY: this is the only thread, and it holds no reference to it.
        "raw" => unsafe {
            RAW += 1;
            (&raw const RAW).read()
        }
        .to_string(),
        "table" => TABLE
            .lock()
            .unwrap()
            .entry(1)
            .and_modify(|of| *of += 1)
            .or_insert(1)
            .to_string(),
        "depth" => DEPTH.get().to_string(),
        // A lock that somebody holds.
        "hold" => {
            std::mem::forget(LIMIT.lock().unwrap());
            "held".to_owned()
        }
        other => game::add(&mut PLAYERS.lock().unwrap(), other),
    }
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.expect("a line")));
    }
}
