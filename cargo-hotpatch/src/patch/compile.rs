//! One patch crate, compiled: from functions to an object.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::build::capture::Unit;
use crate::build::diagnostics;
use crate::build::rustc;
use crate::build::scope::{private_imports, tool};
use crate::command::CancelToken;
use crate::image::object_file::{self, Pair};
use crate::source::extract::{self, Contents};
use crate::source::items::CrateSource;

/// What a patch crate is made of.
pub struct Recipe<'a> {
    /// The crate as captured.
    pub unit: &'a Unit,
    /// Its source as of now.
    pub source: &'a CrateSource,
    /// What it is to hold.
    pub contents: Contents<'a>,
    /// The metadata of the crate's scope.
    pub scope: &'a Path,
    /// A fresh folder for the text and the object.
    pub folder: &'a Path,
    /// Tells the patch's symbols from those of all others.
    pub identity: &'a str,
}

/// A compiled patch crate.
pub struct Compiled {
    /// The object's bytes.
    pub data: Vec<u8>,
    /// Which of the crate's functions are which of the object's.
    pub pairs: Vec<Pair>,
}

/// Compiles a patch crate.
///
/// # Errors
/// rustc does not take it, or cannot be run, or what the file system says.
pub fn compile(recipe: &Recipe<'_>, cancel: &CancelToken) -> Result<Compiled> {
    let Recipe {
        unit,
        source,
        contents,
        scope,
        folder,
        identity,
    } = recipe;
    fs::create_dir_all(folder)
        .with_context(|| format!("failed to create `{}`", folder.display()))?;
    let private = private_imports(unit);
    let krate = extract::patch_crate(source, *contents, &private, folder)?;
    let mut remaps = Vec::new();
    for file in &krate.files {
        fs::write(&file.path, &file.text)
            .with_context(|| format!("failed to write `{}`", file.path.display()))?;
        let shown = unit.spelling(&file.original);
        remaps.push(format!(
            "--remap-path-prefix={}={}",
            file.path.display(),
            shown.display()
        ));
    }
    let root: PathBuf = krate
        .files
        .first()
        .map(|file| file.path.clone())
        .unwrap_or_default();
    let object = folder.join("patch.o");
    let args = rustc::patch(&unit.args, &root, &object, identity, scope)
        .with(remaps)
        .with(unit.marks())
        // Each function has a symbol and a section of its own, also where nobody else can name it.
        .with(["-Clink-dead-code"]);
    let tool = tool(unit, &args);
    let output = tool.run(cancel).context("failed to compile the patch")?;
    keep(folder, tool.line().full());
    if !output.status.success() {
        let found = diagnostics::parse(&output.stderr_text());
        if let Some(said) = diagnostics::beside_the_code(&found) {
            return Err(output.saying(said).into_error()).context("failed to compile the patch");
        }
        if found.iter().any(|diagnostic| diagnostic.error) {
            bail!("rustc refused the patch crate");
        }
        return Err(output.into_error()).context("failed to compile the patch");
    }
    let data =
        fs::read(&object).with_context(|| format!("failed to read `{}`", object.display()))?;
    let pairs = object_file::pairs(&data).context("failed to read the patch's object")?;
    Ok(Compiled { data, pairs })
}

/// With `HOTPATCH_SAVE_DIR` set, what was compiled and how stays there: a report of a fault can replay it.
fn keep(folder: &Path, command: &str) {
    let Some(save) = std::env::var_os(SAVE_ENV) else {
        return;
    };
    let to = Path::new(&save).join(folder.file_name().unwrap_or_default());
    // Keeping is a courtesy to whoever looks for a fault; the patch does not depend on it.
    let _ = fs::create_dir_all(&to);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let _ = fs::copy(entry.path(), to.join(entry.file_name()));
    }
    let _ = fs::write(to.join("replay.sh"), format!("{command}\n"));
}

const SAVE_ENV: &str = "HOTPATCH_SAVE_DIR";
