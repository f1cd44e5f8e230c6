//! Values that are kept under another type, each in another way.

use std::io::BufRead;
use std::mem::{ManuallyDrop, transmute};
use std::sync::Mutex;

#[derive(Clone, Copy)]
pub struct ByUnion {
    a: u32,
}
pub union Either {
    raw: [u8; 16],
    value: ManuallyDrop<ByUnion>,
}
static UNION: Mutex<Either> = Mutex::new(Either { raw: [1; 16] });

#[derive(Clone, Copy)]
pub struct ByTransmute {
    a: u32,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct ByCast {
    a: u32,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct ByAlign {
    a: u32,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct ByMacro {
    a: u32,
}

pub struct ByNumber {
    a: u32,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct ByGeneric {
    a: u32,
}

/// In safe hands: no value of it is kept.
#[derive(Clone, Copy)]
pub struct Plain {
    a: u32,
}

macro_rules! first_of {
    ($bytes:expr, $ty:ty) => {
        unsafe { *($bytes.as_ptr() as *const $ty) }
    };
}

#[repr(C, align(8))]
struct Bytes([u8; 16]);
static BYTES: Mutex<Bytes> = Mutex::new(Bytes([7; 16]));

fn by_union() -> u32 {
    unsafe { UNION.lock().unwrap().value.a }
}

fn by_transmute() -> u32 {
    let bytes: [u8; size_of::<ByTransmute>()] =
        BYTES.lock().unwrap().0[..size_of::<ByTransmute>()].try_into().unwrap();
    unsafe { transmute::<[u8; size_of::<ByTransmute>()], ByTransmute>(bytes) }.a
}

fn by_cast() -> u32 {
    let mut bytes = BYTES.lock().unwrap();
    let value = bytes.0.as_mut_ptr() as *mut ByCast;
    unsafe { (*value).a }
}

fn by_align() -> u32 {
    let bytes = BYTES.lock().unwrap();
    let (_, values, _) = unsafe { bytes.0.align_to::<ByAlign>() };
    values[0].a
}

fn by_macro() -> u32 {
    first_of!(BYTES.lock().unwrap().0, ByMacro).a
}

fn by_number() -> u32 {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    static PLACE: AtomicUsize = AtomicUsize::new(0);
    if PLACE.load(Relaxed) == 0 {
        let value = Box::into_raw(Box::new([5_u32; 8]));
        PLACE.store(value as usize, Relaxed);
    }
    let value = PLACE.load(Relaxed) as *mut ByNumber;
    unsafe { (*value).a }
}

fn look<T: Copy>(bytes: &[u8; 16]) -> T {
    unsafe { *(bytes.as_ptr() as *const T) }
}

fn by_generic() -> u32 {
    look::<ByGeneric>(&BYTES.lock().unwrap().0).a
}

fn plain() -> u32 {
    Plain { a: 5 }.a
}

fn main() {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let reply = match line.as_str() {
            "union" => by_union(),
            "transmute" => by_transmute(),
            "cast" => by_cast(),
            "align" => by_align(),
            "macro" => by_macro(),
            "number" => by_number(),
            "generic" => by_generic(),
            _ => plain(),
        };
        println!("{reply}");
    }
}
