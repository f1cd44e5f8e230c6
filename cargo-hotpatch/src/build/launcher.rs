//! Linker mode: rustc calls this program by the name of the user's linker, and it passes the call on to that one, with
//! the workspace's objects as [`super::slotted`] has them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::base::HOST;
use super::capture::Unit;

/// The folder with this program under linkers' names.
pub const FOLDER_NAME: &str = "hotpatch-link";
/// Set when nothing is to be linked: the objects go into this folder.
pub const OBJECTS_ENV: &str = "CARGO_HOTPATCH_OBJECTS";
const LINKER_ENV: &str = "CARGO_HOTPATCH_LINKER";
const BUNDLED_ENV: &str = "CARGO_HOTPATCH_BUNDLED_LLD";

/// The linker to name in the program's rustc call, and what it must find in its environment.
///
/// # Errors
/// The link to this program cannot be made.
pub fn linker(unit: &Unit) -> Result<(PathBuf, Vec<(&'static str, String)>)> {
    let users = unit.args.codegen("linker").unwrap_or("cc");
    let name = Path::new(users)
        .file_name()
        .context("the linker has no name")?;
    let folder = unit.folder.join(FOLDER_NAME);
    std::fs::create_dir_all(&folder)?;
    let link = folder.join(name);
    let program = std::env::current_exe().context("failed to find this program")?;
    let _ = std::fs::remove_file(&link);
    match std::os::unix::fs::symlink(&program, &link) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(e).with_context(|| format!("failed to link `{}`", link.display()));
        }
        _ => {}
    }
    let mut env = vec![(LINKER_ENV, users.to_owned())];
    // A named linker makes rustc forget that it links with its own lld by default.
    if unit.args.codegen("linker").is_none()
        && !names_a_linker(unit)
        && let Some(tools) = bundled_lld(&unit.rustc)
    {
        env.push((BUNDLED_ENV, tools.display().to_string()));
    }
    Ok((link, env))
}

fn names_a_linker(unit: &Unit) -> bool {
    unit.args.flags().any(|flag| {
        flag.name == "-C"
            && (flag.value.contains("-fuse-ld")
                || flag.value.starts_with("linker-features")
                || flag.value.starts_with("link-self-contained"))
    })
}

fn bundled_lld(rustc: &Path) -> Option<PathBuf> {
    // Where rustup puts it; asking rustc takes longer.
    let usual = rustc.parent()?.parent()?.join("lib/rustlib");
    let tools = usual.join(HOST).join("bin/gcc-ld");
    if tools.join("ld.lld").exists() {
        return Some(tools);
    }
    let output = Command::new(rustc)
        .args(["--print", "target-libdir"])
        .output()
        .ok()?;
    let lib = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    let tools = lib.parent()?.join("bin/gcc-ld");
    tools.join("ld.lld").exists().then_some(tools)
}

/// Links, and gives back the linker's exit code.
///
/// # Errors
/// The linker cannot be run, or its arguments not be read.
pub fn link(args: &[OsString]) -> Result<i32> {
    let Some(linker) = std::env::var_os(LINKER_ENV) else {
        bail!("`{LINKER_ENV}` is not set");
    };
    let args = expand(args)?;
    if let Some(folder) = std::env::var_os(OBJECTS_ENV) {
        return super::slotted::collect(&args, Path::new(&folder));
    }
    let driver = is_driver(Path::new(&linker));
    let args = match std::env::var_os(super::capture::UNIT_ENV) {
        Some(unit) => super::slotted::arguments(&args, Path::new(&unit), driver)?,
        None => args,
    };
    let mut extra: Vec<OsString> = vec![
        if driver {
            "-Wl,--build-id"
        } else {
            "--build-id"
        }
        .into(),
    ];
    if let Some(tools) = std::env::var_os(BUNDLED_ENV)
        && driver
        && !args
            .iter()
            .any(|arg| arg.to_string_lossy().starts_with("-fuse-ld"))
    {
        let mut search = OsString::from("-B");
        search.push(tools);
        extra.extend([search, "-fuse-ld=lld".into()]);
    }
    let status = Command::new(&linker)
        .args(&args)
        .args(&extra)
        .status()
        .with_context(|| format!("failed to run the linker `{}`", linker.to_string_lossy()))?;
    Ok(status.code().unwrap_or(1))
}

fn is_driver(linker: &Path) -> bool {
    let stem = linker.file_name().unwrap_or_default().to_string_lossy();
    !(stem == "ld"
        || stem.starts_with("ld.")
        || stem.ends_with("-ld")
        || stem.contains("lld")
        || stem == "mold"
        || stem == "wild")
}

/// Long command lines come in a response file.
fn expand(args: &[OsString]) -> Result<Vec<OsString>> {
    let mut out = Vec::new();
    for arg in args {
        let text = arg.to_string_lossy();
        let Some(path) = text.strip_prefix('@') else {
            out.push(arg.clone());
            continue;
        };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("failed to read the linker's arguments `{path}`"))?;
        out.extend(text.lines().map(|line| unquote(line).into()));
    }
    Ok(out)
}

/// rustc writes one argument a line, with a backslash before what a shell would take apart.
fn unquote(line: &str) -> String {
    let line = line
        .strip_prefix('"')
        .and_then(|l| l.strip_suffix('"'))
        .unwrap_or(line);
    let mut out = String::new();
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        out.push(if char == '\\' {
            chars.next().unwrap_or('\\')
        } else {
            char
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_files_lose_their_quotes() {
        assert_eq!(unquote(r"/a\ b/c"), "/a b/c");
        assert_eq!(unquote("\"-Wl,x\""), "-Wl,x");
    }

    #[test]
    fn linkers_and_compiler_drivers_are_told_apart() {
        assert!(is_driver(Path::new("/usr/bin/cc")));
        assert!(is_driver(Path::new("x86_64-linux-gnu-gcc")));
        assert!(!is_driver(Path::new("rust-lld")));
        assert!(!is_driver(Path::new("/usr/bin/ld.gold")));
    }
}
