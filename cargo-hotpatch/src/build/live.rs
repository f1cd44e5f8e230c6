//! `libhotpatch_live.rlib`: the slots and the agent, compiled by the very rustc of the build.
//!
//! The sources are `hotpatch-rt`'s own, embedded in this tool; the crate has no dependencies, so
//! one rustc call makes it, offline, and the user's `Cargo.lock` does not know of it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::{CancelToken, Tool};

/// The library for `rustc` below `folder`, made now if it is not there yet.
///
/// # Errors
/// The folder cannot be written, or rustc fails (with its output).
pub fn ensure(rustc: &Path, folder: &Path) -> Result<PathBuf> {
    let home = folder.join(format!("live-{:016x}", toolchain(rustc)));
    let library = home.join("libhotpatch_live.rlib");
    if library.exists() {
        return Ok(library);
    }
    let sources = home.join(format!("src-{}", std::process::id()));
    std::fs::create_dir_all(&sources)
        .with_context(|| format!("failed to create `{}`", sources.display()))?;
    for (name, text) in hotpatch_rt::sources::SOURCES {
        let path = sources.join(name);
        std::fs::write(&path, text)
            .with_context(|| format!("failed to write `{}`", path.display()))?;
    }
    // Several wrappers may come here at once: each makes its own, the rename decides.
    let fresh = home.join(format!("fresh-{}", std::process::id()));
    std::fs::create_dir_all(&fresh)?;
    Tool::new(rustc)
        .args([
            "--crate-name",
            "hotpatch_live",
            "--edition",
            "2024",
            "--crate-type",
            "rlib",
            "-O",
        ])
        .args([
            "-Csymbol-mangling-version=v0",
            "-Cmetadata=hotpatch_live",
            "--cap-lints",
            "allow",
        ])
        .args([
            "-Cembed-bitcode=no",
            "-Cstrip=none",
            "-Cdebuginfo=line-tables-only",
        ])
        // Everybody's first start waits for this. The agent need not be fast, so LLVM's passes are left out, which is
        // half of the time. It is no `-O0`, because then the user's crates would take generic code from here.
        .args(["-Cno-prepopulate-passes", "-Ccodegen-units=1"])
        .args(["--cfg", "feature=\"live\"", "--cfg", "feature=\"wire\""])
        .arg(format!(
            "--remap-path-prefix={}=hotpatch-rt",
            sources.display()
        ))
        .arg("--out-dir")
        .arg(&fresh)
        .arg(sources.join("lib.rs"))
        .run_checked(&CancelToken::new())
        .context("failed to compile the agent")?;
    let made = fresh.join("libhotpatch_live.rlib");
    // The first one stays: crates compiled against it must not see another.
    match std::fs::hard_link(&made, &library) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(e).with_context(|| format!("failed to write `{}`", library.display()));
        }
        _ => {}
    }
    // What is left over is only scratch.
    let _ = std::fs::remove_dir_all(&fresh);
    let _ = std::fs::remove_dir_all(&sources);
    Ok(library)
}

/// Tells toolchains apart without running them.
fn toolchain(rustc: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    rustc.hash(&mut hasher);
    std::env::var_os("RUSTUP_TOOLCHAIN").hash(&mut hasher);
    if let Ok(meta) = rustc.metadata() {
        meta.modified().ok().hash(&mut hasher);
        meta.len().hash(&mut hasher);
    }
    hasher.finish()
}
