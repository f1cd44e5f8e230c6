//! Reads as much ELF as it takes to trust a file or an image: program headers and build-id notes.
//!
//! Works on bytes alone; it neither opens nor maps anything. All of it is total: any input gives an answer or a
//! reason, never a panic.

use std::ffi::c_void;
use std::ops::Range;

pub const PT_LOAD: u32 = 1;
pub const PT_NOTE: u32 = 4;
pub const PT_GNU_RELRO: u32 = 0x6474_e552;

pub const PF_X: u32 = 1;
pub const PF_W: u32 = 2;

/// The size of a page on x86-64.
pub const PAGE: u64 = 4096;

const HEADER_SIZE: usize = 64;
const PROGRAM_HEADER_SIZE: usize = 56;
const SECTION_HEADER_SIZE: u64 = 64;

const ET_DYN: u16 = 3;
const EM_X86_64: u16 = 62;
const NT_GNU_BUILD_ID: u32 = 3;

/// `Elf64_Phdr` as it lies in files and in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ProgramHeader {
    pub kind: u32,
    pub flags: u32,
    pub offset: u64,
    pub vaddr: u64,
    pub paddr: u64,
    pub filesz: u64,
    pub memsz: u64,
    pub align: u64,
}

impl ProgramHeader {
    /// The virtual addresses that the segment takes up; nothing for one that wraps around.
    pub fn addresses(&self) -> Range<u64> {
        self.vaddr..self.vaddr.checked_add(self.memsz).unwrap_or(self.vaddr)
    }
}

/// The program headers of a shared library for this machine, given its first bytes and its length.
///
/// `head` must hold the file's first [`head_size`] bytes, or all of a shorter file.
pub fn library_headers(head: &[u8], length: u64) -> Result<Vec<ProgramHeader>, &'static str> {
    let field = |at: usize| head.get(at..);
    if head.len() < HEADER_SIZE {
        return Err("the file is too short");
    }
    if !head.starts_with(b"\x7fELF\x02\x01\x01") {
        return Err("it is no 64-bit little-endian ELF file");
    }
    if field(16).and_then(read_u16) != Some(ET_DYN)
        || field(18).and_then(read_u16) != Some(EM_X86_64)
    {
        return Err("it is no shared library for x86-64");
    }
    let phoff = field(32).and_then(read_u64).ok_or("the header is cut")?;
    let shoff = field(40).and_then(read_u64).ok_or("the header is cut")?;
    let phentsize = field(54).and_then(read_u16).ok_or("the header is cut")?;
    let phnum = field(56).and_then(read_u16).ok_or("the header is cut")?;
    let shnum = field(60).and_then(read_u16).ok_or("the header is cut")?;
    if usize::from(phentsize) != PROGRAM_HEADER_SIZE || phnum == 0 {
        return Err("it has no program headers");
    }
    // The section headers come last in what linkers write, so this catches a file cut anywhere.
    if !lies_inside(shoff, u64::from(shnum) * SECTION_HEADER_SIZE, length) {
        return Err("its section headers end after the file");
    }
    let table = usize::try_from(phoff)
        .ok()
        .and_then(|start| Some(start..start.checked_add(usize::from(phnum) * PROGRAM_HEADER_SIZE)?))
        .and_then(|range| head.get(range))
        .ok_or("its program headers are not at its beginning")?;
    let mut headers = Vec::new();
    for entry in table.chunks_exact(PROGRAM_HEADER_SIZE) {
        let header = read_program_header(entry).ok_or("a program header is cut")?;
        if !lies_inside(header.offset, header.filesz, length) {
            return Err("a segment ends after the file");
        }
        if header.kind == PT_LOAD && header.filesz > header.memsz {
            return Err("a segment is larger than its place in memory");
        }
        headers.push(header);
    }
    if !headers.iter().any(|header| header.kind == PT_LOAD) {
        return Err("it has nothing to load");
    }
    Ok(headers)
}

/// The program headers of an image in memory and where it lies.
#[derive(Debug)]
pub struct Segments {
    /// Difference between addresses in memory and ELF virtual addresses.
    pub bias: u64,
    headers: Vec<ProgramHeader>,
}

impl Segments {
    /// Those of an image that stays mapped for the rest of the process.
    pub fn new(bias: u64, headers: Vec<ProgramHeader>) -> Segments {
        Segments { bias, headers }
    }

    #[cfg(test)]
    pub fn headers(&self) -> &[ProgramHeader] {
        &self.headers
    }

    /// The pointer to `size` bytes at the ELF virtual address `vaddr`, if the program may write all of them for
    /// its whole life.
    pub fn writable(&self, vaddr: u64, size: usize, align: usize) -> Option<*mut u8> {
        let place = vaddr..vaddr.checked_add(u64::try_from(size).ok()?)?;
        let contains =
            |segment: Range<u64>| segment.start <= place.start && place.end <= segment.end;
        let overlaps = |segment: Range<u64>| segment.start < place.end && place.start < segment.end;
        let writable = self.headers.iter().any(|header| {
            header.kind == PT_LOAD && header.flags & PF_W != 0 && contains(header.addresses())
        });
        // The loader makes these pages read-only once they are relocated.
        let protected = self
            .headers
            .iter()
            .any(|header| header.kind == PT_GNU_RELRO && overlaps(header.addresses()));
        let address = usize::try_from(vaddr.checked_add(self.bias)?).ok()?;
        if !writable || protected || !address.is_multiple_of(align) {
            return None;
        }
        Some(std::ptr::with_exposed_provenance_mut(address))
    }

    /// The same for an address in the process.
    pub fn writable_at(&self, address: u64, size: usize, align: usize) -> Option<*mut u8> {
        self.writable(address.checked_sub(self.bias)?, size, align)
    }

    /// The pointer to the cell at the ELF virtual address `vaddr`, if one can lie there.
    pub fn cell(&self, vaddr: u64) -> Option<*mut *mut ()> {
        self.writable(vaddr, size_of::<*mut ()>(), align_of::<*mut ()>())
            .map(<*mut u8>::cast)
    }

    /// The pointer to the word at the ELF virtual address `vaddr`, if the loader may write it when it relocates the image.
    pub fn relocated(&self, vaddr: u64) -> Option<*mut *mut c_void> {
        let size = size_of::<*mut c_void>() as u64;
        let end = vaddr.checked_add(size)?;
        self.headers.iter().find(|header| {
            let addresses = header.addresses();
            let is_inside = addresses.start <= vaddr && end <= addresses.end;
            header.kind == PT_LOAD && header.flags & PF_W != 0 && is_inside
        })?;
        let address = usize::try_from(vaddr.checked_add(self.bias)?).ok()?;
        let pointer: *mut *mut c_void = std::ptr::with_exposed_provenance_mut(address);
        pointer.is_aligned().then_some(pointer)
    }

    /// Whether the loader has made the page at this address of the process read-only once it was relocated.
    pub fn is_protected(&self, page: u64) -> bool {
        let page = page.wrapping_sub(self.bias);
        self.headers.iter().any(|header| {
            // As glibc does: a page that is only a part of it at its end stays as it is.
            let Range { start, end } = header.addresses();
            let whole = start / PAGE * PAGE..end / PAGE * PAGE;
            header.kind == PT_GNU_RELRO && whole.contains(&page)
        })
    }

    /// The pointer to the function at the ELF virtual address `vaddr`, if there is code.
    pub fn function(&self, vaddr: u64) -> Option<*mut ()> {
        self.headers.iter().find(|header| {
            header.kind == PT_LOAD
                && header.flags & PF_X != 0
                && header.addresses().contains(&vaddr)
        })?;
        let address = usize::try_from(self.bias.checked_add(vaddr)?).ok()?;
        Some(std::ptr::with_exposed_provenance_mut(address))
    }
}

/// How many bytes of a file [`library_headers`] wants to see: room for many more headers than any linker writes.
pub const fn head_size() -> usize {
    4096
}

/// The GNU build id in the contents of a note segment.
pub fn build_id(mut notes: &[u8], align: u64) -> Option<Vec<u8>> {
    // Notes are padded to 4 bytes, or to 8 where the segment says so.
    let align = if align == 8 { 8 } else { 4 };
    loop {
        let name_size = read_u32(notes)? as usize;
        let desc_size = read_u32(notes.get(4..)?)? as usize;
        let kind = read_u32(notes.get(8..)?)?;
        let name_end = 12_usize.checked_add(name_size)?;
        let desc_start = name_end.checked_next_multiple_of(align)?;
        let desc_end = desc_start.checked_add(desc_size)?;
        let name = notes.get(12..name_end)?;
        let desc = notes.get(desc_start..desc_end)?;
        if kind == NT_GNU_BUILD_ID && name == b"GNU\0" {
            return Some(desc.to_vec());
        }
        notes = notes.get(desc_end.checked_next_multiple_of(align)?..)?;
    }
}

fn lies_inside(offset: u64, size: u64, length: u64) -> bool {
    offset.checked_add(size).is_some_and(|end| end <= length)
}

fn read_program_header(entry: &[u8]) -> Option<ProgramHeader> {
    Some(ProgramHeader {
        kind: read_u32(entry)?,
        flags: read_u32(entry.get(4..)?)?,
        offset: read_u64(entry.get(8..)?)?,
        vaddr: read_u64(entry.get(16..)?)?,
        paddr: read_u64(entry.get(24..)?)?,
        filesz: read_u64(entry.get(32..)?)?,
        memsz: read_u64(entry.get(40..)?)?,
        align: read_u64(entry.get(48..)?)?,
    })
}

fn read_u16(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().copied().map(u16::from_le_bytes)
}

fn read_u32(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().copied().map(u32::from_le_bytes)
}

fn read_u64(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().copied().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library() -> Vec<u8> {
        let mut file = vec![0; HEADER_SIZE];
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file[16..18].copy_from_slice(&ET_DYN.to_le_bytes());
        file[18..20].copy_from_slice(&EM_X86_64.to_le_bytes());
        file[32..40].copy_from_slice(&64_u64.to_le_bytes());
        file[40..48].copy_from_slice(&200_u64.to_le_bytes());
        file[54..56].copy_from_slice(&56_u16.to_le_bytes());
        file[56..58].copy_from_slice(&1_u16.to_le_bytes());
        file[60..62].copy_from_slice(&2_u16.to_le_bytes());
        file.extend(PT_LOAD.to_le_bytes());
        file.extend(PF_X.to_le_bytes());
        for word in [0_u64, 0x1000, 0, 200, 300, 4096] {
            file.extend(word.to_le_bytes());
        }
        file.resize(200 + 2 * 64, 0);
        file
    }

    #[test]
    fn a_whole_library_gives_its_segments() {
        let file = library();
        let headers = library_headers(&file, file.len() as u64);
        let expected = ProgramHeader {
            kind: PT_LOAD,
            flags: PF_X,
            offset: 0,
            vaddr: 0x1000,
            paddr: 0,
            filesz: 200,
            memsz: 300,
            align: 4096,
        };
        assert_eq!(headers, Ok(vec![expected]));
        assert_eq!(expected.addresses(), 0x1000..0x1000 + 300);
    }

    #[test]
    fn a_library_cut_anywhere_is_refused() {
        let file = library();
        for length in 0..file.len() {
            assert!(
                library_headers(&file[..length], length as u64).is_err(),
                "cut at {length}"
            );
        }
    }

    #[test]
    fn any_byte_may_be_anything() {
        let file = library();
        for at in 0..file.len() {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[at] = value;
                let _ = library_headers(&damaged, damaged.len() as u64);
            }
        }
    }

    #[test]
    fn a_build_id_is_found_behind_another_note() {
        let mut notes = Vec::new();
        for (kind, desc) in [(1_u32, &[9_u8; 5][..]), (NT_GNU_BUILD_ID, &[1, 2, 3][..])] {
            notes.extend(4_u32.to_le_bytes());
            notes.extend((desc.len() as u32).to_le_bytes());
            notes.extend(kind.to_le_bytes());
            notes.extend(b"GNU\0");
            notes.extend(desc);
            notes.resize(notes.len().next_multiple_of(4), 0);
        }
        assert_eq!(build_id(&notes, 4), Some(vec![1, 2, 3]));
        for end in 0..notes.len() - 1 {
            assert_eq!(build_id(&notes[..end], 4), None);
        }
        assert_eq!(build_id(&[0xff; 64], 4), None);
    }
}
