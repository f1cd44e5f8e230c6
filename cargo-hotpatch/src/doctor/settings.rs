//! cargo's configuration, as far as it decides what a hot build meets: `--config`, the environment, the files,
//! then the profiles of the manifest. See "Configuration" and "Profiles" in the Cargo Book.

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::facts::Profile;
use crate::args::BuildArgs;
use crate::build::base::HOST;
use crate::build::project::Project;

/// Tables of settings, those that win before others.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    given: Vec<Table>,
    files: Vec<Table>,
    manifest: Table,
    environment: Vec<(String, String)>,
}

impl Settings {
    /// Reads them as cargo would in this folder.
    #[must_use]
    pub fn read(project: &Project, args: &BuildArgs) -> Self {
        let here = std::env::current_dir().unwrap_or_default();
        let mut folders: Vec<PathBuf> = here.ancestors().map(|f| f.join(".cargo")).collect();
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        folders.extend(home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))));
        folders.dedup();
        let files = folders.iter().filter_map(|folder| {
            let old = folder.join("config");
            table(&if old.exists() {
                old
            } else {
                folder.join("config.toml")
            })
        });
        let given = args.config.iter().rev().filter_map(|text| {
            if Path::new(text).exists() {
                table(Path::new(text))
            } else {
                text.parse().ok()
            }
        });
        Self {
            given: given.collect(),
            files: files.collect(),
            manifest: table(
                project
                    .metadata
                    .workspace_root
                    .join("Cargo.toml")
                    .as_std_path(),
            )
            .unwrap_or_default(),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
        }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A setting by its keys: what `--config` gives, or the environment, or the nearest file.
    fn value(&self, keys: &[&str]) -> Option<Value> {
        let within = |table: &Table| {
            let (first, rest) = keys.split_first()?;
            rest.iter()
                .try_fold(table.get(*first)?, |value, key| value.get(*key))
                .cloned()
        };
        let name = format!(
            "CARGO_{}",
            keys.join("_").to_uppercase().replace(['-', '.'], "_")
        );
        let from_environment = || {
            self.variable(&name)
                .map(|text| Value::String(text.to_owned()))
        };
        self.given
            .iter()
            .find_map(within)
            .or_else(from_environment)
            .or_else(|| self.files.iter().find_map(within))
    }

    /// A setting that is a text.
    #[must_use]
    pub fn text(&self, keys: &[&str]) -> Option<String> {
        self.value(keys)?.as_str().map(str::to_owned)
    }

    /// The triple the build is for, if one is set.
    #[must_use]
    pub fn target(&self) -> Option<String> {
        match self.value(&["build", "target"])? {
            Value::Array(several) => several.first()?.as_str().map(str::to_owned),
            one => one.as_str().map(str::to_owned),
        }
    }

    /// The linker of programs.
    #[must_use]
    pub fn linker(&self) -> String {
        let flags = self.rustflags();
        let of_flags = codegen(&flags, "linker").last().map(str::to_owned);
        of_flags
            .or_else(|| self.text(&["target", HOST, "linker"]))
            .unwrap_or_else(|| "cc".to_owned())
    }

    /// Flags for rustc; the first place that has any is the only one that counts.
    #[must_use]
    pub fn rustflags(&self) -> Vec<String> {
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        if let Some(text) = self.variable("CARGO_ENCODED_RUSTFLAGS") {
            let parts = text.split('\u{1f}').filter(|part| !part.is_empty());
            return parts.map(str::to_owned).collect();
        }
        if let Some(text) = self.variable("RUSTFLAGS") {
            return words(text);
        }
        let list = |value: Value| match value {
            Value::Array(parts) => parts
                .iter()
                .filter_map(|part| part.as_str().map(str::to_owned))
                .collect(),
            Value::String(text) => words(&text),
            _ => Vec::new(),
        };
        self.value(&["target", HOST, "rustflags"])
            .or_else(|| self.value(&["build", "rustflags"]))
            .map(list)
            .unwrap_or_default()
    }

    /// The profile that these options choose.
    #[must_use]
    pub fn profile(&self, args: &BuildArgs) -> Profile {
        let name = match (&args.profile, args.release) {
            (Some(name), _) => name.clone(),
            (None, true) => "release".to_owned(),
            (None, false) => "dev".to_owned(),
        };
        let debug = self.of_profile(&name, "debug");
        let level = self.of_profile(&name, "opt-level");
        let lto = self.of_profile(&name, "lto");
        let ends_in_release = self.root_of(&name) == "release";
        Profile {
            debug: debug.map_or(!ends_in_release, |value| {
                matches!(shown(&value).as_str(), "true" | "2" | "full")
            }),
            optimised: level.map_or(ends_in_release, |value| shown(&value) != "0"),
            lto: lto.is_some_and(|value| !matches!(shown(&value).as_str(), "false" | "off")),
            name,
        }
    }

    /// A key of a profile or of the nearest one it inherits from.
    fn of_profile(&self, name: &str, key: &str) -> Option<Value> {
        let of_manifest = || self.manifest.get("profile")?.get(name)?.get(key).cloned();
        self.value(&["profile", name, key])
            .or_else(of_manifest)
            .or_else(|| {
                let parent = self.parent(name)?;
                self.of_profile(&parent, key)
            })
    }

    fn parent(&self, name: &str) -> Option<String> {
        let parent = match name {
            "dev" | "release" => return None,
            "test" => "dev".to_owned(),
            "bench" => "release".to_owned(),
            _ => {
                let value = self.manifest.get("profile")?.get(name)?.get("inherits")?;
                value.as_str()?.to_owned()
            }
        };
        (parent != name).then_some(parent)
    }

    fn root_of(&self, name: &str) -> String {
        let mut name = name.to_owned();
        // Cargo allows no circle; a manifest that has one does not build.
        for _ in 0..16 {
            match self.parent(&name) {
                Some(parent) => name = parent,
                None => break,
            }
        }
        name
    }
}

/// The values of `-C key=value` among flags.
pub fn codegen<'a>(flags: &'a [String], key: &'a str) -> impl Iterator<Item = &'a str> {
    let after_c = flags
        .windows(2)
        .filter(|pair| matches!(pair[0].as_str(), "-C" | "--codegen"));
    let apart = after_c.map(|pair| pair[1].as_str());
    let joined = flags.iter().filter_map(|flag| {
        flag.strip_prefix("-C")
            .or_else(|| flag.strip_prefix("--codegen="))
    });
    joined
        .chain(apart)
        .filter_map(move |option| match option.split_once('=') {
            Some((name, value)) => (name == key).then_some(value),
            None => (option == key).then_some(""),
        })
}

fn table(path: &Path) -> Option<Table> {
    fs::read_to_string(path).ok()?.parse().ok()
}

fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(
        given: &[&str],
        environment: &[(&str, &str)],
        file: &str,
        manifest: &str,
    ) -> Settings {
        Settings {
            given: given.iter().map(|text| text.parse().unwrap()).collect(),
            files: vec![file.parse().unwrap()],
            manifest: manifest.parse().unwrap(),
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    fn profile(settings: &Settings, name: &str) -> Profile {
        let args = BuildArgs {
            profile: Some(name.to_owned()),
            ..BuildArgs::default()
        };
        settings.profile(&args)
    }

    #[test]
    fn profiles_as_cargo_has_them() {
        let plain = settings(&[], &[], "", "");
        let of = |settings: &Settings, name: &str| {
            let Profile {
                debug,
                optimised,
                lto,
                ..
            } = profile(settings, name);
            (debug, optimised, lto)
        };
        assert_eq!(of(&plain, "dev"), (true, false, false));
        assert_eq!(of(&plain, "release"), (false, true, false));
        let own = settings(
            &[],
            &[],
            "",
            "[profile.dev]\ndebug = 'line-tables-only'\nopt-level = 1\n\
             [profile.fast]\ninherits = 'release'\nlto = 'thin'\ndebug = 2",
        );
        assert_eq!(of(&own, "dev"), (false, true, false));
        assert_eq!(of(&own, "fast"), (true, true, true));
        // The configuration wins over the manifest, the environment over its files, an option over all.
        let file = "[profile.dev]\ndebug = 0";
        assert!(!profile(&settings(&[], &[], file, ""), "dev").debug);
        let variable = ("CARGO_PROFILE_DEV_DEBUG", "true");
        assert!(profile(&settings(&[], &[variable], file, ""), "dev").debug);
        assert!(
            !profile(
                &settings(&["profile.dev.debug = false"], &[variable], "", ""),
                "dev"
            )
            .debug
        );
    }

    #[test]
    fn the_first_place_with_flags_counts_alone() {
        let file = format!("[build]\nrustflags = ['-Cb']\n[target.{HOST}]\nlinker = 'clang'");
        assert_eq!(settings(&[], &[], &file, "").rustflags(), ["-Cb"]);
        let variable = [("RUSTFLAGS", "-C linker=gcc  -Ca")];
        let found = settings(&[], &variable, &file, "");
        assert_eq!(found.rustflags(), ["-C", "linker=gcc", "-Ca"]);
        assert_eq!(found.linker(), "gcc");
        assert_eq!(settings(&[], &[], &file, "").linker(), "clang");
        assert_eq!(settings(&[], &[], "", "").linker(), "cc");
    }

    #[test]
    fn codegen_options_in_every_spelling() {
        let flags: Vec<String> = [
            "-Cprefer-dynamic",
            "-C",
            "linker=a",
            "--codegen=linker=b",
            "-g",
        ]
        .map(str::to_owned)
        .to_vec();
        assert_eq!(codegen(&flags, "prefer-dynamic").collect::<Vec<_>>(), [""]);
        assert_eq!(codegen(&flags, "linker").collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(codegen(&flags, "g").count(), 0);
    }
}
