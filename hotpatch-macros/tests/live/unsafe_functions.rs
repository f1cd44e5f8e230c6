// editions: 2015 2018 2021 2024
//! Unsafe functions, whose newer bodies are as unsafe to call.

#![deny(warnings)]

extern crate hotpatch_rt;

use hotpatch_rt::hot;

#[hot]
unsafe fn read(pointer: *const u32) -> u32 {
    unsafe { *pointer }
}

#[hot]
unsafe extern "C" fn write(pointer: *mut u32, n: u32) {
    unsafe { *pointer = n }
}

mod denies {
    #![deny(unsafe_op_in_unsafe_fn, unused_unsafe)]

    use hotpatch_rt::hot;

    #[hot]
    pub unsafe fn read((pointer, _): (*const u32, u32)) -> u32 {
        // SAFETY: the caller's duty.
        unsafe { *pointer }
    }

    #[hot]
    pub unsafe fn exit(code: i32) -> ! {
        ::std::process::exit(code)
    }
}

fn main() {
    let mut n = 1;
    unsafe { write(&mut n, 5) };
    println!("{} {}", unsafe { read(&n) }, unsafe {
        denies::read((&n, 1))
    });
    unsafe { denies::exit(0) }
}
