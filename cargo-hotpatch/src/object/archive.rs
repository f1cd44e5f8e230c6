//! The objects inside of a Rust library.

use std::ops::Range;

use object::read::archive::ArchiveFile;

use crate::image::elf::ElfError;

/// A member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Where its bytes are in the archive.
    pub range: Range<usize>,
}

/// The ELF objects of an archive, in their order; metadata and the like are left out.
///
/// # Errors
/// If this is no archive, or a damaged one.
pub fn objects(data: &[u8]) -> Result<Vec<Member>, ElfError> {
    let archive = ArchiveFile::parse(data)?;
    let mut found = Vec::new();
    for member in archive.members() {
        let member = member?;
        let (start, size) = member.file_range();
        let range = usize::try_from(start).ok().zip(usize::try_from(size).ok());
        let range = range.and_then(|(start, size)| Some(start..start.checked_add(size)?));
        let range = range.ok_or(ElfError::OutOfBounds("an archive member"))?;
        let bytes = data.get(range.clone());
        let bytes = bytes.ok_or(ElfError::OutOfBounds("an archive member"))?;
        let name = String::from_utf8_lossy(member.name()).into_owned();
        // rustc keeps the crate's metadata in an object of its own, which holds no code.
        if bytes.starts_with(b"\x7fELF") && !name.ends_with(".rmeta") {
            found.push(Member { name, range });
        }
    }
    Ok(found)
}
