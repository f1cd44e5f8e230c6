//! Fresh builds of a random program, made with rustc alone: no cargo, and nothing of the tool.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::fresh::{self, Program, Talk};
use crate::workspace::{artifacts, cargo, command, rustc};

use super::print::Files;

/// Builds programs in a folder of its own.
pub struct Oracle {
    folder: PathBuf,
    /// The plain `hotpatch-rt`.
    runtime: PathBuf,
    /// Where that finds its macros.
    dependencies: PathBuf,
    /// How many builds there were.
    built: u32,
    /// The last library and what it was built from.
    library: Option<(Files, PathBuf)>,
}

/// What came of a build.
pub enum Build {
    /// The program.
    Program(PathBuf),
    /// What rustc said.
    Broken(String),
}

impl Oracle {
    /// Builds the plain runtime.
    pub fn new(folder: &Path, runtime: &Path, target: &Path) -> Result<Oracle> {
        fs::create_dir_all(folder)?;
        let mut build = command(cargo());
        build
            .args(["build", "--manifest-path"])
            .arg(runtime.join("Cargo.toml"));
        build.env("CARGO_TARGET_DIR", target);
        let made = artifacts(&mut build)?;
        let library = made
            .iter()
            .find(|message| message["target"]["name"] == "hotpatch_rt");
        let library = library.context("the runtime was not built")?;
        let files = library["filenames"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str());
        let rlib = files
            .map(PathBuf::from)
            .find(|path| path.extension().is_some_and(|ending| ending == "rlib"));
        let rlib = rlib.context("the runtime has no library")?;
        let dependencies = rlib
            .parent()
            .context("a library is in a folder")?
            .join("deps");
        Ok(Oracle {
            folder: folder.to_owned(),
            runtime: rlib,
            dependencies,
            built: 0,
            library: None,
        })
    }

    /// Builds a program from its files.
    pub fn build(&mut self, name: &str, files: &Files) -> Result<Build> {
        self.built += 1;
        let folder = self.folder.join(format!("fresh-{}", self.built));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        write(&folder, files)?;
        let library = format!("{name}_lib");
        let sources: Files = files
            .iter()
            .filter(|(path, _)| path.starts_with("lib/"))
            .map(|(path, text)| (path.clone(), text.clone()))
            .collect();
        let known = self.library.as_ref().filter(|(known, _)| *known == sources);
        let rlib = match known {
            Some((_, rlib)) => rlib.clone(),
            None => {
                let rlib = self
                    .folder
                    .join(format!("lib{library}-{}.rlib", self.built));
                if let Some(said) =
                    self.compile(&folder, "lib/src/lib.rs", &library, "rlib", &rlib, None)?
                {
                    return Ok(Build::Broken(said));
                }
                self.library = Some((sources, rlib.clone()));
                rlib
            }
        };
        let program = folder.join(name);
        if let Some(said) = self.compile(
            &folder,
            "src/main.rs",
            name,
            "bin",
            &program,
            Some((&library, &rlib)),
        )? {
            return Ok(Build::Broken(said));
        }
        Ok(Build::Program(program))
    }
}

impl Oracle {
    /// Compiles a crate; gives what rustc says when it does not compile.
    fn compile(
        &self,
        folder: &Path,
        source: &str,
        krate: &str,
        kind: &str,
        out: &Path,
        library: Option<(&str, &Path)>,
    ) -> Result<Option<String>> {
        let mut build = command(rustc());
        build
            .current_dir(folder)
            .args(["--edition=2024", "--cap-lints=allow", "-Cdebuginfo=0"]);
        build
            .args(["--crate-name", krate, "--crate-type", kind, source, "-o"])
            .arg(out);
        build
            .arg("--extern")
            .arg(format!("hotpatch_rt={}", self.runtime.display()));
        build
            .arg("-L")
            .arg(format!("dependency={}", self.dependencies.display()));
        if let Some((name, path)) = library {
            build
                .arg("--extern")
                .arg(format!("{name}={}", path.display()));
        }
        let output = build.output().context("failed to start rustc")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((!output.status.success()).then_some(said))
    }
}

/// Writes files into a folder.
pub fn write(folder: &Path, files: &Files) -> Result<()> {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
        fs::write(&path, text)?;
    }
    Ok(())
}

/// The state of a program's two threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Of the main thread, with all statics.
    pub main: String,
    /// Of the worker.
    pub worker: String,
}

impl State {
    /// Asks a program for its state.
    pub fn of(talk: &mut Talk) -> Result<State> {
        Ok(State {
            main: talk.ask("dump")?,
            worker: talk.ask("@dump")?,
        })
    }

    /// Puts a program into this state.
    pub fn load(&self, talk: &mut Talk) -> Result<()> {
        // What one thread drops while it loads is counted for both.
        for line in [
            format!("@load {}", self.worker),
            format!("load {}", self.main),
        ] {
            let reply = talk.ask(&line)?;
            ensure!(reply == "0", "`{line}` was answered `{reply}`");
        }
        Ok(())
    }

    /// The entries by thread and name.
    pub fn entries(&self) -> BTreeMap<String, String> {
        let of = |thread: &str, text: &str| -> Vec<(String, String)> {
            let entries = text.split(';').filter_map(|entry| entry.split_once('='));
            entries
                .map(|(name, value)| (format!("{thread}{name}"), value.to_owned()))
                .collect()
        };
        of("", &self.main)
            .into_iter()
            .chain(of("@", &self.worker))
            .collect()
    }
}

/// A fresh build that runs.
pub struct Fresh {
    program: Program,
}

impl Fresh {
    /// Starts a program.
    pub fn start(program: &Path) -> Result<Fresh> {
        let folder = program.parent().context("a program is in a folder")?;
        Ok(Fresh {
            program: fresh::Program::start(program, &[], folder)?,
        })
    }

    /// The conversation with it.
    pub fn talk(&mut self) -> &mut Talk {
        &mut self.program.talk
    }
}

/// A build that must succeed.
pub fn must(build: Build) -> Result<PathBuf> {
    match build {
        Build::Program(path) => Ok(path),
        Build::Broken(said) => bail!("the program does not compile\n{said}"),
    }
}
