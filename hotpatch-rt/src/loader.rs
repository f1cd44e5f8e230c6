//! Maps patch libraries into the program. The only file that calls `dlopen`.
//!
//! The declarations are our own because this crate is compiled by the user's rustc from sources embedded in the
//! tool, offline and without dependencies, so there is no libloading and no libc to take them from. The raw
//! layer is at the bottom; [`open`] is the safe layer over it.
//!
//! A library is never unloaded: its functions may be on a stack, its statics and vtables in the program's data,
//! and with thread-local destructors in it `dlclose` would do nothing anyway. So there is no handle to close, and
//! every address in a [`Library`] is good for the rest of the process.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::ptr;

use crate::elf::{self, ProgramHeader, Segments};
use crate::error::Refusal;
use crate::peer;

const MAX_FILE: u64 = 512 << 20;
const O_NONBLOCK: c_int = 0o4000;

/// A patch library in memory, for good.
#[derive(Debug)]
pub struct Library {
    /// Difference between addresses in memory and ELF virtual addresses.
    pub bias: u64,
    /// Its segments.
    pub segments: Segments,
    file: FileId,
}

/// What a file is, whatever it is called: device and inode. A mapped file's stay its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId(u64, u64);

/// Checks a patch library and maps it. Nothing of it runs but its constructors.
///
/// The file must lie still from now on: a file that shrinks under its mapping kills the process.
pub fn open<'a>(
    path: &Path,
    loaded: impl Iterator<Item = &'a Library>,
) -> Result<Library, Refusal> {
    let (file, headers) = check(path)?;
    for library in loaded {
        if library.file == file {
            return Err(Refusal::FileTaken);
        }
    }
    let bias = map(path)?;
    Ok(Library {
        bias,
        segments: Segments::new(bias, headers),
        file,
    })
}

/// Refuses what `dlopen` would trust blindly. It maps a segment beyond the end of a file without a word, and the
/// process dies at the first access.
fn check(path: &Path) -> Result<(FileId, Vec<ProgramHeader>), Refusal> {
    if !path.is_absolute() {
        return Err(Refusal::PathNotAbsolute);
    }
    // Without the flag, opening a pipe would wait for its writer.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(O_NONBLOCK)
        .open(path)
        .map_err(Refusal::FileUnreadable)?;
    let metadata = file.metadata().map_err(Refusal::FileUnreadable)?;
    if !metadata.is_file() {
        return Err(Refusal::NotAFile);
    }
    if metadata.uid() != peer::own_uid() {
        return Err(Refusal::NotOurs);
    }
    if metadata.len() >= MAX_FILE {
        return Err(Refusal::FileTooLarge);
    }
    let head = read_head(&file).map_err(Refusal::FileUnreadable)?;
    let headers = elf::library_headers(&head, metadata.len()).map_err(Refusal::NotALibrary)?;
    Ok((FileId(metadata.dev(), metadata.ino()), headers))
}

fn read_head(file: &File) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(elf::head_size() as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// Maps the library at `path` and returns its load bias.
fn map(path: &Path) -> Result<u64, Refusal> {
    let path = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Refusal::DlopenFailed("the path holds a zero byte".to_owned()))?;
    // SAFETY: `path` is a C string. What the library's constructors do is up to the patch, which the tool made for
    // this very image.
    let handle = unsafe { dlopen(path.as_ptr(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) };
    if handle.is_null() {
        return Err(Refusal::DlopenFailed(last_error()));
    }
    let mut link_map = ptr::null::<LinkMap>();
    let out = (&raw mut link_map).cast::<c_void>();
    // SAFETY: the handle is open, and for this request `out` must point to a pointer to a link map.
    let status = unsafe { dlinfo(handle, RTLD_DI_LINKMAP, out) };
    if status != 0 || link_map.is_null() {
        return Err(Refusal::DlinfoFailed);
    }
    // SAFETY: the loader keeps the link map as long as the library is open, which is for good.
    let bias = unsafe { (*link_map).bias };
    Ok(bias)
}

/// What the loader says about the last failure on this thread.
fn last_error() -> String {
    // SAFETY: no duties.
    let text = unsafe { dlerror() };
    if text.is_null() {
        return "the loader does not say why".to_owned();
    }
    // SAFETY: a text that is not null is a C string, good until this thread's next call into the loader.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_string_lossy().into_owned()
}

/// The public beginning of `struct link_map` of `<link.h>`.
#[repr(C)]
struct LinkMap {
    bias: u64,
}

const RTLD_LOCAL: c_int = 0;
const RTLD_NOW: c_int = 2;
const RTLD_NODELETE: c_int = 0x1000;
const RTLD_DI_LINKMAP: c_int = 2;

unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlinfo(handle: *mut c_void, request: c_int, out: *mut c_void) -> c_int;
    fn dlerror() -> *const c_char;
}
