//! `cargo hotpatch init`: the files by which editors and agents know of this tool.

mod contents;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

use self::contents::{Merged, agents, jetbrains, mcp, neovim, vscode_launch, vscode_tasks, zed};
use crate::args::{Ide, InitArgs};
use crate::build::project::cargo;
use crate::ui::init::Said;

/// A file with what is merged into it: from what is there, if anything is.
struct File {
    path: &'static str,
    merge: fn(Option<&str>) -> Result<Merged>,
}

/// The files of an editor.
fn files(ide: Ide) -> &'static [File] {
    match ide {
        Ide::Vscode => &[
            File {
                path: ".vscode/tasks.json",
                merge: vscode_tasks,
            },
            File {
                path: ".vscode/launch.json",
                merge: vscode_launch,
            },
        ],
        Ide::Zed => &[File {
            path: ".zed/tasks.json",
            merge: zed,
        }],
        Ide::Jetbrains => &[File {
            path: ".run/cargo hotpatch run.run.xml",
            merge: jetbrains,
        }],
        Ide::Neovim => &[File {
            path: ".nvim.lua",
            merge: neovim,
        }],
        Ide::Helix | Ide::None => &[],
    }
}

const AGENT_FILES: &[File] = &[
    File {
        path: ".mcp.json",
        merge: mcp,
    },
    File {
        path: "AGENTS.md",
        merge: agents,
    },
];

/// Writes or shows the files, and gives back the exit status.
///
/// # Errors
/// There is no project, a file cannot be read or written, or is not what its editor reads.
pub fn run(args: &InitArgs) -> Result<u8> {
    let said = Said::new();
    let root = root(args)?;
    let ide = match args.ide {
        Some(ide) => ide,
        None if args.agent => Ide::None,
        None => match known(&root) {
            Some(ide) => ide,
            None => said.which_editor()?,
        },
    };
    let agents = if args.agent { AGENT_FILES } else { &[] };
    for file in files(ide).iter().chain(agents) {
        let path = root.join(file.path);
        let before = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(error).with_context(|| format!("failed to read `{}`", file.path));
            }
        };
        let merged = (file.merge)(before.as_deref());
        match merged.with_context(|| format!("failed to add to `{}`", file.path))? {
            Merged::Same => said.is_there(file.path),
            Merged::Text(text) if args.dry_run => {
                said.would_write(file.path, before.as_deref().unwrap_or_default(), &text);
            }
            Merged::Text(text) => {
                write(&path, &text).with_context(|| format!("failed to write `{}`", file.path))?;
                said.written(file.path);
            }
        }
    }
    said.next(ide);
    Ok(0)
}

/// The workspace's folder.
fn root(args: &InitArgs) -> Result<PathBuf> {
    let mut command = MetadataCommand::new();
    command.cargo_path(cargo()).no_deps();
    if let Some(path) = &args.manifest_path {
        command.manifest_path(path);
    }
    let metadata = command.exec().context("failed to find the project")?;
    Ok(metadata.workspace_root.into_std_path_buf())
}

/// The editor of which the project has a folder.
fn known(root: &Path) -> Option<Ide> {
    let folders = [
        (".vscode", Ide::Vscode),
        (".zed", Ide::Zed),
        (".idea", Ide::Jetbrains),
        (".run", Ide::Jetbrains),
        (".nvim.lua", Ide::Neovim),
        (".helix", Ide::Helix),
    ];
    let mut folders = folders.into_iter();
    folders
        .find(|(name, _)| root.join(name).exists())
        .map(|(_, ide)| ide)
}

/// Whole or not at all.
fn write(path: &Path, text: &str) -> io::Result<()> {
    // What a link leads to is written, and the link stays.
    let real = fs::canonicalize(path);
    let path = real.as_deref().unwrap_or(path);
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let file = tempfile::NamedTempFile::new_in(folder)?;
    fs::write(file.path(), text)?;
    // As a file that an editor made.
    let mode = fs::metadata(path).map_or_else(
        |_| std::os::unix::fs::PermissionsExt::from_mode(0o644),
        |meta| meta.permissions(),
    );
    fs::set_permissions(file.path(), mode)?;
    file.persist(path)?;
    Ok(())
}
