//! The profile a build would have: the configuration, the manifest, then cargo's own defaults. See "Profiles" in
//! the Cargo Book. Pure but for reading the manifest.

use std::fs;

use toml::{Table, Value};

use crate::args::BuildArgs;
use crate::build::config::CargoConfig;
use crate::build::project::Project;

/// A profile of cargo's, as far as patches depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Code is optimised.
    pub optimised: bool,
    /// It asks for link-time optimisation.
    pub lto: bool,
}

/// The profile that these options choose.
#[must_use]
pub fn profile(project: &Project, args: &BuildArgs) -> Profile {
    let manifest = project.metadata.workspace_root.join("Cargo.toml");
    let manifest = fs::read_to_string(manifest)
        .ok()
        .and_then(|text| text.parse().ok());
    let name = match (&args.profile, args.release) {
        (Some(name), _) => name.as_str(),
        (None, true) => "release",
        (None, false) => "dev",
    };
    resolve(&project.config, &manifest.unwrap_or_default(), name)
}

fn resolve(config: &CargoConfig, manifest: &Table, name: &str) -> Profile {
    let of = |profile: &str, key: &str| {
        let of_manifest = || manifest.get("profile")?.get(profile)?.get(key).cloned();
        config.in_profile(profile, key).or_else(of_manifest)
    };
    let mut line = vec![name.to_owned()];
    // Cargo allows no circle; a manifest that has one does not build.
    while let Some(parent) =
        parent(&of, line.last().map_or("", String::as_str)).filter(|p| !line.contains(p))
    {
        line.push(parent);
    }
    let find = |key: &str| {
        let found = line.iter().find_map(|profile| of(profile, key))?;
        Some(
            found
                .as_str()
                .map_or_else(|| found.to_string(), str::to_owned),
        )
    };
    let ends_in_release = line.last().is_some_and(|last| last == "release");
    Profile {
        name: name.to_owned(),
        optimised: find("opt-level").map_or(ends_in_release, |value| value != "0"),
        lto: find("lto").is_some_and(|value| !matches!(value.as_str(), "false" | "off")),
    }
}

fn parent(of: &dyn Fn(&str, &str) -> Option<Value>, name: &str) -> Option<String> {
    match name {
        "dev" | "release" => None,
        "test" => Some("dev".to_owned()),
        "bench" => Some("release".to_owned()),
        _ => of(name, "inherits")?.as_str().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_as_cargo_has_them() {
        let of = |manifest: &str, name: &str| {
            let manifest = manifest.parse().unwrap();
            let found = resolve(&CargoConfig::default(), &manifest, name);
            (found.optimised, found.lto)
        };
        assert_eq!(of("", "dev"), (false, false));
        assert_eq!(of("", "test"), (false, false));
        assert_eq!(of("", "release"), (true, false));
        let own = "[profile.dev]\nopt-level = 1\n\
                   [profile.fast]\ninherits = 'release'\nlto = 'thin'\n\
                   [profile.a]\ninherits = 'b'\n[profile.b]\ninherits = 'a'";
        assert_eq!(of(own, "dev"), (true, false));
        assert_eq!(of(own, "fast"), (true, true));
        assert_eq!(of(own, "a"), (false, false));
    }
}
