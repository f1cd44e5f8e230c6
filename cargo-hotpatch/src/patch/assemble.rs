//! Compiled patch crates made into libraries for one process: bound, linked, read again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::bind;
use super::compile::{Compiled, shown};
use super::link::{Link, Linker, link_command};
use super::tls::{self, Reach};
use crate::command::{CancelToken, Tool};
use crate::image::symbols::{BaseImage, PatchImage};

/// A library that is ready to be loaded.
pub struct Library {
    /// The file.
    pub path: PathBuf,
    /// What is in it.
    pub image: PatchImage,
    /// Its size.
    pub bytes: u64,
}

/// What a library is made of.
pub struct Parts<'a> {
    /// The compiled patch crate.
    pub compiled: &'a Compiled,
    /// Statics it gives storage to: what code calls them, and what the patch does.
    pub added: &'a [(String, String)],
    /// The program.
    pub image: &'a BaseImage,
    /// Whether the function with this symbol has a slot: then even the patch's own calls go there.
    pub is_hot: &'a dyn Fn(&str) -> bool,
    /// The linker.
    pub linker: &'a Linker,
    /// Shared libraries that are in the process.
    pub libraries: &'a [PathBuf],
    /// Where the library goes; objects go beside it.
    pub output: &'a Path,
}

/// A symbol that nothing in the process provides.
#[derive(Debug, thiserror::Error)]
#[error("the program has no `{}`", shown(.symbol))]
pub struct Missing {
    /// The symbol.
    pub symbol: String,
}

/// Binds and links. `address` knows where functions and data of the process are.
///
/// # Errors
/// [`Missing`] for the first symbol nobody has; else what the linker or the file system says.
pub fn library(
    parts: &Parts<'_>,
    address: &dyn Fn(&str) -> Option<u64>,
    cancel: &CancelToken,
) -> Result<Library> {
    let mut object = parts.compiled.data.clone();
    let is_here = |name: &str| parts.added.iter().any(|(old, _)| old == name);
    tls::rewrite(&mut object, |name| {
        let offset = parts.image.tls_offset_of(name).map(Reach::Offset);
        let here = || is_here(name).then_some(Reach::Here);
        offset
            .or_else(here)
            .or_else(|| address(name).map(|_| Reach::Call))
    })
    .context("failed to bind a thread-local")?;
    let pairs: Vec<(&str, &str)> = parts
        .compiled
        .object
        .pairs
        .iter()
        .map(|pair| (pair.old.as_str(), pair.new.as_str()))
        .filter(|(old, new)| old != new && !(parts.is_hot)(old))
        .chain(
            parts
                .added
                .iter()
                .map(|(old, new)| (old.as_str(), new.as_str())),
        )
        .collect();
    bind::redirect(&mut object, &pairs).context("failed to redirect the patch's own calls")?;
    // By now only the table of pairs, which nobody reads any more, names a new function's own symbol.
    let introduced = |name: &str| pairs.iter().any(|(old, _)| *old == name).then_some(0);
    let bound = bind::bind(&mut object, |name| {
        address(name).or_else(|| introduced(name))
    })
    .context("failed to bind the patch")?;
    if let Some(name) = bound.left.iter().find(|name| !parts.image.imports(name)) {
        return Err(Missing {
            symbol: name.clone(),
        }
        .into());
    }
    let patch = parts.output.with_extension("o");
    let table = parts.output.with_extension("table.o");
    for (path, data) in [(&patch, &object), (&table, &bound.table)] {
        fs::write(path, data).with_context(|| format!("failed to write `{}`", path.display()))?;
    }
    let objects = [patch, table];
    let link = Link {
        objects: &objects,
        libraries: parts.libraries,
        soname: None,
        output: parts.output,
    };
    let mut command = link_command(parts.linker, &link).into_iter();
    let program = command.next().context("the linker has no name")?;
    Tool::new(program)
        .args(command)
        .run_checked(cancel)
        .context("failed to link the patch")?;
    let data = fs::read(parts.output)
        .with_context(|| format!("failed to read `{}`", parts.output.display()))?;
    let image = PatchImage::parse(&data).context("failed to read the linked patch")?;
    for path in objects {
        // Only scratch.
        let _ = fs::remove_file(path);
    }
    Ok(Library {
        path: parts.output.to_owned(),
        image,
        bytes: data.len() as u64,
    })
}
