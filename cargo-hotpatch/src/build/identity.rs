//! How the symbols of a crate begin. rustc is asked: it makes a crate's identity from its name, from what cargo calls its
//! metadata, and from whether it is a program.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::capture::Unit;
use super::rustc::{self, RustcArgs};
use super::scope::tool;
use crate::command::CancelToken;
use crate::image::elf::Elf;
use crate::object::v0;

/// How often another identity is tried for a scope.
const ATTEMPTS: u32 = 200;

/// The roots of a crate and of its scope in symbols, such as `Cs4YUYtxHDUIo_3app`. Both are of one length, so that
/// symbols, which refer back to their own parts by position, can be told in either way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// That of the code that runs.
    pub base: String,
    /// That of the scope.
    pub scope: String,
}

/// The crate as its scope is to be compiled, and the roots of both. A library's scope is the same crate again; a
/// program cannot be used by others, so its scope is a library, which is another crate to rustc.
///
/// # Errors
/// rustc cannot be asked, or was cancelled.
pub fn of_scope(unit: &Unit, cancel: &CancelToken) -> Result<(Unit, Roots)> {
    let folder = unit.folder.join("identity");
    fs::create_dir_all(&folder)
        .with_context(|| format!("failed to create `{}`", folder.display()))?;
    let ask = |args: &RustcArgs, kind: &str| root(unit, args, kind, &folder, cancel);
    let mut of_scope = unit.clone();
    if !unit.bin {
        let base = ask(&unit.args, "rlib")?;
        let scope = base.clone();
        return Ok((of_scope, Roots { base, scope }));
    }
    let base = ask(&unit.args, "bin")?;
    let args = rustc::without_harness(&unit.args);
    for attempt in 0..ATTEMPTS {
        of_scope.args = rustc::with_other_identity(&args, attempt);
        let scope = ask(&of_scope.args, "rlib")?;
        if scope.len() == base.len() {
            return Ok((of_scope, Roots { base, scope }));
        }
    }
    bail!("no identity like that of crate `{}` was found", unit.krate)
}

fn root(
    unit: &Unit,
    args: &RustcArgs,
    kind: &str,
    folder: &Path,
    cancel: &CancelToken,
) -> Result<String> {
    // Two sessions may ask at once.
    let name = format!("{kind}-{}", std::process::id());
    let source = folder.join(format!("{name}.rs"));
    let object = folder.join(format!("{name}.o"));
    fs::write(&source, "pub fn main() {}\n")
        .with_context(|| format!("failed to write `{}`", source.display()))?;
    tool(unit, &rustc::empty(args, kind, &source, &object))
        .run_checked(cancel)
        .context("failed to ask rustc for a crate's identity")?;
    let bytes =
        fs::read(&object).with_context(|| format!("failed to read `{}`", object.display()))?;
    // Only scratch.
    let _ = fs::remove_file(&source).and_then(|()| fs::remove_file(&object));
    let elf = Elf::parse(&bytes)?;
    let symbols = elf.symbols()?;
    let found = symbols.iter().find_map(|raw| {
        let name = symbols.name(&raw);
        let root = v0::root(name, &unit.krate)?;
        name.ends_with("4main").then(|| root.to_owned())
    });
    found.context("rustc mangles symbols in a way that is not known")
}
