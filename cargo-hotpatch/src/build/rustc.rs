//! A rustc command line as cargo wrote it: asked, and rewritten into the ones this tool runs.
//!
//! Pure: arguments in, arguments out. Nothing is run here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The arguments of one rustc call, without the program itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RustcArgs(Vec<String>);

/// Flags whose value is the next argument when it is not joined with `=`.
const WITH_VALUE: &[&str] = &[
    "--crate-name",
    "--crate-type",
    "--emit",
    "--edition",
    "--extern",
    "--cfg",
    "--check-cfg",
    "--out-dir",
    "--cap-lints",
    "--error-format",
    "--json",
    "--color",
    "--diagnostic-width",
    "--target",
    "--sysroot",
    "--remap-path-prefix",
    "--print",
    "--explain",
    "--env-set",
    "-C",
    "--codegen",
    "-L",
    "-l",
    "-A",
    "-W",
    "-D",
    "-F",
    "--allow",
    "--warn",
    "--deny",
    "--forbid",
    "--force-warn",
    "-Z",
    "-o",
];

/// One flag with its value, as rustc would read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag<'a> {
    /// `--emit`, `-C`, ...; empty for the input file.
    pub name: &'a str,
    /// The value, empty if the flag has none.
    pub value: &'a str,
}

impl RustcArgs {
    /// Takes the arguments as they come; `None` if one is not UTF-8.
    #[must_use]
    pub fn new(args: &[OsString]) -> Option<Self> {
        args.iter()
            .map(|arg| arg.to_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .map(Self)
    }

    /// The arguments as given.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Flags with their values, in order.
    pub fn flags(&self) -> impl Iterator<Item = Flag<'_>> {
        let mut rest = self.0.iter();
        std::iter::from_fn(move || {
            let arg = rest.next()?;
            Some(split(arg, || rest.next().map_or("", String::as_str)))
        })
    }

    /// The value of the last flag of that name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.flags()
            .filter(|flag| flag.name == name)
            .last()
            .map(|flag| flag.value)
    }

    /// The value of the last `-C key=value`; `Some("")` for a bare `-C key`.
    #[must_use]
    pub fn codegen(&self, key: &str) -> Option<&str> {
        self.flags()
            .filter(|flag| flag.name == "-C")
            .filter_map(|flag| {
                let (name, value) = flag.value.split_once('=').unwrap_or((flag.value, ""));
                (name == key).then_some(value)
            })
            .last()
    }

    /// The crate's name.
    #[must_use]
    pub fn crate_name(&self) -> Option<&str> {
        self.value("--crate-name")
    }

    /// All crate types, in order; `--test` counts as none.
    pub fn crate_types(&self) -> impl Iterator<Item = &str> {
        self.flags()
            .filter(|flag| flag.name == "--crate-type")
            .flat_map(|flag| flag.value.split(','))
    }

    /// Whether it makes a program, which is what rustc makes unless it is told otherwise: of tests, cargo tells it nothing.
    #[must_use]
    pub fn is_program(&self) -> bool {
        let mut types = self.crate_types().peekable();
        types.peek().is_none() || types.any(|kind| kind == "bin")
    }

    /// The root source file as given.
    #[must_use]
    pub fn input(&self) -> Option<&str> {
        self.flags()
            .find(|flag| flag.name.is_empty())
            .map(|flag| flag.value)
    }

    /// The folder the outputs go to.
    #[must_use]
    pub fn out_dir(&self) -> Option<&Path> {
        self.value("--out-dir").map(Path::new)
    }

    /// `<crate name><extra-filename>`, the stem of the unit's outputs.
    #[must_use]
    pub fn stem(&self) -> Option<String> {
        let extra = self.codegen("extra-filename").unwrap_or("");
        Some(format!("{}{extra}", self.crate_name()?))
    }

    /// The libraries that the crate is compiled with, each with what is said before its path: its name, perhaps with
    /// options, as in `priv:name`.
    pub fn externs(&self) -> impl Iterator<Item = (&str, &Path)> {
        let externs = self.flags().filter(|flag| flag.name == "--extern");
        externs.filter_map(|flag| {
            let (name, path) = flag.value.split_once('=')?;
            Some((name, Path::new(path)))
        })
    }

    /// The arguments with those libraries at another path for which `place` has one.
    #[must_use]
    pub fn with_externs_at(&self, place: impl Fn(&Path) -> Option<PathBuf>) -> Self {
        let moved = |value: &str| {
            let (name, path) = value.split_once('=')?;
            Some(format!("{name}={}", place(Path::new(path))?.display()))
        };
        let is_extern = |flag: &Flag<'_>| flag.name == "--extern";
        let externs = self.flags().filter(is_extern);
        let externs = externs.flat_map(|flag| {
            let value = moved(flag.value).unwrap_or_else(|| flag.value.to_owned());
            ["--extern".to_owned(), value]
        });
        self.without(is_extern).with(externs)
    }

    /// The optimisation level is above 0.
    #[must_use]
    pub fn optimised(&self) -> bool {
        let level = self.flags().fold("0", |level, flag| match flag {
            Flag { name: "-O", .. } => "3",
            Flag { name: "-C", value } => value.strip_prefix("opt-level=").unwrap_or(level),
            _ => level,
        });
        level != "0"
    }

    /// Generic code is shared between crates: at these levels rustc takes an instance from wherever it is.
    #[must_use]
    pub fn shares_instances(&self) -> bool {
        let level = self.codegen("opt-level").unwrap_or("0");
        !matches!(level, "2" | "3") && !self.as_slice().iter().any(|arg| arg == "-O")
    }

    /// Debug information is asked for that says what types look like.
    #[must_use]
    pub fn describes_types(&self) -> bool {
        let level = self.flags().fold("0", |level, flag| match flag {
            Flag { name: "-g", .. } => "2",
            Flag { name: "-C", value } => value.strip_prefix("debuginfo=").unwrap_or(level),
            _ => level,
        });
        matches!(level, "2" | "full")
    }

    /// The arguments without the flags `drop` picks.
    #[must_use]
    pub fn without(&self, drop: impl Fn(&Flag<'_>) -> bool) -> Self {
        let mut kept = Vec::new();
        let mut index = 0;
        while index < self.0.len() {
            let start = index;
            index += 1;
            let flag = split(&self.0[start], || {
                index += 1;
                self.0.get(start + 1).map_or("", String::as_str)
            });
            if !drop(&flag) {
                kept.extend_from_slice(&self.0[start..index.min(self.0.len())]);
            }
        }
        Self(kept)
    }

    /// The arguments with more at the end.
    #[must_use]
    pub fn with<I: IntoIterator<Item = S>, S: Into<String>>(mut self, more: I) -> Self {
        self.0.extend(more.into_iter().map(Into::into));
        self
    }
}

fn split<'a>(arg: &'a str, next: impl FnOnce() -> &'a str) -> Flag<'a> {
    if !arg.starts_with('-') || arg == "-" {
        return Flag {
            name: "",
            value: arg,
        };
    }
    if let Some((name, value)) = arg.split_once('=')
        && arg.starts_with("--")
    {
        return Flag { name, value };
    }
    if WITH_VALUE.contains(&arg) {
        let name = if arg == "--codegen" { "-C" } else { arg };
        return Flag {
            name,
            value: next(),
        };
    }
    // `-Copt-level=3`, `-Lpath`, `-lfoo`, `-Zflag`.
    if !arg.starts_with("--") && arg.len() > 2 && arg.is_char_boundary(2) {
        let (name, value) = arg.split_at(2);
        if WITH_VALUE.contains(&name) {
            return Flag { name, value };
        }
    }
    Flag {
        name: arg,
        value: "",
    }
}

/// `-C` keys that a command derived from a captured one replaces or must not have.
const REPLACED: &[&str] = &[
    "metadata",
    "extra-filename",
    "incremental",
    "lto",
    "linker-plugin-lto",
    "embed-bitcode",
    "strip",
    "symbol-mangling-version",
    "link-dead-code",
    "save-temps",
];

fn is_codegen(flag: &Flag<'_>, keys: &[&str]) -> bool {
    flag.name == "-C" && keys.contains(&flag.value.split('=').next().unwrap_or(""))
}

/// What a hot build adds to every crate of the workspace: each function gets a section and a symbol of its own, and
/// what types look like is told. `linker` stands in for the user's where something is linked.
#[must_use]
pub fn base(args: &RustcArgs, incremental: &Path, linker: Option<&Path>) -> RustcArgs {
    let mut more = vec![
        "-Csymbol-mangling-version=v0".to_owned(),
        "-Cstrip=none".to_owned(),
        "-Clink-dead-code".to_owned(),
        // Or else rustc optimises across the crate's own units, which makes private functions vanish.
        "-Clto=off".to_owned(),
    ];
    if args.optimised() {
        // With dead code linked, inline functions are made once for the crate; in one unit they are still inlined, while
        // the units of a crate can no longer look into each other.
        more.push("-Ccodegen-units=1".to_owned());
        // Functions that are merged are no longer told apart by those who refer to them.
        more.push("-Cllvm-args=-mergefunc-preserve-debug-info".to_owned());
    }
    if !args.describes_types() {
        more.push("-Cdebuginfo=2".to_owned());
    }
    if args.codegen("incremental").is_none() {
        more.push(format!("-Cincremental={}", incremental.display()));
    }
    if let Some(linker) = linker {
        more.push(format!("-Clinker={}", linker.display()));
    }
    let replaced = [
        "lto",
        "linker-plugin-lto",
        "strip",
        "symbol-mangling-version",
        "link-dead-code",
        "split-debuginfo",
    ];
    args.without(|flag| {
        is_codegen(flag, &replaced) || (linker.is_some() && is_codegen(flag, &["linker"]))
    })
    .with(more)
}

/// The crate's MIR on standard output, and nothing else; `args` are those of [`base`].
///
/// rustc only writes MIR while it makes code. As `crate_type` a `cdylib` that nobody links needs the least of that: no
/// metadata, and no functions but exported ones. Debug information stays as it is: without it rustc leaves statements out
/// of optimised MIR.
#[must_use]
pub fn mir(args: &RustcArgs, crate_type: &str, incremental: &Path) -> RustcArgs {
    args.without(|flag| {
        matches!(
            flag.name,
            "--emit" | "--error-format" | "--json" | "--crate-type"
        ) || is_codegen(flag, &["incremental", "link-dead-code"])
    })
    .with([
        format!("--crate-type={crate_type}"),
        "--emit=mir=-".to_owned(),
        "--cap-lints=allow".to_owned(),
        format!("-Cincremental={}", incremental.display()),
    ])
}

/// `-L dependency=` of the folder that holds a library.
#[must_use]
pub fn search_path(library: &Path) -> String {
    let folder = library.parent().unwrap_or(Path::new("."));
    format!("-Ldependency={}", folder.display())
}

/// Makes the agent's library known by its name.
#[must_use]
pub fn live_extern(live: &Path) -> String {
    format!("--extern=hotpatch_live={}", live.display())
}

/// Metadata of a widened copy of the crate: every item visible, bodies of plain functions blank.
#[must_use]
pub fn scope(args: &RustcArgs, root: &Path, metadata: &Path, incremental: &Path) -> RustcArgs {
    let identity = args.codegen("metadata").unwrap_or("").to_owned();
    derived(args)
        .with(["--crate-type=rlib".to_owned()])
        // The .mir text is thrown away; asking for it is what makes the metadata complete.
        .with([
            format!("--emit=metadata={},mir=/dev/null", metadata.display()),
            format!("-Cmetadata={identity}"),
            format!("-Cincremental={}", incremental.display()),
            out_dir(metadata),
            "-Cdebuginfo=0".to_owned(),
            root.display().to_string(),
        ])
}

/// The same crate for rustc but for its identity.
#[must_use]
pub fn with_other_identity(args: &RustcArgs, number: u32) -> RustcArgs {
    let identity = args.codegen("metadata").unwrap_or_default();
    args.without(|flag| is_codegen(flag, &["metadata"]))
        .with([format!("-Cmetadata={identity}-scope{number}")])
}

/// The same crate without the harness that runs its tests: all of its code but the tests themselves.
#[must_use]
pub fn without_harness(args: &RustcArgs) -> RustcArgs {
    match args.as_slice().iter().any(|arg| arg == "--test") {
        true => args
            .without(|flag| flag.name == "--test")
            .with(["--cfg=test".to_owned()]),
        false => args.clone(),
    }
}

/// A crate with nothing in it and the identity of this one, as a program or a library.
#[must_use]
pub fn empty(args: &RustcArgs, kind: &str, source: &Path, object: &Path) -> RustcArgs {
    args.without(|flag| {
        !matches!(flag.name, "--crate-name" | "--target" | "--sysroot")
            && !is_codegen(flag, &["metadata"])
    })
    .with([
        format!("--crate-type={kind}"),
        format!("--emit=obj={}", object.display()),
        out_dir(object),
        "--cap-lints=allow".to_owned(),
        "-Clink-dead-code".to_owned(),
        "-Csymbol-mangling-version=v0".to_owned(),
        source.display().to_string(),
    ])
}

/// One object with the changed functions, compiled against a scope.
#[must_use]
pub fn patch(
    args: &RustcArgs,
    root: &Path,
    object: &Path,
    identity: &str,
    scope: &Path,
) -> RustcArgs {
    derived(args)
        .without(|flag| is_codegen(flag, &["codegen-units"]))
        .with([
            "--crate-type=rlib".to_owned(),
            format!("--emit=obj={}", object.display()),
            format!("-Cmetadata={identity}"),
            out_dir(object),
            "-Ccodegen-units=1".to_owned(),
            "-Cembed-bitcode=no".to_owned(),
            format!("--extern=hp_scope={}", scope.display()),
            root.display().to_string(),
        ])
}

/// rustc's scratch files go beside the output; without this they would go where the user works.
fn out_dir(output: &Path) -> String {
    format!(
        "--out-dir={}",
        output.parent().unwrap_or(Path::new(".")).display()
    )
}

/// Asks what `#[cfg]` sees under these arguments.
#[must_use]
pub fn print_cfg(args: &RustcArgs) -> RustcArgs {
    args.without(|flag| {
        !matches!(
            flag.name,
            "--cfg" | "--target" | "-C" | "-Z" | "--sysroot" | "--edition" | "-O"
        ) || is_codegen(flag, REPLACED)
            || is_codegen(flag, &["linker", "link-arg", "link-args"])
    })
    .with(["--print=cfg"])
}

fn derived(args: &RustcArgs) -> RustcArgs {
    args.without(|flag| {
        matches!(
            flag.name,
            "" | "--crate-type"
                | "--emit"
                | "--out-dir"
                | "--cap-lints"
                | "--error-format"
                | "--json"
                | "--diagnostic-width"
                | "-A"
                | "-W"
                | "-D"
                | "-F"
                | "--allow"
                | "--warn"
                | "--deny"
                | "--forbid"
                | "--force-warn"
                | "-l"
        ) || is_codegen(flag, REPLACED)
            || is_codegen(
                flag,
                &["linker", "link-arg", "link-args", "split-debuginfo"],
            )
    })
    .with([
        "--cap-lints=allow",
        "--error-format=json",
        "-Csymbol-mangling-version=v0",
        "-Cstrip=none",
    ])
}

/// The library a bin unit is compiled to.
#[must_use]
pub fn rlib_path(args: &RustcArgs) -> Option<PathBuf> {
    Some(args.out_dir()?.join(format!("lib{}.rlib", args.stem()?)))
}

/// The stem of a library's file: `STEM` of `libSTEM.rlib`.
#[must_use]
pub fn library_stem(library: &Path) -> Option<&str> {
    library.file_stem()?.to_str()?.strip_prefix("lib")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> RustcArgs {
        RustcArgs(line.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn libraries_have_stems() {
        let stem = |path| library_stem(Path::new(path));
        assert_eq!(stem("/deps/libapp-1f.rlib"), Some("app-1f"));
        assert_eq!(stem("/deps/liblib.rmeta"), Some("lib"));
        assert_eq!(stem("/deps/app-1f"), None);
    }

    #[test]
    fn mir_is_asked_for_with_debug_information_and_no_dead_code() {
        let line = "--crate-name app src/lib.rs --crate-type lib --emit=dep-info,metadata,link -C debuginfo=2 \
             -Copt-level=2 -Clink-dead-code -C incremental=/t/incremental";
        let mir = mir(&args(line), "cdylib", Path::new("/t/mir"));
        // Without it rustc leaves statements out where it optimises.
        assert!(mir.describes_types());
        assert_eq!(mir.codegen("link-dead-code"), None);
        assert_eq!(mir.codegen("incremental"), Some("/t/mir"));
        assert_eq!(mir.crate_types().collect::<Vec<_>>(), ["cdylib"]);
    }

    #[test]
    fn flags_are_read_in_every_spelling() {
        let args = args(
            "--crate-name app --edition=2021 src/main.rs --crate-type bin --emit=dep-info,link \
             -C opt-level=2 -Cdebuginfo=1 -C metadata=abc -C extra-filename=-abc --out-dir /t/deps \
             -L dependency=/t/deps -Lnative=/x -lfoo --cfg feature=\"a\"",
        );
        assert_eq!(args.crate_name(), Some("app"));
        assert_eq!(args.value("--edition"), Some("2021"));
        assert_eq!(args.input(), Some("src/main.rs"));
        assert_eq!(args.codegen("debuginfo"), Some("1"));
        assert_eq!(args.stem().unwrap(), "app-abc");
        assert!(args.optimised());
        assert_eq!(args.value("-l"), Some("foo"));
        let kept = args.without(|flag| flag.name == "-L" || flag.name == "--cfg");
        assert!(
            !kept
                .as_slice()
                .iter()
                .any(|arg| arg.contains("/x") || arg.contains("feature"))
        );
        assert!(kept.as_slice().iter().any(|arg| arg == "-lfoo"));
    }

    #[test]
    fn the_base_keeps_the_users_flags_and_drops_lto() {
        let args = args("--crate-name a -C lto -C opt-level=3 -Ctarget-cpu=native a.rs");
        let base = base(&args, Path::new("/i"), None);
        assert_eq!(base.codegen("lto"), Some("off"));
        assert_eq!(base.codegen("target-cpu"), Some("native"));
        assert_eq!(base.codegen("incremental"), Some("/i"));
        assert_eq!(base.codegen("link-dead-code"), Some(""));
    }

    #[test]
    fn types_are_described_in_the_program_and_the_patch_themselves() {
        let of = |line: &str| args(&format!("--crate-name a {line} a.rs")).describes_types();
        assert!(of("-g") && of("-Cdebuginfo=2") && of("-C debuginfo=full"));
        assert!(!of("") && !of("-g -Cdebuginfo=0") && !of("-C debuginfo=line-tables-only"));
        let args = args("--crate-name a -C debuginfo=2 -Csplit-debuginfo=unpacked a.rs");
        let base = base(&args, Path::new("/i"), None);
        let at = Path::new("/p/x");
        for derived in [base, patch(&args, at, at, "id", at)] {
            assert_eq!(derived.codegen("split-debuginfo"), None);
            assert!(derived.describes_types());
        }
    }
}
