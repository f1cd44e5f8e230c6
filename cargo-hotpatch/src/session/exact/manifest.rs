//! An edit of what decides the build: cargo says how the crates are compiled now, and they are compiled so, but as the
//! crates that run.
//!
//! cargo gives a crate another identity with another version of it or of a dependency: its symbols and type ids would
//! all be others. Its identity in a session stays the base's.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

use super::engine::Engine;
use super::krate::Crate;
use super::objects::Objects;
use super::sources::Inputs;
use crate::build::base::Base;
use crate::build::capture::Unit;
use crate::build::rustc::{Flag, RustcArgs, library_stem};
use crate::plan::codes::Code;
use crate::plan::verdict::Refusal;
use crate::source::file::Place;

/// Codegen flags that all code of a process must agree in.
const SHARED: &[&str] = &[
    "opt-level",
    "panic",
    "debug-assertions",
    "overflow-checks",
    "target-cpu",
    "target-feature",
    "relocation-model",
    "code-model",
];

impl Engine {
    /// Root files of the crates.
    pub(super) fn roots(&self) -> BTreeSet<PathBuf> {
        self.crates
            .iter()
            .map(|krate| krate.unit.root.clone())
            .collect()
    }

    /// From now on the crates are compiled as cargo says in `new`, or it is told why that cannot be. `file` is what
    /// was edited.
    pub(super) fn adopt(&mut self, new: Base, file: &Path) -> Option<Refusal> {
        let whole = Place { line: 0, column: 0 };
        let refuse = |code, message: String| Some(Refusal::new(code, message, file, whole));
        // The stems of the workspace's crates in the new build, with those that they have here.
        let mut stems: BTreeMap<String, String> = BTreeMap::new();
        for unit in &new.units {
            if let Some(known) = self.counterpart(unit) {
                stems.insert(unit.stem(), known.unit.stem());
            }
        }
        for unit in &new.units {
            let Some(known) = self.counterpart(unit) else {
                continue;
            };
            for key in SHARED {
                let (was, is) = (known.unit.args.codegen(key), unit.args.codegen(key));
                if was != is {
                    let shown = |value: Option<&str>| value.unwrap_or("its default").to_owned();
                    return refuse(
                        Code::HP0402,
                        format!(
                            "`{key}` of crate `{}` was {} and is {}",
                            unit.krate,
                            shown(was),
                            shown(is)
                        ),
                    );
                }
            }
            if let Some(name) = self.another_build(&known.unit, unit, &stems) {
                return refuse(
                    Code::HP0401,
                    format!(
                        "the program would be built with another `{name}` than the one that runs"
                    ),
                );
            }
        }
        let natives = natives(&new.units);
        let mut natives = natives.iter();
        let is_other = |(name, hash): &(&OsString, &u128)| {
            let was = self.natives.get(*name);
            was.is_some_and(|was| was != *hash)
        };
        if let Some((name, _)) = natives.find(is_other) {
            let name = name.to_string_lossy();
            return refuse(
                Code::HP0401,
                format!("the program would be linked with another `{name}` than the one that runs"),
            );
        }
        let mut crates = Vec::new();
        for unit in new.units {
            let known = self
                .crates
                .iter()
                .position(|krate| is_same(&krate.unit, &unit));
            let unit = with_stems(unit, &stems);
            let Some(known) = known else {
                crates.push(Crate::new(unit, Inputs::unknown()));
                continue;
            };
            let mut krate = self.crates.remove(known);
            let unit = as_before(unit, &krate.unit);
            if flags(&unit.compiled) != flags(&krate.unit.compiled)
                || own(&unit.env) != own(&krate.unit.env)
            {
                krate.inputs.expire();
            }
            if std::mem::take(&mut krate.is_absent) {
                krate.inputs.expire();
            }
            krate.unit = unit;
            crates.push(krate);
        }
        // Those that are left are in the process, whatever the verdict will be. The program itself stays the last.
        for krate in &mut self.crates {
            krate.is_absent = true;
            krate.latest = Objects::new();
        }
        self.crates.append(&mut crates);
        self.learn_libraries();
        self.scoped.forget();
        None
    }

    fn counterpart(&self, unit: &Unit) -> Option<&Crate> {
        self.crates.iter().find(|krate| is_same(&krate.unit, unit))
    }

    /// A library in the program that `new` would replace by another build of it.
    fn another_build(
        &self,
        old: &Unit,
        new: &Unit,
        stems: &BTreeMap<String, String>,
    ) -> Option<String> {
        let new_externs: BTreeMap<String, String> = new.extern_names().collect();
        old.extern_names().find_map(|(name, stem)| {
            let is = new_externs.get(&name)?;
            let is_ours = stems.values().any(|ours| *ours == stem);
            let is_linked = self.is_linked(&stem);
            (!is_ours && is_linked && *is != stem).then_some(name)
        })
    }
}

/// What is in the libraries of other languages that build scripts had made for these crates, by their names.
pub(super) fn natives(units: &[Unit]) -> BTreeMap<OsString, u128> {
    let mut found = BTreeMap::new();
    for unit in units {
        let flags = || unit.args.flags();
        let named = flags().filter(|flag| flag.name == "-l");
        let folders = || {
            let folders = flags().filter(|flag| flag.name == "-L");
            folders.filter_map(|flag| flag.value.strip_prefix("native="))
        };
        for flag in named {
            // `static:+whole-archive=pump:renamed`
            let name = flag.value.rsplit('=').next().unwrap_or(flag.value);
            let name = name.split(':').next().unwrap_or(name);
            let name = OsString::from(format!("lib{name}.a"));
            let data = folders().find_map(|folder| fs::read(Path::new(folder).join(&name)).ok());
            if let Some(data) = data {
                found.insert(name, xxh3_128(&data));
            }
        }
    }
    found
}

/// Whether these are calls for the same crate.
pub(super) fn is_same(one: &Unit, other: &Unit) -> bool {
    one.krate == other.krate && one.root == other.root && one.bin == other.bin
}

/// A unit that refers to the workspace's crates by the stems that they have here.
fn with_stems(mut unit: Unit, stems: &BTreeMap<String, String>) -> Unit {
    // `folder/libstem.rmeta`
    let here = |path: &Path| {
        let kind = path.extension()?.to_str()?;
        let stem = stems.get(library_stem(path)?)?;
        Some(path.with_file_name(format!("lib{stem}.{kind}")))
    };
    unit.args = unit.args.with_externs_at(here);
    unit.compiled = unit.compiled.with_externs_at(here);
    unit
}

/// A unit with the identity of the one that runs.
fn as_before(mut unit: Unit, running: &Unit) -> Unit {
    const IDENTITY: &[&str] = &["metadata", "extra-filename", "incremental", "linker"];
    let is_identity = |flag: &Flag<'_>| {
        flag.name == "-C" && IDENTITY.contains(&flag.value.split('=').next().unwrap_or_default())
    };
    let identified = |new: &RustcArgs, old: &RustcArgs| {
        let kept = old.flags().filter(is_identity);
        let kept: Vec<String> = kept.map(|flag| format!("-C{}", flag.value)).collect();
        new.without(is_identity).with(kept)
    };
    unit.args = identified(&unit.args, &running.args);
    unit.compiled = identified(&unit.compiled, &running.compiled);
    unit.rlib.clone_from(&running.rlib);
    unit.folder.clone_from(&running.folder);
    unit
}

/// The flags of a call, whose order does not matter but among those of one name.
fn flags(args: &RustcArgs) -> BTreeMap<&str, Vec<&str>> {
    let mut flags: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for flag in args.flags() {
        // What a key of `-C` is set to does not depend on others.
        let key = flag.value.split_once('=').filter(|_| flag.name == "-C");
        let name = key.map_or(flag.name, |(key, _)| key);
        flags.entry(name).or_default().push(flag.value);
    }
    flags
}

/// The variables of a compile that say something about the crate.
fn own(env: &BTreeMap<String, String>) -> BTreeMap<&String, &String> {
    env.iter()
        .filter(|(name, _)| {
            let name = name.as_str();
            name.starts_with("CARGO_PKG_") || name == "OUT_DIR" || !name.starts_with("CARGO")
        })
        .filter(|(name, _)| !matches!(name.as_str(), "MAKEFLAGS" | "MFLAGS" | "_"))
        .collect()
}
