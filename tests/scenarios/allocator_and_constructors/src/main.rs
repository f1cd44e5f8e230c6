//! A counting global allocator, and a constructor that must run once only.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, AtomicU32, Ordering};

use hotpatch_rt::hot;

struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: everything is handed to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() == 7777 {
            LIVE.fetch_add(1, Ordering::SeqCst);
        }
        // SAFETY: the caller's duty is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if layout.size() == 7777 {
            LIVE.fetch_sub(1, Ordering::SeqCst);
        }
        // SAFETY: the caller's duty is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static CONSTRUCTED: AtomicU32 = AtomicU32::new(0);

extern "C" fn construct() {
    CONSTRUCTED.fetch_add(1, Ordering::SeqCst);
}

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = construct;

type Kept = Vec<Box<[u8; 7777]>>;

#[hot]
fn keep(kept: &mut Kept) -> String {
    kept.push(Box::new([1; 7777]));
    format!("kept {}, live {}", kept.len(), LIVE.load(Ordering::SeqCst))
}

#[hot]
fn free(kept: &mut Kept) -> String {
    kept.pop();
    format!("kept {}, live {}", kept.len(), LIVE.load(Ordering::SeqCst))
}

#[hot]
fn constructed() -> String {
    format!("constructed {}", CONSTRUCTED.load(Ordering::SeqCst))
}

fn main() {
    let mut kept = Kept::new();
    for line in std::io::stdin().lines() {
        let reply = match line.expect("a line").as_str() {
            "keep" => keep(&mut kept),
            "free" => free(&mut kept),
            "live" => LIVE.load(Ordering::SeqCst).to_string(),
            "constructed" => constructed(),
            _ => "unknown".to_string(),
        };
        println!("{reply}");
    }
}
