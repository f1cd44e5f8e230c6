//! One patch crate, compiled: from functions of the plan to an object.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::build::capture::Unit;
use crate::build::diagnostics::{self, Diagnostic};
use crate::build::rustc;
use crate::build::scope::{Scope, private_imports, tool, with_scopes};
use crate::command::CancelToken;
use crate::image::object_file::{PatchObject, rename};
use crate::image::symbols::{BaseImage, Kind};
use crate::source::extract::{self, Added, Wanted};
use crate::source::items::CrateSource;
use crate::source::widen::name_in_place;

/// What a patch crate is made of.
pub struct Recipe<'a> {
    /// The crate as captured.
    pub unit: &'a Unit,
    /// Its source as of now.
    pub source: &'a CrateSource,
    /// The functions.
    pub wanted: &'a [Wanted],
    /// Statics to give storage to.
    pub added: &'a [Added],
    /// The crate's scope.
    pub scope: &'a Scope,
    /// Scopes that stand for changed libraries.
    pub changed: &'a BTreeMap<String, Scope>,
    /// A fresh folder for the text and the object.
    pub folder: &'a Path,
    /// Tells the patch's symbols from those of all others.
    pub identity: &'a str,
    /// All generic code is compiled for the patch, even what the program has an instance of.
    pub own_instances: bool,
    /// No call is inlined, whatever the profile and attributes say: the object tells what its code refers to, and is not to
    /// be linked.
    pub bare: bool,
    /// Each function has a symbol and a section of its own, also where nobody else can name it.
    pub named: bool,
}

/// A compiled patch crate.
pub struct Compiled {
    /// The object's bytes.
    pub data: Vec<u8>,
    /// What is in it.
    pub object: PatchObject,
}

/// What a user calls what a symbol is.
#[must_use]
pub fn shown(symbol: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol)).replace(&name_in_place(""), "")
}

impl Compiled {
    /// Calls what a hot function left in its place keeps, its thread-locals and statics, as the program does: there the
    /// function goes by its own name, and what is in it by that.
    pub fn name_as_in(&mut self, image: &BaseImage) {
        let in_place = name_in_place("");
        let found = self.object.undefined.iter().enumerate();
        let found = found.filter(|(_, symbol)| symbol.name.contains(&in_place));
        let found: Vec<(usize, String)> = found
            .filter_map(|(at, symbol)| {
                let text = rustc_demangle::demangle(&symbol.name).to_string();
                let text = text.replace(&in_place, "");
                let (other, _) = image.read_as(&text, &[Kind::Data, Kind::Tls])?;
                Some((at, other.to_owned()))
            })
            .collect();
        for (at, name) in &found {
            // Two that read alike are two.
            let is_alone = found.iter().filter(|(_, other)| other == name).count() == 1;
            let symbol = &mut self.object.undefined[*at];
            if is_alone && rename(&mut self.data, &symbol.name, name) {
                name.clone_into(&mut symbol.name);
            }
        }
    }
}

/// rustc did not take the patch crate.
#[derive(Debug, thiserror::Error)]
#[error("rustc refused the patch crate")]
pub struct Rejected(pub Vec<Diagnostic>);

/// Compiles a patch crate.
///
/// # Errors
/// [`Rejected`] with rustc's reasons; other errors are the file system's or those of running rustc.
pub fn compile(recipe: &Recipe<'_>, cancel: &CancelToken) -> Result<Compiled> {
    let Recipe {
        unit,
        source,
        wanted,
        added,
        scope,
        changed,
        folder,
        identity,
        own_instances,
        bare,
        named,
    } = recipe;
    fs::create_dir_all(folder)
        .with_context(|| format!("failed to create `{}`", folder.display()))?;
    let private = private_imports(unit);
    let krate = extract::patch_crate(source, wanted, added, &private, folder)?;
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
    let args = rustc::patch(&unit.args, &root, &object, identity, &scope.rmeta)
        .with(remaps)
        // What a slot of an `async fn` leads to names it.
        .with([rustc::live_extern(&unit.live)])
        .with([rustc::search_path(&unit.live)])
        .with(named.then_some("-Clink-dead-code"));
    let args = if *bare { rustc::bare(args) } else { args };
    let args = with_scopes(&args, changed);
    // Stable rustc has no flag for it; none of the language's own gates is opened by this, since the
    // patch crate has the attributes of the user's.
    let tool = if *own_instances {
        tool(unit, &args.with(["-Zshare-generics=no"])).env("RUSTC_BOOTSTRAP", "1")
    } else {
        tool(unit, &args)
    };
    let output = tool.run(cancel).context("failed to compile the patch")?;
    keep(folder, tool.line().full());
    if !output.status.success() {
        let found = diagnostics::parse(&output.stderr_text());
        if let Some(said) = diagnostics::beside_the_code(&found) {
            return Err(output.saying(said).into_error()).context("failed to compile the patch");
        }
        if found.iter().any(|diagnostic| diagnostic.error) {
            return Err(Rejected(found).into());
        }
        return Err(output.into_error()).context("failed to compile the patch");
    }
    let data =
        fs::read(&object).with_context(|| format!("failed to read `{}`", object.display()))?;
    let parsed = PatchObject::parse(&data).context("failed to read the patch's object")?;
    Ok(Compiled {
        data,
        object: parsed,
    })
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

/// The crate as the user wrote it, checked: what rustc has to say about it, and the metadata that others which use
/// it are checked against.
///
/// # Errors
/// rustc cannot be run, or was cancelled.
pub fn check(
    unit: &Unit,
    changed: &BTreeMap<String, Scope>,
    cancel: &CancelToken,
) -> Result<(Vec<Diagnostic>, Scope)> {
    let folder = unit.folder.join("check");
    fs::create_dir_all(&folder)?;
    let metadata = folder.join(format!("lib{}.rmeta", unit.krate));
    let args = rustc::check(&unit.args, &metadata, &folder.join("incremental"))
        .with([rustc::search_path(&unit.live)]);
    let args = with_scopes(&args, changed);
    let output = tool(unit, &args)
        .run(cancel)
        .context("failed to check the crate")?;
    let found = diagnostics::parse(&output.stderr_text());
    if let Some(said) = diagnostics::beside_the_code(&found) {
        return Err(output.saying(said).into_error()).context("failed to check the crate");
    }
    if !output.status.success() && !found.iter().any(|diagnostic| diagnostic.error) {
        return Err(output.into_error()).context("failed to check the crate");
    }
    let checked = Scope {
        key: 0,
        rmeta: metadata,
    };
    Ok((found, checked))
}
