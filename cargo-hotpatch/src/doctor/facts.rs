//! What `doctor` looks at: the machine, the toolchain and the project, read once and judged elsewhere.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;

use super::checks::codegen;
use super::profile::{Profile, profile};
use crate::args::BuildArgs;
use crate::build::base::HOST;
use crate::build::project::Project;
use crate::command::{CancelToken, Tool};
use crate::run::client::Rendezvous;
use crate::run::watch::Watchlist;

/// Everything the checks are about.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The compiler, or why it does not run.
    pub rustc: Result<Rustc, String>,
    /// cargo's version, or why it does not run.
    pub cargo: Result<String, String>,
    /// The linker of the program with what it says of itself, or why it does not run.
    pub linker: (String, Result<String, String>),
    /// lld of the toolchain, which links patches.
    pub lld: Option<PathBuf>,
    /// The triple the build is for, where one is named.
    pub target: Option<String>,
    /// Flags of the user for rustc.
    pub rustflags: Vec<String>,
    /// The chosen profile.
    pub profile: Profile,
    /// The folder where program and tool meet and patches lie, or why there can be none.
    pub meeting: Result<Meeting, String>,
    /// The target folder, and why nothing can be written there, if so.
    pub target_dir: (PathBuf, Option<String>),
    /// The system's limits on watching folders.
    pub watching: Watching,
}

/// A compiler as `rustc -vV` describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rustc {
    /// Such as `1.95.0` or `1.97.0-nightly`.
    pub release: String,
    /// The triple of the machine it is for.
    pub host: String,
}

/// The folder where program and tool meet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meeting {
    /// The folder it was made in.
    pub place: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// Nothing on this file system may be run, or loaded as code.
    pub noexec: bool,
}

/// How many folders the system lets this user watch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watching {
    /// Folders to watch for this project.
    pub folders: usize,
    /// Watches of this user that are taken, as far as can be seen.
    pub watches: usize,
    /// How many a user may have.
    pub max_watches: Option<usize>,
    /// Watchers of this user that exist, as far as can be seen.
    pub instances: usize,
    /// How many a user may have.
    pub max_instances: Option<usize>,
}

impl Facts {
    /// Reads them; what cannot be read is part of them.
    #[must_use]
    pub fn read(project: &Project, args: &BuildArgs, cancel: &CancelToken) -> Self {
        let config = &project.config;
        let rustc = rustc_path(project);
        let asked = ask(&rustc, &["-vV"], cancel).map(|text| describe(&text));
        let sysroot = ask(&rustc, &["--print", "sysroot"], cancel).unwrap_or_default();
        let lld = Path::new(sysroot.trim())
            .join("lib/rustlib")
            .join(HOST)
            .join("bin/rust-lld");
        let of_flags = codegen(&config.rustflags, "linker")
            .last()
            .map(PathBuf::from);
        let linker = of_flags.or_else(|| config.linker.clone());
        let linker = linker.unwrap_or_else(|| PathBuf::from("cc"));
        let says = ask(&linker, &["--version"], cancel);
        let first = |text: String| text.lines().next().unwrap_or_default().to_owned();
        Self {
            rustc: asked,
            cargo: ask(&project.cargo, &["--version"], cancel).map(first),
            linker: (linker.display().to_string(), says.map(first)),
            lld: lld.exists().then_some(lld),
            target: args.target.first().or(config.target.as_ref()).cloned(),
            rustflags: config.rustflags.clone(),
            profile: profile(project, args),
            meeting: meeting(),
            target_dir: (
                project.target_dir().to_owned(),
                write_to(project.target_dir()).err().map(|e| e.to_string()),
            ),
            watching: watching(project),
        }
    }
}

/// The compiler that cargo will take: the one the user names, or its neighbour.
fn rustc_path(project: &Project) -> PathBuf {
    let beside = project.cargo.parent().map(|folder| folder.join("rustc"));
    let named = project.config.rustc.clone();
    named
        .or_else(|| beside.filter(|path| path.is_absolute() && path.exists()))
        .unwrap_or_else(|| PathBuf::from("rustc"))
}

fn ask(program: &Path, args: &[&str], cancel: &CancelToken) -> Result<String, String> {
    let output = Tool::new(program)
        .args(args.iter().copied())
        .run_checked(cancel);
    match output {
        Ok(output) => Ok(output.stdout_text().into_owned()),
        Err(error) => {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            Err(source.unwrap_or_else(|| error.to_string()))
        }
    }
}

fn describe(text: &str) -> Rustc {
    let field = |name: &str| {
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.unwrap_or_default().to_owned()
    };
    Rustc {
        release: field("release"),
        host: field("host"),
    }
}

fn meeting() -> Result<Meeting, String> {
    let rendezvous = Rendezvous::new().map_err(|error| error.to_string())?;
    let folder = rendezvous.folder();
    let metadata = fs::metadata(folder).map_err(|error| error.to_string())?;
    let system = rustix::fs::statvfs(folder).map_err(|error| error.to_string())?;
    Ok(Meeting {
        place: folder.parent().unwrap_or(folder).to_owned(),
        mode: metadata.permissions().mode() & 0o7777,
        noexec: system.f_flag.contains(StatVfsMountFlags::NOEXEC),
    })
}

fn write_to(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    tempfile::tempfile_in(folder).map(drop)
}

fn watching(project: &Project) -> Watching {
    let list = Watchlist {
        roots: project.folders(),
        excluded: vec![project.target_dir().to_owned()],
    };
    // See inotify(7).
    let limit = |name: &str| {
        let path = Path::new("/proc/sys/fs/inotify").join(name);
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    let (instances, watches) = taken();
    Watching {
        folders: list.folders(),
        watches,
        max_watches: limit("max_user_watches"),
        instances,
        max_instances: limit("max_user_instances"),
    }
}

/// inotify instances and watches of all processes whose files we may see: those of this user. In
/// `/proc/PID/fdinfo` an instance has a line for each of its watches, see proc_pid_fdinfo(5).
fn taken() -> (usize, usize) {
    let (mut instances, mut watches) = (0, 0);
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes.map(|entry| entry.path()) {
        for file in fs::read_dir(process.join("fd"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let is_one =
                fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == "anon_inode:inotify");
            if is_one {
                let info = process.join("fdinfo").join(file.file_name());
                let text = fs::read_to_string(info).unwrap_or_default();
                instances += 1;
                watches += text
                    .lines()
                    .filter(|line| line.starts_with("inotify "))
                    .count();
            }
        }
    }
    (instances, watches)
}
