//! A compiler, a linker or a compiler wrapper that can be told to fail.
//!
//! The name it is called by is its role: `rustc`, `cc` or `wrapper`. It does what the real one does, unless
//! the file `mode` in the folder `SHIM_DIR` says `<role> <fault>`:
//!
//! | fault | what it does |
//! |---|---|
//! | `fail` | a message on the error output, exit code 1 |
//! | `fail-on WORD` | the same, but only if one of the arguments is WORD |
//! | `signal` | dies by SIGKILL |
//! | `hang` | writes its pid to the file `hanging` and waits for ever |
//! | `hang-on WORD` | the same, but only if one of the arguments begins with WORD |
//! | `garbage` | overwrites what the real one made, and says it went well |
//! | `nothing` | makes nothing and says it went well |
//!
//! Questions (`-vV`, `--print`) are always answered. Every other call is added to the file `log`. If there is
//! a file `sysroot`, the compiler names the folder in it as its own.

#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use rustix::process::{Signal, getpid, kill_process};

fn main() -> Result<ExitCode> {
    let mut args = std::env::args_os();
    let name = PathBuf::from(args.next().context("no name")?);
    let role = name
        .file_name()
        .and_then(OsStr::to_str)
        .context("no role")?;
    let folder = PathBuf::from(std::env::var_os("SHIM_DIR").context("SHIM_DIR is not set")?);
    let real = match role {
        "rustc" => std::env::var_os("SHIM_RUSTC").context("SHIM_RUSTC is not set")?,
        "cc" => OsString::from("cc"),
        "wrapper" => args.next().context("the wrapper is told no compiler")?,
        _ => anyhow::bail!("`{role}` is no role"),
    };
    let args: Vec<OsString> = args.collect();
    let mut command = Command::new(real);
    command.args(&args);
    if is_question(&args) {
        return answer(&mut command, &folder);
    }
    log(&folder, role, &args)?;
    let mode = fs::read_to_string(folder.join("mode")).unwrap_or_default();
    let fault = mode.trim().strip_prefix(role).map(str::trim);
    if let Some(word) = fault.and_then(|fault| fault.strip_prefix("fail-on "))
        && args.iter().any(|arg| arg == word)
    {
        eprintln!("shim: told to fail on {word}");
        return Ok(ExitCode::FAILURE);
    }
    if let Some(word) = fault.and_then(|fault| fault.strip_prefix("hang-on "))
        && args
            .iter()
            .any(|arg| arg.to_string_lossy().starts_with(word))
    {
        hang(&folder)?;
    }
    match fault {
        Some("fail") => {
            eprintln!("shim: told to fail");
            return Ok(ExitCode::FAILURE);
        }
        Some("signal") => kill_process(getpid(), Signal::KILL)?,
        Some("hang") => hang(&folder)?,
        Some("garbage") => {
            let status = command.status()?;
            for path in outputs(&args) {
                fs::write(path, "shim: garbage")?;
            }
            return Ok(if status.success() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        Some("nothing") => return Ok(ExitCode::SUCCESS),
        _ => {}
    }
    Err(command.exec()).context("failed to start the real tool")
}

/// Waits for ever, after it has said so.
fn hang(folder: &Path) -> Result<()> {
    let own = std::process::id();
    let new = folder.join(format!("hanging-{own}"));
    fs::write(&new, own.to_string())?;
    fs::rename(new, folder.join("hanging"))?;
    loop {
        std::thread::park();
    }
}

fn is_question(args: &[OsString]) -> bool {
    args.iter().filter_map(|arg| arg.to_str()).any(|arg| {
        matches!(arg, "-vV" | "-V" | "-v" | "--version" | "--print") || arg.starts_with("--print=")
    })
}

/// Answers a question, with another sysroot if one is wanted.
fn answer(command: &mut Command, folder: &Path) -> Result<ExitCode> {
    let Ok(wanted) = fs::read_to_string(folder.join("sysroot")) else {
        return Err(command.exec()).context("failed to start the real tool");
    };
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    let real = Command::new(command.get_program())
        .args(["--print", "sysroot"])
        .output()?;
    let real = String::from_utf8(real.stdout)?;
    let text = String::from_utf8(output.stdout)?.replace(real.trim(), wanted.trim());
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(if output.status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn log(folder: &Path, role: &str, args: &[OsString]) -> Result<()> {
    let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    let mut log = fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))?;
    log.write_all(format!("{role} {}\n", words.join(" ")).as_bytes())?;
    Ok(())
}

/// The files that a compiler's or linker's command line says it will make.
fn outputs(args: &[OsString]) -> Vec<PathBuf> {
    let args: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).collect();
    let after = |name: &str| {
        args.iter()
            .enumerate()
            .find_map(|(index, arg)| match arg.strip_prefix(name) {
                Some("") => args.get(index + 1).copied(),
                Some(rest) => rest.strip_prefix('='),
                None => None,
            })
    };
    let mut outputs: Vec<PathBuf> = after("-o").map(PathBuf::from).into_iter().collect();
    let emitted = args.iter().flat_map(|arg| arg.split(','));
    outputs.extend(emitted.filter_map(|part| {
        let (kind, path) = part.trim_start_matches("--emit=").split_once('=')?;
        matches!(kind, "obj" | "link" | "metadata").then(|| PathBuf::from(path))
    }));
    if let (Some(folder), Some(krate)) = (after("--out-dir"), after("--crate-name")) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        outputs.extend(entries.map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            name.trim_start_matches("lib").starts_with(krate)
        }));
    }
    outputs.retain(|path| path.is_file());
    outputs
}
