//! The objects of the workspace's crates as they were compiled last, on disk, with what they define.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use xxhash_rust::xxh3::xxh3_128;

use super::processors::on_all_processors;
use crate::object::archive;
use crate::object::facts::Facts;
use crate::object::fingerprint::{Definition, definitions};
use crate::object::names::Names;

/// One object. Its file stays open, so that it can be read after others were put in its place.
#[derive(Debug)]
pub struct ObjectFile {
    /// Its name, which is that of a codegen unit.
    pub name: String,
    file: Arc<File>,
    offset: u64,
    size: usize,
    hash: u128,
    /// What it defines.
    pub definitions: Vec<Definition>,
    facts: OnceLock<Arc<Facts>>,
}

impl ObjectFile {
    /// Its bytes.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.size];
        self.file.read_exact_at(&mut bytes, self.offset)?;
        Ok(bytes)
    }

    /// What it says of its types, read when it is asked first.
    ///
    /// # Errors
    /// It cannot be read, or its debug information is damaged.
    pub fn facts(&self, crates: &[&str]) -> Result<Arc<Facts>> {
        if let Some(facts) = self.facts.get() {
            return Ok(facts.clone());
        }
        let facts = Facts::read(&self.bytes()?, crates)
            .with_context(|| format!("failed to read the types in `{}`", self.name))?;
        Ok(self.facts.get_or_init(|| Arc::new(facts)).clone())
    }
}

/// What objects say together that are in `these` and not in `others`.
///
/// # Errors
/// As [`ObjectFile::facts`].
pub fn facts_beside<'a>(
    these: impl Iterator<Item = &'a Arc<ObjectFile>>,
    others: &HashSet<u128>,
    crates: &[&str],
) -> Result<Facts> {
    let mut all = Facts::default();
    let these = these.filter(|object| !others.contains(&object.hash));
    let these: Vec<&Arc<ObjectFile>> = these.collect();
    // What is wrong with one shows below.
    on_all_processors(these.iter(), |object| drop(object.facts(crates)));
    for object in these {
        let facts = object.facts(crates)?;
        all.layouts.learn(facts.layouts.clone());
        let functions = facts.functions.iter();
        all.functions
            .extend(functions.map(|(symbol, of)| (symbol.clone(), of.clone())));
        let statics = facts.statics.iter();
        all.statics
            .extend(statics.map(|(symbol, of)| (symbol.clone(), of.clone())));
        let vtables = facts.vtables.iter();
        all.vtables
            .extend(vtables.map(|(path, of)| (path.clone(), of.clone())));
    }
    Ok(all)
}

/// Fingerprints of the objects' bytes.
pub fn hashes<'a>(objects: impl Iterator<Item = &'a Arc<ObjectFile>>) -> HashSet<u128> {
    objects.map(|object| object.hash).collect()
}

/// The objects of a crate.
pub type Objects = Vec<Arc<ObjectFile>>;

/// Reads the objects in these files; those that are in `known` with the same bytes are taken from there.
///
/// # Errors
/// A file cannot be read, or is none that rustc writes.
pub fn read(
    paths: &[PathBuf],
    known: &Objects,
    names: &mut Names,
    is_source: &dyn Fn(&[u8]) -> bool,
) -> Result<Objects> {
    let mut found = Objects::new();
    for path in paths {
        read_one(path, known, names, is_source, &mut found)
            .with_context(|| format!("failed to read the objects in `{}`", path.display()))?;
    }
    Ok(found)
}

fn read_one(
    path: &Path,
    known: &Objects,
    names: &mut Names,
    is_source: &dyn Fn(&[u8]) -> bool,
    found: &mut Objects,
) -> Result<()> {
    let file = Arc::new(File::open(path)?);
    let mut data = vec![0; usize::try_from(file.metadata()?.len())?];
    file.read_exact_at(&mut data, 0)?;
    let members = if data.starts_with(b"\x7fELF") {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        vec![archive::Member {
            name: name.into_owned(),
            range: 0..data.len(),
        }]
    } else {
        archive::objects(&data)?
    };
    for member in members {
        // Objects of other languages are in an archive, too.
        if !member.name.ends_with(".rcgu.o") {
            continue;
        }
        let bytes = &data[member.range.clone()];
        let hash = xxh3_128(bytes);
        if let Some(same) = known.iter().find(|object| object.hash == hash) {
            found.push(same.clone());
            continue;
        }
        found.push(Arc::new(ObjectFile {
            definitions: definitions(bytes, names, is_source)?,
            name: member.name,
            file: file.clone(),
            offset: member.range.start as u64,
            size: member.range.len(),
            hash,
            facts: OnceLock::new(),
        }));
    }
    Ok(())
}
