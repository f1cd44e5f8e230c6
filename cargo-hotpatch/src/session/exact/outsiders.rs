//! Libraries by path that are no members of the workspace: cargo compiles them without this tool, so that their code
//! cannot be replaced. Their files are watched all the same, since an edit of one must not pass for no change.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

use crate::build::base::dep_info_files;
use crate::build::rustc::library_stem;
use crate::plan::codes::Code;
use crate::plan::verdict::Refusal;
use crate::source::file::Place;

/// Their files, as they were when the program was built.
#[derive(Debug, Default)]
pub struct Outsiders {
    /// The crate's name and the fingerprint of each file.
    files: BTreeMap<PathBuf, (String, Option<u128>)>,
}

impl Outsiders {
    /// Those among these libraries. What registries and git repositories hold is not edited, and neither are files
    /// without their dep-info.
    #[must_use]
    pub fn among(libraries: &[PathBuf], own: &BTreeSet<String>, workspace: &Path) -> Self {
        let mut files = BTreeMap::new();
        for library in libraries {
            let Some(stem) = library_stem(library) else {
                continue;
            };
            if own.contains(stem) {
                continue;
            }
            let name = stem.rsplit_once('-').map_or(stem, |(name, _)| name);
            let dep_info = library.with_file_name(format!("{stem}.d"));
            for file in dep_info_files(&dep_info, workspace) {
                let is_edited = file.is_file() && !is_fetched(&file);
                if is_edited {
                    let hash = fingerprint(&file);
                    files.insert(file, (name.to_owned(), hash));
                }
            }
        }
        Self { files }
    }

    /// Their files.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.keys()
    }

    /// The refusal of an edit of one.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        let mut files = self.files.iter();
        let (file, (name, _)) = files.find(|(file, (_, hash))| fingerprint(file) != *hash)?;
        let message = format!("crate `{name}` is not a member of the workspace");
        let refusal = Refusal::new(Code::HP0401, message, file, Place { line: 0, column: 0 });
        Some(
            refusal.because(
                "cargo compiles it like a crate of a registry; make it a member to patch it",
            ),
        )
    }
}

fn fingerprint(file: &Path) -> Option<u128> {
    fs::read(file).ok().map(|bytes| xxh3_128(&bytes))
}

/// Whether cargo fetched a file: below its home, or unpacked there by another name.
fn is_fetched(file: &Path) -> bool {
    let text = file.to_string_lossy();
    text.contains("/registry/src/") || text.contains("/git/checkouts/") || text.contains("/out/")
}
