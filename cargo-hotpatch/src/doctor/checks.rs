//! Facts judged: what is well, what costs something, and what keeps edits from being patched. Pure.

use super::facts::{Facts, Watching};
use super::profile::Profile;
use crate::build::base::HOST;

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Edits are patched, but something is slower, less or less sure than it could be.
    Warning,
    /// Edits cannot be patched.
    Error,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How well it is.
    pub level: Level,
    /// What was looked at, in a word or two.
    pub topic: &'static str,
    /// What was found and what that means.
    pub text: String,
    /// What to do about it; empty where there is nothing to do.
    pub advice: String,
}

/// The oldest rustc that this tool is tested with, as major and minor number.
const OLDEST: (u32, u32) = (1, 95);

/// How much of a limit may be taken before it is worth a word, in percent.
const NEARLY_FULL: usize = 80;

/// Judges everything, in the order a build would meet it.
#[must_use]
pub fn findings(facts: &Facts) -> Vec<Finding> {
    vec![
        toolchain(facts),
        cargo(facts),
        target(facts),
        flags(facts),
        linker(facts),
        patch_linker(facts),
        optimisation(&facts.profile),
        target_folder(facts),
        meeting(facts),
        watching(&facts.watching),
    ]
}

fn ok(topic: &'static str, text: impl Into<String>) -> Finding {
    Finding {
        level: Level::Ok,
        topic,
        text: text.into(),
        advice: String::new(),
    }
}

fn warning(topic: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding {
        level: Level::Warning,
        advice: advice.into(),
        ..ok(topic, text)
    }
}

fn error(topic: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding {
        level: Level::Error,
        ..warning(topic, text, advice)
    }
}

fn toolchain(facts: &Facts) -> Finding {
    let topic = "toolchain";
    let rustc = match &facts.rustc {
        Ok(rustc) => rustc,
        Err(why) => {
            let advice = "install a toolchain with rustup, or name the compiler with `RUSTC`";
            return error(topic, format!("rustc does not run: {why}"), advice);
        }
    };
    let release = &rustc.release;
    if rustc.host != HOST {
        return error(
            topic,
            format!("rustc {release} is for {}", rustc.host),
            format!("programs are patched on {HOST} only: use a toolchain for it"),
        );
    }
    let mut numbers = release
        .split(['.', '-'])
        .map(|part| part.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let (major, minor) = OLDEST;
    if version < OLDEST {
        return warning(
            topic,
            format!(
                "rustc {release} is older than {major}.{minor}, with which this tool is tested"
            ),
            "update it with `rustup update`",
        );
    }
    ok(topic, format!("rustc {release} for {HOST}"))
}

fn cargo(facts: &Facts) -> Finding {
    match &facts.cargo {
        Ok(version) => ok("cargo", version.clone()),
        Err(why) => error(
            "cargo",
            format!("cargo does not run: {why}"),
            "install a toolchain with rustup, or name cargo with `CARGO`",
        ),
    }
}

fn target(facts: &Facts) -> Finding {
    match facts.target.as_deref().filter(|target| *target != HOST) {
        None => ok("target", HOST),
        Some(other) => error(
            "target",
            format!("the build is for {other}; only programs for {HOST} can be patched"),
            "leave out `--target`, `CARGO_BUILD_TARGET` and `build.target`",
        ),
    }
}

fn flags(facts: &Facts) -> Finding {
    let is_dynamic =
        codegen(&facts.rustflags, "prefer-dynamic").any(|value| !value.starts_with('n'));
    if is_dynamic {
        return error(
            "flags",
            "`-C prefer-dynamic` links the standard library as a shared library, which patches cannot bind to",
            "remove it from `RUSTFLAGS` or `build.rustflags`",
        );
    }
    match facts.rustflags.as_slice() {
        [] => ok("flags", "none of your own for rustc"),
        flags => ok("flags", format!("`{}` for rustc", flags.join(" "))),
    }
}

fn linker(facts: &Facts) -> Finding {
    let (name, says) = &facts.linker;
    match says {
        Ok(version) => ok("linker", format!("`{name}`, {version}")),
        Err(why) => error(
            "linker",
            format!("`{name}`, which links programs, does not run: {why}"),
            "install a C compiler, for instance with `sudo apt install gcc`, or set `target.<triple>.linker`",
        ),
    }
}

fn patch_linker(facts: &Facts) -> Finding {
    let topic = "patch linker";
    match (&facts.lld, &facts.linker) {
        (Some(_), _) => ok(topic, "`rust-lld` of the toolchain"),
        (None, (name, _)) => warning(
            topic,
            format!(
                "the toolchain has no `rust-lld`; patches are linked by `{name}`, which takes longer"
            ),
            "a toolchain of rustup's has it; some distributions leave it out",
        ),
    }
}

fn optimisation(profile: &Profile) -> Finding {
    let topic = "profile";
    let name = &profile.name;
    if profile.lto {
        return warning(
            topic,
            format!(
                "`lto` of profile `{name}` is off in hot builds, as it would dissolve what patches connect to"
            ),
            "nothing has to be done; the program you ship is built as before",
        );
    }
    if profile.optimised {
        return warning(
            topic,
            format!(
                "profile `{name}` optimises: functions become parts of their callers, which stay as they are while a \
                 thread is in them, and no edit is live before the crate is compiled"
            ),
            "let dependencies alone be optimised, `[profile.dev.package.\"*\"] opt-level = 3`, or mark what a loop calls \
             with `#[hot]`",
        );
    }
    ok(topic, format!("`{name}`, which does not optimise"))
}

fn target_folder(facts: &Facts) -> Finding {
    let (folder, trouble) = &facts.target_dir;
    let shown = format!("`{}`", folder.display());
    match trouble {
        None => ok("target folder", shown),
        Some(why) => error(
            "target folder",
            format!("nothing can be written to {shown}: {why}"),
            "mend its permissions, or name another one with `--target-dir`",
        ),
    }
}

fn meeting(facts: &Facts) -> Finding {
    let topic = "patch folder";
    let elsewhere = "set `XDG_RUNTIME_DIR` or `TMPDIR` to a folder of yours without these limits";
    let meeting = match &facts.meeting {
        Ok(meeting) => meeting,
        Err(why) => return error(topic, why.clone(), elsewhere),
    };
    let place = meeting.place.display();
    if meeting.mode != 0o700 {
        return error(
            topic,
            format!(
                "a folder in `{place}` could not be kept to you alone (mode {:o})",
                meeting.mode
            ),
            elsewhere,
        );
    }
    if meeting.noexec {
        return error(
            topic,
            format!("`{place}` is mounted `noexec`, so a patch in it cannot be loaded"),
            elsewhere,
        );
    }
    ok(topic, format!("in `{place}`, open to you alone"))
}

fn watching(watching: &Watching) -> Finding {
    let topic = "watching";
    let Watching {
        folders,
        watches,
        max_watches,
        instances,
        max_instances,
    } = *watching;
    let raise = |name: &str, to: usize| {
        format!(
            "raise the limit: `sudo sysctl fs.inotify.{name}={to}`, for good in `/etc/sysctl.d`"
        )
    };
    if let Some(max) = max_instances.filter(|max| instances >= *max) {
        return error(
            topic,
            format!("all {max} inotify instances of yours are taken, and a session needs one"),
            raise("max_user_instances", (2 * max).max(128)),
        );
    }
    let Some(max) = max_watches else {
        return ok(topic, format!("{folders} folders"));
    };
    let wanted = watches + folders;
    let more = (2 * wanted).max(65_536).next_power_of_two();
    if wanted > max {
        return error(
            topic,
            format!(
                "{folders} folders are to be watched, and {watches} of {max} inotify watches are taken"
            ),
            raise("max_user_watches", more),
        );
    }
    if wanted * 100 > max * NEARLY_FULL {
        return warning(
            topic,
            format!("with {folders} folders, {wanted} of {max} inotify watches would be taken"),
            raise("max_user_watches", more),
        );
    }
    ok(
        topic,
        format!("{folders} folders; {watches} of {max} inotify watches are taken"),
    )
}

/// The values of `-C key=value` among flags.
pub(super) fn codegen<'a>(flags: &'a [String], key: &'a str) -> impl Iterator<Item = &'a str> {
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::facts::{Meeting, Rustc};
    use super::*;

    fn well() -> Facts {
        Facts {
            rustc: Ok(Rustc {
                release: "1.95.0".to_owned(),
                host: HOST.to_owned(),
            }),
            cargo: Ok("cargo 1.95.0".to_owned()),
            linker: ("cc".to_owned(), Ok("cc 12".to_owned())),
            lld: Some(PathBuf::from("/rust-lld")),
            target: None,
            rustflags: Vec::new(),
            profile: Profile {
                name: "dev".to_owned(),
                ..Profile::default()
            },
            meeting: Ok(Meeting {
                place: PathBuf::from("/run/user/7"),
                mode: 0o700,
                noexec: false,
            }),
            target_dir: (PathBuf::from("/p/target"), None),
            watching: Watching {
                folders: 10,
                watches: 5,
                max_watches: Some(1000),
                instances: 1,
                max_instances: Some(128),
            },
        }
    }

    /// What is said of a fact, and that nothing else is amiss.
    fn only(level: Level, change: impl FnOnce(&mut Facts)) -> String {
        let mut facts = well();
        change(&mut facts);
        let found = findings(&facts);
        let amiss: Vec<&Finding> = found.iter().filter(|f| f.level != Level::Ok).collect();
        let [finding] = amiss.as_slice() else {
            panic!("{amiss:?}");
        };
        assert_eq!(finding.level, level, "{finding:?}");
        format!("{}: {} = {}", finding.topic, finding.text, finding.advice)
    }

    #[test]
    fn all_is_well() {
        let found = findings(&well());
        assert!(
            found.iter().all(|finding| finding.level == Level::Ok),
            "{found:?}"
        );
        assert!(found.iter().all(|finding| finding.advice.is_empty()));
    }

    #[test]
    fn each_fact_that_matters_is_found() {
        use Level::{Error, Warning};
        let rustc = |release: &str, host: &str| {
            Ok(Rustc {
                release: release.to_owned(),
                host: host.to_owned(),
            })
        };
        let cases = [
            only(Error, |f| f.rustc = Err("gone".to_owned())),
            only(Error, |f| {
                f.rustc = rustc("1.95.0", "x86_64-unknown-linux-musl")
            }),
            only(Warning, |f| f.rustc = rustc("1.94.1", HOST)),
            only(Error, |f| f.cargo = Err("gone".to_owned())),
            only(Error, |f| f.target = Some("wasm32-wasip1".to_owned())),
            only(Error, |f| {
                f.rustflags = vec!["-Cprefer-dynamic=yes".to_owned()]
            }),
            only(Error, |f| f.linker.1 = Err("not found".to_owned())),
            only(Warning, |f| f.lld = None),
            only(Warning, |f| f.profile.optimised = true),
            only(Warning, |f| f.profile.lto = true),
            only(Error, |f| f.target_dir.1 = Some("read-only".to_owned())),
            only(Error, |f| {
                f.meeting = Err("failed to set up `/tmp`".to_owned())
            }),
            only(Error, |f| f.meeting.as_mut().unwrap().mode = 0o755),
            only(Error, |f| f.meeting.as_mut().unwrap().noexec = true),
            only(Error, |f| f.watching.instances = 128),
            only(Error, |f| f.watching.watches = 995),
            only(Warning, |f| f.watching.watches = 795),
        ];
        for text in &cases {
            assert!(!text.ends_with("= "), "no advice: {text}");
        }
        assert_eq!(
            cases[15],
            "watching: 10 folders are to be watched, and 995 of 1000 inotify watches are taken = raise the \
             limit: `sudo sysctl fs.inotify.max_user_watches=65536`, for good in `/etc/sysctl.d`"
        );
        // Neither a newer compiler, nor a limit that is not known, nor the host's own name is amiss.
        let mut facts = well();
        facts.rustc = rustc("1.97.0-nightly", HOST);
        facts.target = Some(HOST.to_owned());
        facts.rustflags = vec!["-Cprefer-dynamic=no".to_owned()];
        facts.watching.max_watches = None;
        assert!(
            findings(&facts)
                .iter()
                .all(|finding| finding.level == Level::Ok)
        );
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
