//! The memory of another process, read from outside: what is mapped where, and bytes of it.
//!
//! Nothing is written. What was read once is kept for the life of a [`Memory`], so that all that is read through one
//! is of about one moment.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How much is read at once.
const PAGE: u64 = 4096;

/// One line of `/proc/PID/maps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) is_readable: bool,
    pub(super) is_writable: bool,
    pub(super) is_executable: bool,
    /// Where in the file it starts.
    pub(super) offset: u64,
    /// The device, the inode and the path: what tells files apart. A name in brackets is one that the kernel gave.
    pub(super) file: String,
}

impl Mapping {
    /// Whether bytes with headers of an ELF file may be found in it.
    pub(super) fn is_of_a_file(&self) -> bool {
        self.file.contains('/') || self.file.ends_with("[vdso]")
    }
}

/// What is mapped in a process, by address.
#[derive(Debug, Default)]
pub(super) struct Maps(pub(super) Vec<Mapping>);

impl Maps {
    pub(super) fn read(pid: u32) -> io::Result<Self> {
        let text = std::fs::read(format!("/proc/{pid}/maps"))?;
        let text = String::from_utf8_lossy(&text);
        Ok(Self(text.lines().filter_map(mapping).collect()))
    }

    /// What holds this address.
    pub(super) fn at(&self, address: u64) -> Option<&Mapping> {
        let after = self.0.partition_point(|mapping| mapping.start <= address);
        let mapping = self.0.get(after.checked_sub(1)?)?;
        (address < mapping.end).then_some(mapping)
    }

    /// Whether there may be code at this address.
    pub(super) fn is_code(&self, address: u64) -> bool {
        self.at(address)
            .is_some_and(|mapping| mapping.is_executable)
    }
}

/// `START-END PERMISSIONS OFFSET DEVICE INODE [PATH]`
fn mapping(line: &str) -> Option<Mapping> {
    let (range, rest) = line.split_once(' ')?;
    let (permissions, rest) = rest.split_once(' ')?;
    let (offset, file) = rest.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some(Mapping {
        start: number(start)?,
        end: number(end)?,
        is_readable: permissions.starts_with('r'),
        is_writable: permissions.contains('w'),
        is_executable: permissions.contains('x'),
        offset: number(offset)?,
        file: file.trim_end().to_owned(),
    })
}

/// Eight bytes of a process, little-endian, as they are now.
#[must_use]
pub fn word(pid: u32, address: u64) -> Option<u64> {
    let file = File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, address).ok()?;
    Some(u64::from_le_bytes(bytes))
}

/// Reads the memory of a process, a page at a time.
pub(super) struct Memory<'a> {
    file: &'a File,
    pages: RefCell<HashMap<u64, Option<Box<[u8]>>>>,
}

impl<'a> Memory<'a> {
    /// `file` is `/proc/PID/mem`.
    pub(super) fn new(file: &'a File) -> Self {
        Self {
            file,
            pages: RefCell::default(),
        }
    }

    /// Exactly these bytes, if all of them can be read. Not kept.
    pub(super) fn large(&self, address: u64, length: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        self.file.read_exact_at(&mut bytes, address).ok()?;
        Some(bytes)
    }

    /// So many bytes or as many as can be read.
    pub(super) fn bytes(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length);
        let mut pages = self.pages.borrow_mut();
        while bytes.len() < length {
            let Some(at) = address.checked_add(bytes.len() as u64) else {
                break;
            };
            let start = at - at % PAGE;
            let page = pages
                .entry(start)
                .or_insert_with(|| self.large(start, PAGE).map(Vec::into_boxed_slice));
            let Some(page) = page else {
                break;
            };
            let from = (at % PAGE) as usize;
            let to = page.len().min(from + length - bytes.len());
            bytes.extend_from_slice(&page[from..to]);
        }
        bytes
    }

    /// The eight bytes there as a number.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        let bytes = self.bytes(address, 8);
        Some(u64::from_le_bytes(*bytes.first_chunk()?))
    }
}

#[cfg(test)]
mod tests {
    use super::{Maps, mapping};

    #[test]
    fn lines_of_maps() {
        let line = "7fecd90fb000-7fecd9251000 r-xp 00026000 fe:00 326279                     /usr/lib/a b.so (deleted)";
        let found = mapping(line).unwrap();
        assert_eq!(
            (found.start, found.end),
            (0x7fec_d90f_b000, 0x7fec_d925_1000)
        );
        assert!(found.is_readable && found.is_executable && found.is_of_a_file());
        assert_eq!(found.offset, 0x26000);
        assert!(
            found
                .file
                .ends_with("326279                     /usr/lib/a b.so (deleted)")
        );
        let anonymous = mapping("7fecd90d2000-7fecd90d5000 rw-p 00000000 00:00 0 ").unwrap();
        assert!(!anonymous.is_of_a_file() && !anonymous.is_executable);
        let maps = Maps(vec![anonymous, found]);
        assert!(maps.is_code(0x7fec_d90f_b000) && !maps.is_code(0x7fec_d90d_2000));
        assert!(maps.at(0x7fec_d90d_5000).is_none() && maps.at(0).is_none());
    }
}
