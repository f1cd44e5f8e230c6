//! What cargo's configuration says of the things this tool does in cargo's place: which wrappers stand around
//! rustc, which runner (a debugger, say) starts programs; and of those it looks at before a build.
//!
//! cargo reads all the rest itself. `cargo-config2` knows the files and variables; `--config` comes on top here.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_config2::{Config, Walk, de};

use super::base::HOST;

/// The part of cargo's configuration that concerns us.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CargoConfig {
    /// What starts the program in its own place (`target.<triple>.runner`), with its arguments.
    pub runner: Option<(PathBuf, Vec<OsString>)>,
    /// What is run in place of rustc for all crates (`RUSTC_WRAPPER`, `build.rustc-wrapper`).
    pub wrapper: Option<PathBuf>,
    /// The same for the crates of the workspace (`RUSTC_WORKSPACE_WRAPPER`, `build.rustc-workspace-wrapper`).
    pub workspace_wrapper: Option<PathBuf>,
    /// What is run for rustc itself (`RUSTC`, `build.rustc`).
    pub rustc: Option<PathBuf>,
    /// What links programs (`target.<triple>.linker`).
    pub linker: Option<PathBuf>,
    /// Flags for rustc (`RUSTFLAGS`, `target.<triple>.rustflags`, `build.rustflags`).
    pub rustflags: Vec<String>,
    /// The triple that is built for (`CARGO_BUILD_TARGET`, `build.target`).
    pub target: Option<String>,
    /// Values of `--config` and files with profiles, what holds first first; variables come between the two.
    given: Vec<toml::Table>,
    files: Vec<toml::Table>,
}

impl CargoConfig {
    /// Reads what holds in this folder, with these values of `--config`.
    ///
    /// # Errors
    /// A file cannot be read or is not what cargo takes.
    pub fn read(given: &[String]) -> Result<Self> {
        let here = std::env::current_dir().context("failed to find the working directory")?;
        let found = Config::load_with_cwd(&here).context("failed to read cargo's configuration")?;
        let texts: Vec<String> = given
            .iter()
            .map(|value| read_given(&here, value).with_context(|| format!("in `--config {value}`")))
            .collect::<Result<_>>()?;
        let given: Vec<de::Config> = texts
            .iter()
            .map(|text| toml::from_str(text).context("in a value of `--config`"))
            .collect::<Result<_>>()?;
        // Of several the last one holds.
        let mut last_first = given.iter().rev();
        let runner = last_first.clone().find_map(|config| runner(&here, config));
        let given_wrapper = last_first
            .clone()
            .find_map(|config| Some(program(&here, &config.build.rustc_wrapper.as_ref()?.val)));
        let given_workspace_wrapper = last_first.find_map(|config| {
            let value = config.build.rustc_workspace_wrapper.as_ref()?;
            Some(program(&here, &value.val))
        });
        let runner = match runner {
            Some(runner) => Some(runner),
            // cargo passes over tables of targets that it cannot make sense of, and what is read here does not.
            None => found
                .runner(HOST)
                .ok()
                .flatten()
                .map(|runner| (runner.path, runner.args)),
        };
        // A variable of rustc's own name comes before all else.
        let choose = |name: &str, given: Option<PathBuf>, found: &Option<PathBuf>| {
            let chosen = match std::env::var_os(name) {
                Some(value) => Some(program(&here, value)),
                None => given.or_else(|| found.clone()),
            };
            chosen.filter(|path| !path.as_os_str().is_empty())
        };
        let last =
            |find: &dyn Fn(&de::Config) -> Option<PathBuf>| given.iter().rev().find_map(find);
        let linker = found.linker(HOST).ok().flatten();
        let flags = found.rustflags(HOST).ok().flatten();
        let flags = flags.map(|flags| flags.flags);
        // Variables with flags come before `--config` as well.
        let has_variable = ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"]
            .iter()
            .any(|name| std::env::var_os(name).is_some());
        let given_flags = given
            .iter()
            .rev()
            .filter(|_| !has_variable)
            .find_map(flags_of);
        let targets = found.build.target.iter().flatten();
        let target = targets.map(|target| target.triple().to_owned()).next();
        let files = Walk::new(&here).filter_map(|path| std::fs::read_to_string(path).ok());
        Ok(Self {
            given: texts.iter().rev().filter_map(table).collect(),
            files: files.filter_map(table).collect(),
            runner,
            rustc: choose(
                "RUSTC",
                last(&|config| Some(program(&here, &config.build.rustc.as_ref()?.val))),
                &found.build.rustc,
            ),
            linker: last(&|config| {
                let linker = config.target.get(HOST)?.linker.as_ref()?;
                Some(program(&here, &linker.val))
            })
            .or(linker),
            rustflags: given_flags.or(flags).unwrap_or_default(),
            target: given
                .iter()
                .rev()
                .find_map(|config| first(config.build.target.as_ref()?))
                .or(target),
            wrapper: choose("RUSTC_WRAPPER", given_wrapper, &found.build.rustc_wrapper),
            workspace_wrapper: choose(
                "RUSTC_WORKSPACE_WRAPPER",
                given_workspace_wrapper,
                &found.build.rustc_workspace_wrapper,
            ),
        })
    }
}

impl CargoConfig {
    /// Whether it, or this text of the workspace's manifest, gives packages an optimisation level of their own.
    #[must_use]
    pub fn optimises_packages(&self, manifest: &str) -> bool {
        // What cargo takes and this does not may say anything.
        let manifest = manifest.parse::<toml::Table>();
        let mut tables = self.given.iter().chain(&self.files);
        tables.any(has_package_levels) || manifest.map_or(true, |table| has_package_levels(&table))
    }

    /// What stands in a profile under this key, if the configuration says it: it comes before the manifest.
    #[must_use]
    pub fn in_profile(&self, profile: &str, key: &str) -> Option<toml::Value> {
        let find = |tables: &[toml::Table]| {
            tables
                .iter()
                .find_map(|table| table.get("profile")?.get(profile)?.get(key).cloned())
        };
        let variable = format!("CARGO_PROFILE_{profile}_{key}");
        let variable = std::env::var(variable.to_uppercase().replace('-', "_"));
        let variable = variable.ok().map(|value| match value.as_str() {
            "true" => toml::Value::Boolean(true),
            "false" => toml::Value::Boolean(false),
            _ => toml::Value::String(value),
        });
        find(&self.given).or(variable).or_else(|| find(&self.files))
    }
}

fn flags_of(config: &de::Config) -> Option<Vec<String>> {
    let of_target = config
        .target
        .get(HOST)
        .and_then(|target| target.rustflags.as_ref());
    let flags = of_target.or(config.build.rustflags.as_ref())?;
    Some(flags.flags.iter().map(|flag| flag.val.clone()).collect())
}

fn first(values: &de::StringOrArray) -> Option<String> {
    match values {
        de::StringOrArray::String(value) => Some(value.val.clone()),
        de::StringOrArray::Array(values) => values.first().map(|value| value.val.clone()),
    }
}

fn table(text: impl AsRef<str>) -> Option<toml::Table> {
    toml::from_str(text.as_ref()).ok()
}

/// A value of `--config`: a file's text, or `KEY=VALUE`, which is TOML too.
fn read_given(here: &Path, value: &str) -> Result<String> {
    let file = here.join(value);
    if file.is_file() {
        return Ok(std::fs::read_to_string(file)?);
    }
    Ok(value.to_owned())
}

fn runner(here: &Path, config: &de::Config) -> Option<(PathBuf, Vec<OsString>)> {
    let runner = config.target.get(HOST)?.runner.as_ref()?;
    let args = runner.args.iter().map(|arg| OsString::from(&arg.val));
    Some((program(here, runner.path.raw_value()), args.collect()))
}

/// A program as cargo finds it: by its name alone in `PATH`, with folders from `here`.
fn program(here: &Path, value: impl AsRef<OsStr>) -> PathBuf {
    let path = Path::new(value.as_ref());
    if path.components().count() > 1 {
        here.join(path)
    } else {
        path.to_owned()
    }
}

/// Whether a profile gives packages an optimisation level of their own, as in `[profile.dev.package."*"]`.
fn has_package_levels(tables: &toml::Table) -> bool {
    let profiles = tables.get("profile").and_then(toml::Value::as_table);
    let profiles = profiles.into_iter().flat_map(|profiles| profiles.values());
    let packages = profiles.filter_map(|profile| profile.get("package")?.as_table());
    let mut packages = packages.flat_map(|packages| packages.values());
    packages.any(|package| package.get("opt-level").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_command_line_are_understood() {
        let here = Path::new("/here");
        let parse = |text: &str| toml::from_str::<de::Config>(&read_given(here, text).unwrap());
        let config = parse(&format!("target.{HOST}.runner = ['gdb', '--args']")).unwrap();
        let expected = (PathBuf::from("gdb"), vec![OsString::from("--args")]);
        assert_eq!(runner(here, &config), Some(expected));
        let config = parse(&format!("target.{HOST}.runner = 'tools/time -v'")).unwrap();
        let expected = (
            PathBuf::from("/here/tools/time"),
            vec![OsString::from("-v")],
        );
        assert_eq!(runner(here, &config), Some(expected));
        assert!(parse("target.=").is_err());
        let other = parse("build.rustc-wrapper = 'sccache'").unwrap();
        assert_eq!(runner(here, &other), None);
        assert_eq!(other.build.rustc_wrapper.unwrap().val, "sccache");
    }

    #[test]
    fn a_profile_is_looked_up_where_cargo_does() {
        let tables = |text: &str| vec![table(text).unwrap()];
        let config = CargoConfig {
            given: tables("profile.release.lto = 'thin'"),
            files: tables("[profile.release]\nlto = true\n[profile.quick]\nlto = false"),
            ..CargoConfig::default()
        };
        let lto = |profile| config.in_profile(profile, "lto");
        assert_eq!(lto("release"), Some(toml::Value::String("thin".into())));
        assert_eq!(lto("quick"), Some(toml::Value::Boolean(false)));
        assert_eq!(lto("dev"), None);
    }

    #[test]
    fn programs_without_a_folder_are_left_to_the_path() {
        let here = Path::new("/here");
        assert_eq!(program(here, "sccache"), Path::new("sccache"));
        assert_eq!(program(here, "./wrap"), Path::new("/here/./wrap"));
        assert_eq!(program(here, "/usr/bin/x"), Path::new("/usr/bin/x"));
        assert_eq!(program(here, ""), Path::new(""));
    }

    #[test]
    fn levels_of_packages_are_seen() {
        let config = CargoConfig::default();
        let has = |manifest: &str| config.optimises_packages(manifest);
        assert!(has("[profile.dev.package.\"*\"]\nopt-level = 3"));
        assert!(has("[profile.dev.package]\nserde = { opt-level = 1 }"));
        assert!(!has(
            "[profile.dev]\nopt-level = 1\n[package]\nname = \"a\""
        ));
        assert!(!has("[profile.dev.package.a]\ndebug = false"));
        let text = "profile.dev.package.a.opt-level = 1";
        let given = CargoConfig {
            given: table(text).into_iter().collect(),
            ..CargoConfig::default()
        };
        assert!(given.optimises_packages(""));
    }
}
