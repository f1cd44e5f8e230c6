//! `libhotpatch_live.rlib`: the slots and the agent, compiled by the very rustc of the build.
//!
//! The sources are `hotpatch-rt`'s own, embedded in this tool; the crate has no dependencies, so
//! one rustc call makes it, offline, and the user's `Cargo.lock` does not know of it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::agent_cache::AgentCache;
use crate::command::{CancelToken, Tool};

const LIBRARY: &str = "libhotpatch_live.rlib";

/// What rustc is told, but for paths.
const FLAGS: &[&str] = &[
    "--crate-name",
    "hotpatch_live",
    "--edition",
    "2024",
    "--crate-type",
    "rlib",
    "-O",
    "-Csymbol-mangling-version=v0",
    "-Cmetadata=hotpatch_live",
    "--cap-lints",
    "allow",
    "-Cembed-bitcode=no",
    "-Cstrip=none",
    "-Cdebuginfo=line-tables-only",
    // First starts wait for this. The agent need not be fast, so LLVM's passes are left out, which is half of the
    // time. It is no `-O0`, because then the user's crates would take generic code from here.
    "-Cno-prepopulate-passes",
    "-Ccodegen-units=1",
    "--cfg",
    "feature=\"live\"",
    "--cfg",
    "feature=\"wire\"",
];

/// The library for `rustc` below `folder`, made now if it is not there yet.
///
/// # Errors
/// The folder cannot be written, or rustc fails (with its output).
pub fn ensure(rustc: &Path, folder: &Path) -> Result<PathBuf> {
    let toolchain = toolchain(rustc, std::env::var_os("RUSTUP_TOOLCHAIN").as_deref());
    let home = folder.join(format!("live-{toolchain:016x}"));
    let library = home.join(LIBRARY);
    if library.exists() {
        return Ok(library);
    }
    // Several may come here at once: each makes its own in a folder of its own.
    let fresh = fs::create_dir_all(&home)
        .and_then(|()| tempfile::Builder::new().prefix("fresh-").tempdir_in(&home))
        .with_context(|| format!("failed to create a folder in `{}`", home.display()))?;
    let made = fresh.path().join(LIBRARY);
    let cache = AgentCache::of_user().and_then(|cache| Some((cache, key(rustc, toolchain)?)));
    let was_kept = cache
        .as_ref()
        .is_some_and(|(cache, key)| cache.get(*key, &made).is_ok());
    if !was_kept {
        compile(rustc, fresh.path())?;
        if let Some((cache, key)) = &cache {
            // What cannot be kept is compiled again for the next project.
            let _ = cache.put(*key, &made);
        }
    }
    // The first one stays: crates compiled against it must not see another.
    match fs::hard_link(&made, &library) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(e).with_context(|| format!("failed to write `{}`", library.display()));
        }
        _ => {}
    }
    Ok(library)
}

/// Compiles the sources in this tool to [`LIBRARY`] in `folder`.
///
/// The result is the same for all projects: it knows no path of this one.
fn compile(rustc: &Path, folder: &Path) -> Result<()> {
    let sources = folder.join("src");
    fs::create_dir_all(&sources)
        .with_context(|| format!("failed to create `{}`", sources.display()))?;
    for (name, text) in hotpatch_rt::sources::SOURCES {
        let path = sources.join(name);
        fs::write(&path, text).with_context(|| format!("failed to write `{}`", path.display()))?;
    }
    let mut remap = OsString::from("--remap-path-prefix=");
    remap.push(&sources);
    remap.push("=hotpatch-rt");
    Tool::new(rustc)
        .args(FLAGS)
        .arg(remap)
        .arg("--out-dir")
        .arg(folder)
        .arg(sources.join("lib.rs"))
        .current_dir(&sources)
        .run_checked(&CancelToken::new())
        .context("failed to compile the agent")?;
    Ok(())
}

/// Tells toolchains apart without running them, for as long as a target folder lives.
fn toolchain(rustc: &Path, rustup_toolchain: Option<&OsStr>) -> u64 {
    let mut hasher = DefaultHasher::new();
    rustc.hash(&mut hasher);
    // Only rustup's stand-in for a compiler looks at this: it is one name for all of them. Some of those that come here
    // have the variable and others do not, so for a compiler itself it must not count.
    let is_real = rustc.is_absolute()
        && rustc
            .parent()
            .is_some_and(|bin| bin.join("../lib/rustlib").is_dir());
    if !is_real {
        rustup_toolchain.hash(&mut hasher);
    }
    if let Ok(meta) = rustc.metadata() {
        meta.modified().ok().hash(&mut hasher);
        meta.len().hash(&mut hasher);
    }
    hasher.finish()
}

/// Tells the agents of one user apart: of other compilers, tools and flags. `None`: the compiler does not say what it
/// is.
fn key(rustc: &Path, toolchain: u64) -> Option<u64> {
    let version = Tool::new(rustc)
        .arg("-vV")
        .run_checked(&CancelToken::new())
        .ok()?;
    let mut hasher = DefaultHasher::new();
    version.stdout.hash(&mut hasher);
    // Compilers built by hand can say the same.
    toolchain.hash(&mut hasher);
    FLAGS.hash(&mut hasher);
    hotpatch_rt::sources::SOURCES.hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stand_in_is_told_by_the_variable() {
        let folder = tempfile::tempdir().unwrap();
        let rustc = folder.path().join("bin/rustc");
        fs::create_dir_all(folder.path().join("bin")).unwrap();
        fs::write(&rustc, "").unwrap();
        let of = |name: &str| toolchain(&rustc, Some(OsStr::new(name)));
        assert_ne!(of("stable"), of("nightly"));
        fs::create_dir_all(folder.path().join("lib/rustlib")).unwrap();
        assert_eq!(of("stable"), of("nightly"));
        assert_eq!(of("stable"), toolchain(&rustc, None));
        // Another compiler came to the same place.
        let before = of("stable");
        fs::write(&rustc, "another").unwrap();
        assert_ne!(of("stable"), before);
    }
}
