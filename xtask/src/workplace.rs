//! What every task that runs the tool has: the tool, and a folder for programs, target folders and logs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use tempfile::TempDir;

use crate::command;

#[derive(Debug, Args)]
pub struct WorkplaceOpts {
    /// The `cargo-hotpatch` program; without it this workspace's is built.
    #[arg(long)]
    tool: Option<PathBuf>,
    /// Keep programs, target folders and logs here instead of in a temporary folder.
    #[arg(long)]
    pub keep: Option<PathBuf>,
}

/// The tool, and a folder that is removed in the end unless it is to be kept.
#[derive(Debug)]
pub struct Workplace {
    pub tool: PathBuf,
    folder: PathBuf,
    _temporary: Option<TempDir>,
}

impl Workplace {
    pub fn new(opts: &WorkplaceOpts) -> Result<Self> {
        let tool = opts.tool.clone().map_or_else(command::build_tool, Ok)?;
        let tool = tool
            .canonicalize()
            .with_context(|| format!("no tool at `{}`", tool.display()))?;
        let temporary = match opts.keep {
            Some(_) => None,
            None => Some(TempDir::new().context("failed to make a temporary folder")?),
        };
        let folder = temporary.as_ref().map(TempDir::path);
        let folder = folder.or(opts.keep.as_deref()).context("no folder")?;
        fs::create_dir_all(folder)
            .with_context(|| format!("failed to make `{}`", folder.display()))?;
        let folder = folder
            .canonicalize()
            .context("failed to resolve the work folder")?;
        Ok(Self {
            tool,
            folder,
            _temporary: temporary,
        })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
