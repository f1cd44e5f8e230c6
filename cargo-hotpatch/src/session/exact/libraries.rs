//! What the program lacks of the libraries it was linked with: the objects of those that a linker left out.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use object::read::archive::ArchiveFile;

use crate::image::elf::{self, Elf};

/// Rust libraries of the program's link, read when something is missing.
#[derive(Debug)]
pub struct Libraries {
    paths: Vec<PathBuf>,
    /// Which object defines a symbol: library, and place of the object in it.
    index: Option<HashMap<String, (usize, u64, u64)>>,
}

impl Libraries {
    /// These.
    #[must_use]
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self { paths, index: None }
    }

    /// The object that defines a symbol, with a name for it.
    pub fn object(&mut self, symbol: &str) -> Option<(String, Vec<u8>)> {
        let index = self.index.get_or_insert_with(|| index(&self.paths));
        let (library, offset, size) = *index.get(symbol)?;
        let data = fs::read(self.paths.get(library)?).ok()?;
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        let name = format!("library-{library}-{offset}.o");
        Some((name, data.get(start..end)?.to_vec()))
    }
}

fn index(paths: &[PathBuf]) -> HashMap<String, (usize, u64, u64)> {
    let mut found = HashMap::new();
    for (library, path) in paths.iter().enumerate() {
        // A library that cannot be read is not there for the linker either: then the symbol is missing.
        let _ = add(library, path, &mut found);
    }
    found
}

fn add(
    library: usize,
    path: &Path,
    found: &mut HashMap<String, (usize, u64, u64)>,
) -> Option<()> {
    let data = fs::read(path).ok()?;
    let archive = ArchiveFile::parse(&*data).ok()?;
    for member in archive.members() {
        let member = member.ok()?;
        let (offset, size) = member.file_range();
        let Ok(bytes) = member.data(&*data) else {
            continue;
        };
        let Ok(elf) = Elf::parse(bytes) else { continue };
        let Ok(symbols) = elf.symbols() else { continue };
        for raw in symbols.iter() {
            if raw.binding != elf::STB_LOCAL && raw.section != elf::SHN_UNDEF {
                let name = symbols.name(&raw);
                if !name.is_empty() && !found.contains_key(name) {
                    found.insert(name.to_owned(), (library, offset, size));
                }
            }
        }
    }
    Some(())
}
