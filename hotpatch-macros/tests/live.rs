//! What `#[hot]` makes of functions in a hot build: every program in `tests/live` is compiled as it is and again
//! the way the tool compiles it, in every edition it names. Both must compile with all its lints and print the
//! same. Every program in `tests/live_errors` must fail both ways with the same words in the same places.
//!
//! That a newer body is really called is for the runtime's tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const RT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../hotpatch-rt");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Plain,
    Live,
}

/// The crates that a sample is compiled against.
struct Crates {
    dir: PathBuf,
    rt: PathBuf,
    deps: PathBuf,
    live: PathBuf,
}

impl Crates {
    /// Has cargo build `hotpatch-rt` and asks it where that went; makes the live crate with rustc, as the tool does.
    fn build(name: &str) -> Crates {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&dir).expect("the target directory is writable");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([
            "build",
            "--offline",
            "--lib",
            "--message-format=json",
            "--manifest-path",
        ]);
        cargo
            .arg(Path::new(RT).join("Cargo.toml"))
            .env_remove("CARGO_HOTPATCH_LIVE");
        let output = succeed(cargo.output(), "cargo build");
        let messages = String::from_utf8(output.stdout).expect("cargo speaks UTF-8");
        let rt = messages
            .split('"')
            .find(|text| text.contains("libhotpatch_rt") && text.ends_with(".rlib"))
            .expect("cargo tells where the library is");
        let rt = PathBuf::from(rt);
        let deps = rt
            .parent()
            .expect("a file lies in a directory")
            .join("deps");

        let live = dir.join("libhotpatch_live.rlib");
        let mut command = rustc();
        command.args([
            "--crate-name",
            "hotpatch_live",
            "--edition",
            "2024",
            "--crate-type",
            "rlib",
            "-O",
        ]);
        command.args([
            "--cfg",
            "feature=\"live\"",
            "--cfg",
            "feature=\"wire\"",
            "-Dwarnings",
            "-o",
        ]);
        command.arg(&live).arg(Path::new(RT).join("src/lib.rs"));
        succeed(command.output(), "rustc on the live crate");
        Crates {
            dir,
            rt,
            deps,
            live,
        }
    }

    fn command(
        &self,
        mut tool: Command,
        sample: &Path,
        edition: &str,
        mode: Mode,
    ) -> (Command, PathBuf) {
        let stem = sample
            .file_stem()
            .expect("samples have names")
            .to_string_lossy();
        let program = self.dir.join(format!("{stem}-{edition}-{mode:?}"));
        tool.args([
            "--crate-name",
            &stem,
            "--edition",
            edition,
            "--crate-type",
            "bin",
        ]);
        tool.args(["--error-format", "short", "-Cdebuginfo=0"]);
        tool.arg("--extern")
            .arg(format!("hotpatch_rt={}", self.rt.display()));
        tool.arg("-L")
            .arg(format!("dependency={}", self.deps.display()));
        tool.arg(sample).arg("-o").arg(&program);
        match mode {
            Mode::Plain => tool.env_remove("CARGO_HOTPATCH_LIVE"),
            Mode::Live => tool
                .env("CARGO_HOTPATCH_LIVE", "optimised")
                .arg("--extern")
                .arg(format!("hotpatch_live={}", self.live.display())),
        };
        (tool, program)
    }
}

fn rustc() -> Command {
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

#[track_caller]
fn succeed(output: std::io::Result<Output>, what: &str) -> Output {
    let output = output.unwrap_or_else(|error| panic!("{what} does not start: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what} failed:\n{stderr}");
    output
}

fn samples(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(folder);
    let entries = fs::read_dir(folder).expect("the samples are there");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("and readable").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

/// The editions that a sample's first line names: `// editions: 2021 2024`.
fn editions(sample: &Path) -> Vec<String> {
    let text = fs::read_to_string(sample).expect("samples are text");
    let line = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("// editions: "));
    line.expect("a sample names its editions")
        .split(' ')
        .map(str::to_owned)
        .collect()
}

#[test]
fn programs_compile_and_print_the_same() {
    let crates = Crates::build("programs");
    for sample in samples("live") {
        for edition in editions(&sample) {
            let run = |mode| {
                let (mut command, program) = crates.command(rustc(), &sample, &edition, mode);
                let what = format!("{} ({edition}, {mode:?})", sample.display());
                let compiled = succeed(command.output(), &what);
                let stderr = String::from_utf8_lossy(&compiled.stderr).into_owned();
                assert_eq!(stderr, "", "{what} compiles with warnings");
                succeed(Command::new(program).output(), &what).stdout
            };
            assert_eq!(
                run(Mode::Plain),
                run(Mode::Live),
                "{} ({edition})",
                sample.display()
            );
        }
    }
}

#[test]
fn clippy_has_nothing_more_to_say_than_without_a_slot() {
    let mut sysroot = rustc();
    let sysroot = succeed(
        sysroot.args(["--print", "sysroot"]).output(),
        "rustc --print sysroot",
    )
    .stdout;
    let sysroot = String::from_utf8(sysroot).expect("paths are UTF-8 here");
    let driver = Path::new(sysroot.trim()).join("bin/clippy-driver");
    if !driver.exists() {
        assert!(
            std::env::var_os("HOTPATCH_TEST_STRICT").is_none(),
            "there is no clippy"
        );
        return;
    }
    let crates = Crates::build("clippy");
    for sample in samples("live") {
        for edition in editions(&sample) {
            let lint = |mode| {
                let (mut command, _) =
                    crates.command(Command::new(&driver), &sample, &edition, mode);
                command.args(["-Wclippy::all", "-Wclippy::pedantic", "-Wclippy::nursery"]);
                command.args([
                    "-Wclippy::undocumented_unsafe_blocks",
                    "-Wclippy::absolute_paths",
                ]);
                command.args([
                    "-Wunused_qualifications",
                    "-Wunreachable_pub",
                    "--cap-lints=warn",
                ]);
                // A body's own items come after the slot's statement, which only pedants mind.
                command.arg("-Aclippy::items_after_statements");
                let what = format!("clippy on {} ({edition}, {mode:?})", sample.display());
                let output = succeed(command.output(), &what);
                let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
                stderr.lines().map(str::to_owned).collect::<Vec<_>>()
            };
            // Passing an argument on is a use, so there can be less to say, and the count of the last line with it.
            let plain = lint(Mode::Plain);
            let live = lint(Mode::Live);
            let more: Vec<_> = live
                .iter()
                .filter(|line| !plain.contains(line) && !line.ends_with(" emitted"))
                .collect();
            assert_eq!(more, [""; 0], "{} ({edition})", sample.display());
        }
    }
}

#[test]
fn errors_stay_where_they_were() {
    let crates = Crates::build("errors");
    for sample in samples("live_errors") {
        for edition in editions(&sample) {
            let fail = |mode| {
                let (mut command, _) = crates.command(rustc(), &sample, &edition, mode);
                let output = command.output().expect("rustc starts");
                assert!(!output.status.success(), "{} compiles", sample.display());
                String::from_utf8_lossy(&output.stderr).into_owned()
            };
            assert_eq!(
                fail(Mode::Live),
                fail(Mode::Plain),
                "{} ({edition})",
                sample.display()
            );
        }
    }
}
