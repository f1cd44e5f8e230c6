//! The main executable as it lies in memory: load bias, build id, and segments.
//!
//! It only looks at what the loader has mapped; it never reads the executable's file, which may have been
//! replaced since the program started.

use std::ffi::{c_char, c_int, c_void};
use std::slice;

use crate::elf::{self, PT_NOTE, ProgramHeader, Segments};
use crate::wire::BuildId;

/// What the agent knows of the main executable.
#[derive(Debug)]
pub struct Image {
    /// Difference between addresses in memory and ELF virtual addresses.
    pub bias: u64,
    /// The build id; empty if the program was linked without one.
    pub build_id: BuildId,
    /// Its segments.
    pub segments: Segments,
}

impl Image {
    /// The image of the running program.
    pub fn of_this_program() -> Option<Image> {
        let mut found = None;
        let data = (&raw mut found).cast::<c_void>();
        // SAFETY: the callback has the type that the C library calls, and `data` is what it expects: a pointer to an
        // `Option<Image>` that nobody else uses until the call returns.
        unsafe { dl_iterate_phdr(take_first, data) };
        found
    }

    /// See [`Segments::writable`].
    pub fn writable(&self, vaddr: u64, size: usize, align: usize) -> Option<*mut u8> {
        self.segments.writable(vaddr, size, align)
    }
}

/// `struct dl_phdr_info` of `<link.h>`, up to the fields that every C library has.
#[repr(C)]
struct LoadedObject {
    bias: u64,
    name: *const c_char,
    headers: *const ProgramHeader,
    header_count: u16,
}

type Callback = unsafe extern "C" fn(*const LoadedObject, usize, *mut c_void) -> c_int;

unsafe extern "C" {
    fn dl_iterate_phdr(callback: Callback, data: *mut c_void) -> c_int;
}

/// Takes the first object, which is the main executable, and stops the iteration.
///
/// # Safety
///
/// 1. `object` is what `dl_iterate_phdr` hands to its callback.
/// 2. `data` points to an `Option<Image>` that nobody else uses.
unsafe extern "C" fn take_first(
    object: *const LoadedObject,
    _size: usize,
    data: *mut c_void,
) -> c_int {
    // SAFETY: by duty 1.
    let object = unsafe { &*object };
    // SAFETY: by duty 1 the loader's table holds that many headers; the main executable's is never unmapped.
    let headers =
        unsafe { slice::from_raw_parts(object.headers, usize::from(object.header_count)) };
    let build_id = headers
        .iter()
        .filter(|header| header.kind == PT_NOTE)
        .find_map(|header| {
            let start = usize::try_from(object.bias.checked_add(header.vaddr)?).ok()?;
            let start = std::ptr::with_exposed_provenance::<u8>(start);
            let size = usize::try_from(header.memsz).ok()?;
            // SAFETY: the segment is part of the main executable, which is mapped and stays so.
            let notes = unsafe { slice::from_raw_parts(start, size) };
            elf::build_id(notes, header.align)
        })
        .unwrap_or_default();
    let image = Image {
        bias: object.bias,
        build_id: BuildId(build_id),
        segments: Segments::new(object.bias, headers.to_vec()),
    };
    // SAFETY: by duty 2.
    unsafe { *data.cast::<Option<Image>>() = Some(image) };
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::PT_GNU_RELRO;
    use std::sync::atomic::AtomicPtr;

    static SLOT: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());
    static CONSTANT: &str = "not writable";

    fn vaddr<T>(image: &Image, pointer: *const T) -> u64 {
        pointer.expose_provenance() as u64 - image.bias
    }

    #[test]
    fn only_aligned_writable_memory_of_the_program_can_hold_a_slot() {
        let image = Image::of_this_program().expect("the loader knows the program");
        let slot = vaddr(&image, &raw const SLOT);
        assert_eq!(image.segments.cell(slot), Some(SLOT.as_ptr()));
        assert_eq!(image.segments.cell(slot + 1), None);
        assert_eq!(
            image.segments.cell(vaddr(&image, CONSTANT.as_ptr()) & !7),
            None
        );
        assert_eq!(image.segments.cell(u64::MAX - 3), None);
        assert_eq!(image.segments.cell(!0 << 3), None);
        let heap = Box::new(0_u64);
        assert_eq!(
            image
                .segments
                .cell((&raw const *heap as u64).wrapping_sub(image.bias)),
            None
        );
        let relro = image
            .segments
            .headers()
            .iter()
            .find(|header| header.kind == PT_GNU_RELRO);
        assert_eq!(
            relro.and_then(|header| image.segments.cell(header.vaddr.next_multiple_of(8))),
            None
        );
    }
}
