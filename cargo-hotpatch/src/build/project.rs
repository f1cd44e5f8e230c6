//! The project as cargo knows it: packages, which program to run, and what a change of which file means.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand, Package, Target, TargetKind};

use super::build_side;
use super::config::CargoConfig;
use crate::args::BuildArgs;

/// The project and the program chosen from it.
#[derive(Debug, Clone)]
pub struct Project {
    /// cargo's own words.
    pub metadata: Metadata,
    /// The package of the program.
    pub package: Package,
    /// The program's target.
    pub target: Target,
    /// The `cargo` to run.
    pub cargo: PathBuf,
    /// What cargo's configuration says.
    pub config: CargoConfig,
    /// What was asked for.
    pub args: BuildArgs,
    target_dir: PathBuf,
    build_side: BTreeSet<PathBuf>,
}

/// The `cargo` that runs this subcommand.
#[must_use]
pub fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// The manifest by the path that rustc will have as its working folder: without symbolic links on the way.
#[must_use]
pub fn real_manifest(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new(".")).canonicalize();
    match (folder, path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        // cargo will say what is wrong with it.
        _ => path.to_owned(),
    }
}

impl Project {
    /// Asks cargo about the project and chooses the program as `cargo run` would.
    ///
    /// # Errors
    /// There is no project, or no one program to run in it.
    pub fn find(args: &BuildArgs) -> Result<Self> {
        Self::find_with(args, choose)
    }

    /// Asks cargo about a project whose tests are run. Its program is of no meaning: any target.
    ///
    /// # Errors
    /// There is no project.
    pub fn find_tests(args: &BuildArgs) -> Result<Self> {
        Self::find_with(args, |metadata, args| {
            let packages = chosen_packages(metadata, args)?;
            let mut targets = packages
                .iter()
                .flat_map(|package| package.targets.iter().map(move |target| (*package, target)));
            targets.next().context("there is nothing to test")
        })
    }

    fn find_with(
        args: &BuildArgs,
        choose: impl for<'a> Fn(&'a Metadata, &BuildArgs) -> Result<(&'a Package, &'a Target)>,
    ) -> Result<Self> {
        let cargo = cargo();
        let mut command = MetadataCommand::new();
        command.cargo_path(&cargo).no_deps();
        let options: Result<Vec<String>, OsString> = args
            .manifest_args()
            .into_iter()
            .map(OsString::into_string)
            .collect();
        let options =
            options.map_err(|arg| anyhow::anyhow!("`{}` is not UTF-8", arg.to_string_lossy()))?;
        command.other_options(options);
        let metadata = match command.exec() {
            Ok(metadata) => metadata,
            Err(cargo_metadata::Error::CargoMetadata { stderr }) => {
                bail!("{}", without_prefix(&stderr))
            }
            Err(error) => return Err(error).context("failed to run `cargo metadata`"),
        };
        let (package, target) = choose(&metadata, args)?;
        let target_dir = match &args.target_dir {
            Some(given) => {
                std::path::absolute(given).context("failed to find the target folder")?
            }
            None => metadata.target_directory.as_std_path().to_owned(),
        };
        Ok(Self {
            build_side: build_side::folders(&metadata, package),
            package: package.clone(),
            target: target.clone(),
            metadata,
            cargo,
            config: CargoConfig::read(&args.config)?,
            args: args.clone(),
            target_dir,
        })
    }

    /// Whether a package of the workspace depends on the crate that brings `#[hot]`.
    #[must_use]
    pub fn has_marks(&self) -> bool {
        self.members()
            .flat_map(|package| &package.dependencies)
            .any(|dependency| dependency.name == "hotpatch-rt")
    }

    /// Packages of the workspace.
    pub fn members(&self) -> impl Iterator<Item = &Package> {
        let members = &self.metadata.workspace_members;
        self.metadata
            .packages
            .iter()
            .filter(move |package| members.contains(&package.id))
    }

    /// Folders in which the user edits.
    #[must_use]
    pub fn folders(&self) -> Vec<PathBuf> {
        let mut folders: BTreeSet<PathBuf> = self
            .members()
            .filter_map(|package| package.manifest_path.parent())
            .map(|path| path.as_std_path().to_owned())
            .collect();
        folders.insert(self.metadata.workspace_root.as_std_path().to_owned());
        // A folder inside another one is watched with it, also if it is a link there.
        let all = folders.clone();
        folders.retain(|path| !path.ancestors().skip(1).any(|above| all.contains(above)));
        folders.into_iter().collect()
    }

    /// Files that decide the build: a change of one is no edit of a running program.
    #[must_use]
    pub fn decides_the_build(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default();
        let in_cargo_folder = path
            .parent()
            .and_then(Path::file_name)
            .is_some_and(|folder| folder == ".cargo");
        if name == "Cargo.toml" || name == "Cargo.lock" {
            let folder = path.parent();
            return self
                .members()
                .any(|package| package.manifest_path.as_std_path() == path)
                || folder == Some(self.metadata.workspace_root.as_std_path());
        }
        if name == "rust-toolchain.toml" || name == "rust-toolchain" {
            return true;
        }
        if in_cargo_folder && (name == "config.toml" || name == "config") {
            return true;
        }
        self.members().any(|package| {
            package.targets.iter().any(|target| {
                target.kind.contains(&TargetKind::CustomBuild)
                    && target.src_path.as_std_path() == path
            })
        }) || self.build_side.iter().any(|folder| {
            path.starts_with(folder) && path.extension().is_some_and(|name| name == "rs")
        })
    }

    /// The source folders of crates that run in build scripts and macros (see [`build_side`]).
    pub fn build_side(&self) -> impl Iterator<Item = &Path> {
        self.build_side.iter().map(PathBuf::as_path)
    }

    /// Where cargo puts its outputs.
    #[must_use]
    pub fn target_dir(&self) -> &Path {
        &self.target_dir
    }
}

/// cargo's message without the word it starts with, which is ours to say.
fn without_prefix(stderr: &str) -> &str {
    let text = stderr.trim();
    text.strip_prefix("error: ").unwrap_or(text)
}

/// The packages that are meant.
fn chosen_packages<'a>(metadata: &'a Metadata, args: &BuildArgs) -> Result<Vec<&'a Package>> {
    let members: Vec<&Package> = metadata
        .packages
        .iter()
        .filter(|package| metadata.workspace_members.contains(&package.id))
        .collect();
    Ok(match &args.package {
        Some(spec) => {
            let name = spec.rsplit(['/', '#']).next().unwrap_or(spec);
            let name = name.split(['@', ':']).next().unwrap_or(name);
            let found: Vec<_> = members
                .iter()
                .copied()
                .filter(|package| package.name.as_str() == name)
                .collect();
            if found.is_empty() {
                bail!("package `{spec}` is not a member of the workspace");
            }
            found
        }
        None => {
            let here = manifest_folder(metadata, args);
            let own: Vec<_> = members
                .iter()
                .copied()
                .filter(|package| {
                    package
                        .manifest_path
                        .parent()
                        .is_some_and(|p| p.as_std_path() == here)
                })
                .collect();
            if own.is_empty() {
                default_members(metadata, &members)
            } else {
                own
            }
        }
    })
}

fn choose<'a>(metadata: &'a Metadata, args: &BuildArgs) -> Result<(&'a Package, &'a Target)> {
    let packages = chosen_packages(metadata, args)?;
    let kind = if args.example.is_some() {
        TargetKind::Example
    } else {
        TargetKind::Bin
    };
    let wanted = args.example.as_ref().or(args.bin.as_ref());
    let targets: Vec<(&Package, &Target)> = packages
        .iter()
        .flat_map(|package| package.targets.iter().map(move |target| (*package, target)))
        .filter(|(_, target)| target.kind.contains(&kind))
        .collect();
    let names = |targets: &[(&Package, &Target)]| {
        let names: Vec<&str> = targets
            .iter()
            .map(|(_, target)| target.name.as_str())
            .collect();
        names.join(", ")
    };
    if let Some(wanted) = wanted {
        let what = if args.example.is_some() {
            "example"
        } else {
            "bin"
        };
        let found = targets.iter().find(|(_, target)| target.name == *wanted);
        return found.copied().with_context(|| {
            format!(
                "no {what} target named `{wanted}`; available: {}",
                names(&targets)
            )
        });
    }
    let default = targets
        .iter()
        .find(|(package, target)| package.default_run.as_ref() == Some(&target.name));
    match (default, targets.as_slice()) {
        (Some(found), _) | (None, [found]) => Ok(*found),
        (None, []) => bail!("a bin target must be available for `cargo hotpatch run`"),
        (None, several) => bail!(
            "could not determine which binary to run; use the `--bin` option to specify one of: {}",
            names(several)
        ),
    }
}

/// The folder of the manifest cargo would take.
pub(crate) fn manifest_folder(metadata: &Metadata, args: &BuildArgs) -> PathBuf {
    if let Some(path) = &args.manifest_path {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        return path.parent().map(Path::to_owned).unwrap_or_default();
    }
    let here = std::env::current_dir().unwrap_or_default();
    here.ancestors()
        .find(|folder| folder.join("Cargo.toml").exists())
        .unwrap_or(metadata.workspace_root.as_std_path())
        .to_owned()
}

fn default_members<'a>(metadata: &'a Metadata, members: &[&'a Package]) -> Vec<&'a Package> {
    let default: &[_] = if metadata.workspace_default_members.is_available() {
        &metadata.workspace_default_members
    } else {
        &metadata.workspace_members
    };
    members
        .iter()
        .copied()
        .filter(|package| default.contains(&package.id))
        .collect()
}
