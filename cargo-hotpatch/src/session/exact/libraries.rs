//! What the program lacks of the libraries it was linked with, or could have been: the objects that a linker left out.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use object::read::archive::ArchiveFile;

/// Rust libraries, read when something is missing.
#[derive(Debug)]
pub struct Libraries {
    /// Those of the program's link, then all others beside them: a crate may use a dependency for the first time.
    tiers: [Tier; 2],
}

#[derive(Debug)]
struct Tier {
    paths: Vec<PathBuf>,
    index: Option<Index>,
}

/// Which object defines a symbol: library, and place of the object's header in it.
type Index = HashMap<Box<[u8]>, (usize, u64)>;

impl Libraries {
    /// Those of a link, and those in folders but for those that are left out.
    #[must_use]
    pub fn new(
        linked: Vec<PathBuf>,
        folders: &BTreeSet<&Path>,
        is_left_out: impl Fn(&Path) -> bool,
    ) -> Self {
        let mut others: Vec<PathBuf> = folders.iter().flat_map(|folder| rlibs(folder)).collect();
        others.retain(|path| !linked.contains(path) && !is_left_out(path));
        let tier = |paths| Tier { paths, index: None };
        Self {
            tiers: [tier(linked), tier(others)],
        }
    }

    /// Reads the tables of all libraries, which takes long where there are many, so that no edit has to wait for it.
    pub fn warm_up(&mut self) {
        for tier in &mut self.tiers {
            tier.index();
        }
    }

    /// The object that defines a symbol, with a name for it. Names of symbols tell versions of crates apart.
    pub fn object(&mut self, symbol: &str) -> Option<(String, Vec<u8>)> {
        self.tiers
            .iter_mut()
            .enumerate()
            .find_map(|(tier, of)| of.object(tier, symbol))
    }
}

impl Tier {
    fn index(&mut self) -> &Index {
        let paths = &self.paths;
        self.index.get_or_insert_with(|| index(paths))
    }

    fn object(&mut self, number: usize, symbol: &str) -> Option<(String, Vec<u8>)> {
        let (library, offset) = *self.index().get(symbol.as_bytes())?;
        let data = fs::read(self.paths.get(library)?).ok()?;
        let archive = ArchiveFile::parse(&*data).ok()?;
        let member = archive
            .member(object::read::archive::ArchiveOffset(offset))
            .ok()?;
        let name = format!("library-{number}-{library}-{offset}.o");
        Some((name, member.data(&*data).ok()?.to_vec()))
    }
}

fn rlibs(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "rlib"))
        .collect();
    found.sort();
    found
}

fn index(paths: &[PathBuf]) -> Index {
    let mut found = HashMap::new();
    for (library, path) in paths.iter().enumerate() {
        // A library that cannot be read is not there for the linker either: then the symbol is missing.
        let _ = add(library, path, &mut found);
    }
    found
}

/// The archive's own table of symbols is what linkers read.
fn add(library: usize, path: &Path, found: &mut Index) -> Option<()> {
    let data = fs::read(path).ok()?;
    let archive = ArchiveFile::parse(&*data).ok()?;
    for symbol in archive.symbols().ok()?? {
        let symbol = symbol.ok()?;
        found
            .entry(symbol.name().into())
            .or_insert((library, symbol.offset().0));
    }
    Some(())
}
/// Shared libraries in the process that the program itself was linked with: what a patch may take
/// symbols from.
#[must_use]
pub(super) fn loaded(pid: u32, needed: &[String]) -> Vec<PathBuf> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let mut found: Vec<PathBuf> = maps
        .lines()
        .filter_map(|line| line.find('/').map(|at| Path::new(&line[at..]).to_owned()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| needed.iter().any(|n| name == n.as_str()))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}
