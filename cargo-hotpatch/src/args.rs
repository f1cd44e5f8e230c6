//! What the user may type: `cargo hotpatch run`, `demo` and `explain`, as clap types.
//!
//! Nothing here acts. [`BuildArgs::cargo_args`] holds every option that belongs to cargo and nothing that belongs to this
//! tool, so that what is built is what `cargo run` with the same options builds.

mod testing;
mod view;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub use self::testing::TestArgs;
pub use self::view::{GetArgs, ListArgs, SetArgs};

use crate::plan::codes::Code;
use crate::plan::explain;

const RUN_EXAMPLES: &str = "\
Examples:
  cargo hotpatch run                              the package's only program
  cargo hotpatch run -p game --bin client         one program of a workspace
  cargo hotpatch run --release -- --port 8080     arguments after `--` go to the program
  cargo hotpatch run --on-refuse restart          never ask, restart when an edit cannot be patched
  cargo hotpatch run --events hot.jsonl           for editors and scripts: one JSON object a line
  cargo hotpatch run --listen 127.0.0.1:3000      restarts refuse no connection (see LISTEN_FDS)

Start the program, save an edit: from its next call on each function that differs runs the new code, and the program keeps
its state. Nothing has to be marked. An edit of bodies alone is live in about a tenth of a second, and confirmed by the
compiler's own build; all else takes about as long as `cargo build`.

The key `r` restarts the program at any time, where the terminal cannot be meant for the program: while its standard
input is something else (`--no-stdin`, `< FILE`), and while no program runs. A restart makes the new program ready first,
from what was built and what was saved since, and ends the running one only when that went well. What the program keeps
with `hotpatch_rt::keep` survives it. A program that has ended is run again by the next save, or by Enter.";

/// Edit a running Rust program: `cargo hotpatch run` patches its functions in place.
#[derive(Debug, Parser)]
#[command(name = "cargo-hotpatch", bin_name = "cargo hotpatch", version)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build and start a program, and patch it while it runs
    Run(Box<RunArgs>),
    /// Run the tests, and after each save those first that the edit reaches
    Test(Box<TestArgs>),
    /// Show at another terminal all that a session says, and take its keys
    Attach(SessionArgs),
    /// Say how things stand with the sessions of this workspace
    Status(StatusArgs),
    /// Wait until the sources on disk have their verdict, and say what it is
    Wait(WaitArgs),
    /// Say what would become of the sources on disk, and load nothing
    Try(TryArgs),
    /// Build and start the program of a session anew
    Restart(RestartArgs),
    /// Have the program run again what it ran before the last save, without a compile
    #[command(after_help = STEP_EXIT)]
    Undo(SessionArgs),
    /// Give up calls of `#[hot(retry)]` functions that panicked and wait for other code: their panics go on
    GiveUp(SessionArgs),
    /// Have it run again what was undone
    #[command(after_help = STEP_EXIT)]
    Redo(SessionArgs),
    /// Have a session leave saves alone
    Pause(PauseArgs),
    /// List the functions of a session's program
    List(ListArgs),
    /// Say what the statics of a session's program hold
    Get(GetArgs),
    /// Give a static of a session's program another value
    Set(SetArgs),
    /// End a session and its program
    Quit(SessionArgs),
    /// Write the tasks that an editor needs, or what tells an agent of this tool
    Init(InitArgs),
    /// Answer a program that edits code, over standard input and output (Model Context Protocol)
    Mcp,
    /// Write what a shell needs to complete this command's words
    Completions(CompletionsArgs),
    /// Write the manual pages into a folder
    Man(ManArgs),
    /// Look for what keeps edits from being patched here
    Doctor(Box<DoctorArgs>),
    /// Show it: start an example in a temporary copy and edit it three times
    Demo(DemoArgs),
    /// Say what a code such as HP0101 means, why, and what to do
    Explain(ExplainArgs),
}

impl Cli {
    /// Parses a full argument vector, the tool's own name first.
    ///
    /// Cargo calls a subcommand as `cargo-hotpatch hotpatch run`, a person at a shell as `cargo-hotpatch run`; one
    /// leading `hotpatch` is dropped, so both work.
    pub fn parse_from_cargo<I>(argv: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = OsString>,
    {
        let mut argv: Vec<OsString> = argv.into_iter().collect();
        if argv.get(1).is_some_and(|word| word == "hotpatch") {
            argv.remove(1);
        }
        Self::try_parse_from(argv)
    }
}

/// What to do with an edit that cannot be patched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnRefuse {
    /// Ask at the terminal
    Ask,
    /// Rebuild and start the program anew
    Restart,
    /// Let the old code run on
    Stay,
    /// End the program and the session
    Quit,
}

/// How a session says what happens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum SessionFormat {
    /// For people
    #[default]
    Human,
    /// One line each, for editors: `FILE:LINE:COLUMN: error[CODE]: MESSAGE`, and `hotpatch: ...`
    Short,
    /// One JSON object a line, as with --events
    Json,
}

/// When to use colours; cargo's `--color`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// When the standard error stream is a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The options of `cargo hotpatch run`: cargo run's own, then ours.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArgs {
    /// Write one JSON object a line about ready, patched, refused, ... to FILE
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
    /// How what happens is written to standard error
    #[arg(long, value_name = "FMT", value_enum, default_value_t)]
    pub message_format: SessionFormat,
    /// Write a page with the times of all edits when the session ends, and on the key `t`
    #[arg(long)]
    pub timings: bool,
    /// What to do when an edit cannot be patched [default: ask at a terminal, otherwise stay]
    #[arg(long, value_name = "WHAT", value_enum)]
    pub on_refuse: Option<OnRefuse>,
    /// Take a patch back if code of it has a thread panic or crash, and start the program with what ran before if that ends it
    #[arg(long)]
    pub guard: bool,
    /// Hold a listening socket for the program (LISTEN_FDS), across restarts; may be given several times
    #[arg(long, value_name = "ADDRESS:PORT", action = ArgAction::Append)]
    pub listen: Vec<String>,
    /// Give the program an empty standard input, so that the key `r` restarts it
    #[arg(long)]
    pub no_stdin: bool,

    /// What is built, and how.
    #[command(flatten)]
    pub build: BuildArgs,

    /// Arguments for the program
    #[arg(value_name = "ARGS", trailing_var_arg = true)]
    pub args: Vec<OsString>,
}

/// Which session is meant: that of this workspace, if there is one.
#[derive(Debug, Clone, Default, Args)]
pub struct SessionArgs {
    /// The session whose program is of this package
    #[arg(short, long, value_name = "NAME")]
    pub package: Option<String>,
    /// The session with this process id, or whose program has it
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// When to use colours
    #[arg(long, value_name = "WHEN", value_enum)]
    pub color: Option<Color>,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct FormatArgs {
    /// How it is written to standard output
    #[arg(long, value_name = "FMT", value_enum, default_value_t)]
    message_format: SessionFormat,
    /// The same as `--message-format json`
    #[arg(long)]
    json: bool,
}

impl FormatArgs {
    /// The form that is asked for.
    #[must_use]
    pub fn chosen(self) -> SessionFormat {
        match self.json {
            true => SessionFormat::Json,
            false => self.message_format,
        }
    }
}

const STATUS_EXIT: &str = "Exit status: 0; 6 if there is no such session.";

/// The options of `cargo hotpatch status` and `cargo hotpatch list`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = STATUS_EXIT)]
pub struct StatusArgs {
    /// Write JSON to standard output, one line a session
    #[arg(long)]
    pub json: bool,

    /// Which session.
    #[command(flatten)]
    pub session: SessionArgs,
}

const STEP_EXIT: &str = "\
No file is changed: what is on disk comes back with the next save that changes something, with `redo` or with a restart.
Each goes by the rules of a patch, and is refused where an edit of the same would be.

Exit status: 0 if other code runs, 3 if there is no such step or it was refused, 6 if there is no such session.";

const WAIT_EXIT: &str = "\
Examples:
  cargo hotpatch wait                             what became of the sources as they are on disk now
  cargo hotpatch wait --timeout 10 --json         for scripts and agents: one JSON object

Exit status: 0 if what is on disk is live or changes nothing, 3 if it was refused, 4 if it does not compile, 5 if the
program has ended, 6 if there is no such session, 7 if there is no verdict yet (time is up, or the session is paused),
8 if it was undone.";

/// The options of `cargo hotpatch wait`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = WAIT_EXIT)]
pub struct WaitArgs {
    /// Name all functions that were patched after this generation, not only those of the last verdict
    #[arg(long, value_name = "GENERATION")]
    pub since: Option<u32>,
    /// Wait no longer than this
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub timeout: u64,
    /// How it is written.
    #[command(flatten)]
    pub format: FormatArgs,

    /// Which session.
    #[command(flatten)]
    pub session: SessionArgs,
}

const TRY_EXIT: &str = "\
Examples:
  cargo hotpatch pause                            leave saves alone
  cargo hotpatch try                              would what is on disk now go live?
  cargo hotpatch pause --off                      yes

Exit status: 0 if it would be live or changes nothing, 3 if it would be refused, 4 if it does not compile, 5 if no program
runs, 6 if there is no such session.";

/// The options of `cargo hotpatch try`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = TRY_EXIT)]
pub struct TryArgs {
    /// How it is written.
    #[command(flatten)]
    pub format: FormatArgs,

    /// Which session.
    #[command(flatten)]
    pub session: SessionArgs,
}

const RESTART_EXIT: &str = "Exit status: 0 if the new program runs; 3 if the old one goes on; 6 if there is no such session.";

/// The options of `cargo hotpatch restart`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = RESTART_EXIT)]
pub struct RestartArgs {
    /// Begin with nothing of what the program keeps
    #[arg(long)]
    pub clean: bool,
    /// Restart even if not all of what the program keeps can be saved
    #[arg(long)]
    pub force: bool,

    /// Which session.
    #[command(flatten)]
    pub session: SessionArgs,
}

const INIT_EXAMPLES: &str = "\
Examples:
  cargo hotpatch init                             asks which editor, unless a folder of it says so
  cargo hotpatch init --ide vscode --dry-run      what would be written, as a diff
  cargo hotpatch init --agent                     for programs that edit code: .mcp.json and AGENTS.md

Files are merged: comments and other tasks stay, and a second time nothing changes.";

/// An editor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Ide {
    /// Visual Studio Code: a task with problem matchers, and a configuration to attach a debugger
    Vscode,
    /// Zed: a task
    Zed,
    /// RustRover and CLion: a run configuration
    Jetbrains,
    /// Neovim: the quickfix list after each save (needs the option 'exrc')
    Neovim,
    /// Helix: what to type, as it has no tasks
    Helix,
    /// None
    None,
}

/// The options of `cargo hotpatch init`.
#[derive(Debug, Clone, Args)]
#[command(after_help = INIT_EXAMPLES)]
pub struct InitArgs {
    /// The editor
    #[arg(long, value_enum)]
    pub ide: Option<Ide>,
    /// Write what tells programs that edit code of this tool
    #[arg(long)]
    pub agent: bool,
    /// Show what would be written and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Path to Cargo.toml
    #[arg(long, value_name = "PATH")]
    pub manifest_path: Option<PathBuf>,
}

/// The options of `cargo hotpatch completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// The options of `cargo hotpatch man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// The folder, which is made if need be
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}

/// The options of `cargo hotpatch pause`.
#[derive(Debug, Clone, Default, Args)]
pub struct PauseArgs {
    /// Take saves up again, with those that came meanwhile
    #[arg(long)]
    pub off: bool,

    /// Which session.
    #[command(flatten)]
    pub session: SessionArgs,
}

const DOCTOR_EXAMPLES: &str = "\
Examples:
  cargo hotpatch doctor                           toolchain, linker, flags, permissions, limits
  cargo hotpatch doctor --release -p game         the same for another profile and package
  cargo hotpatch doctor --history 40              which of the last 40 commits would have gone live; builds a copy
  cargo hotpatch doctor --message-format json     for editors and scripts: one JSON object a line

Exit status: 0 if edits can be patched, 1 if a check found an error.";

/// How a report is written; cargo's `--message-format`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum MessageFormat {
    /// For people
    #[default]
    Human,
    /// One JSON object a line
    Json,
}

/// The options of `cargo hotpatch doctor`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = DOCTOR_EXAMPLES)]
pub struct DoctorArgs {
    /// How the findings are written to standard output
    #[arg(long, value_name = "FMT", value_enum, default_value_t)]
    pub message_format: MessageFormat,

    /// Also try the last N commits in a copy: which of them would have gone live in a running program
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub history: Option<u32>,

    /// What is built, and how.
    #[command(flatten)]
    pub build: BuildArgs,
}

/// The options that say what is built and how: cargo's own, which every command that builds has.
#[derive(Debug, Clone, Default, Args)]
pub struct BuildArgs {
    /// Show the phases of each patch; twice: the commands too
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Print problems only
    #[arg(short, long)]
    pub quiet: bool,
    /// When to use colours
    #[arg(long, value_name = "WHEN", value_enum)]
    pub color: Option<Color>,
    /// Override a configuration value of cargo
    #[arg(long, value_name = "KEY=VALUE|PATH", action = ArgAction::Append)]
    pub config: Vec<String>,

    /// Package with the program to run
    #[arg(short, long, value_name = "SPEC", help_heading = "Package selection")]
    pub package: Option<String>,
    /// Name of the binary to run
    #[arg(long, value_name = "NAME", conflicts_with = "example")]
    #[arg(help_heading = "Target selection")]
    pub bin: Option<String>,
    /// Name of the example to run
    #[arg(long, value_name = "NAME", help_heading = "Target selection")]
    pub example: Option<String>,

    /// Space or comma separated list of features to activate
    #[arg(short = 'F', long, value_name = "FEATURES", action = ArgAction::Append)]
    #[arg(help_heading = "Feature selection")]
    pub features: Vec<String>,
    /// Activate all available features
    #[arg(long, help_heading = "Feature selection")]
    pub all_features: bool,
    /// Do not activate the `default` feature
    #[arg(long, help_heading = "Feature selection")]
    pub no_default_features: bool,

    /// Number of parallel jobs
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    #[arg(help_heading = "Compilation options")]
    pub jobs: Option<String>,
    /// Build in release mode, with optimizations
    #[arg(short, long, conflicts_with = "profile")]
    #[arg(help_heading = "Compilation options")]
    pub release: bool,
    /// Build with the given profile
    #[arg(long, value_name = "PROFILE-NAME")]
    #[arg(help_heading = "Compilation options")]
    pub profile: Option<String>,
    /// Not possible: a program is patched on the machine it runs on
    #[arg(long, value_name = "TRIPLE", action = ArgAction::Append)]
    #[arg(help_heading = "Compilation options")]
    pub target: Vec<String>,
    /// Directory for all generated artifacts
    #[arg(long, value_name = "DIRECTORY")]
    #[arg(help_heading = "Compilation options")]
    pub target_dir: Option<PathBuf>,

    /// Path to Cargo.toml
    #[arg(long, value_name = "PATH", help_heading = "Manifest options")]
    pub manifest_path: Option<PathBuf>,
    /// Assert that `Cargo.lock` will remain unchanged
    #[arg(long, help_heading = "Manifest options")]
    pub locked: bool,
    /// Run without accessing the network
    #[arg(long, help_heading = "Manifest options")]
    pub offline: bool,
    /// Equivalent to specifying both --locked and --offline
    #[arg(long, help_heading = "Manifest options")]
    pub frozen: bool,
}

impl BuildArgs {
    /// The options that `cargo build` must get to build what `cargo run` with these options would run.
    ///
    /// `--target` is left out: the caller refuses it, see [`BuildArgs::target`].
    #[must_use]
    pub fn cargo_args(&self) -> Vec<OsString> {
        let mut list = CargoArgs::default();
        list.value("--package", self.package.as_deref());
        list.value("--bin", self.bin.as_deref());
        list.value("--example", self.example.as_deref());
        for features in &self.features {
            list.value("--features", Some(features));
        }
        list.flag("--all-features", self.all_features);
        list.flag("--no-default-features", self.no_default_features);
        list.value("--jobs", self.jobs.as_deref());
        list.flag("--release", self.release);
        list.value("--profile", self.profile.as_deref());
        list.value("--target-dir", self.target_dir.as_deref());
        list.0.extend(self.manifest_args());
        // One `-v` is about our own work; cargo joins in at the second.
        for _ in 1..self.verbose {
            list.flag("--verbose", true);
        }
        list.flag("--quiet", self.quiet);
        list.value("--color", self.color.map(color_word));
        list.0
    }

    /// The part of [`BuildArgs::cargo_args`] that `cargo metadata` understands too: which manifest, which configuration,
    /// and whether the lock file or the network may be touched.
    #[must_use]
    pub fn manifest_args(&self) -> Vec<OsString> {
        let mut list = CargoArgs::default();
        list.value("--manifest-path", self.manifest_path.as_deref());
        list.flag("--locked", self.locked);
        list.flag("--offline", self.offline);
        list.flag("--frozen", self.frozen);
        for config in &self.config {
            list.value("--config", Some(config));
        }
        list.0
    }
}

#[derive(Default)]
struct CargoArgs(Vec<OsString>);

impl CargoArgs {
    fn flag(&mut self, name: &str, set: bool) {
        if set {
            self.0.push(name.into());
        }
    }

    /// Writes `--name=value` as one word, so that a value beginning with `-` is still a value.
    fn value<S: AsRef<OsStr> + ?Sized>(&mut self, name: &str, value: Option<&S>) {
        if let Some(value) = value {
            let mut word = OsString::from(name);
            word.push("=");
            word.push(value);
            self.0.push(word);
        }
    }
}

fn color_word(color: Color) -> &'static str {
    match color {
        Color::Auto => "auto",
        Color::Always => "always",
        Color::Never => "never",
    }
}

/// The options of `cargo hotpatch demo`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:
  cargo hotpatch demo            watch three edits go live, then make your own
  cargo hotpatch demo --keep     keep the copy of the example when it ends")]
pub struct DemoArgs {
    /// Keep the copy of the example
    #[arg(long)]
    pub keep: bool,
    /// End after the three edits instead of inviting you to edit [default: when the output is no terminal]
    #[arg(long)]
    pub auto: bool,
}

/// The options of `cargo hotpatch explain`.
#[derive(Debug, Clone, Default, Args)]
pub struct ExplainArgs {
    /// The code, such as HP0101; without one, all codes are listed
    #[arg(value_name = "CODE", value_parser = parse_code)]
    pub code: Option<Code>,
}

fn parse_code(text: &str) -> Result<Code, String> {
    explain::find(text).ok_or_else(|| {
        let codes: Vec<String> = Code::ALL.iter().map(Code::to_string).collect();
        format!("the codes are {}", codes.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        Cli::parse_from_cargo(words.iter().map(OsString::from))
    }

    fn run(words: &[&str]) -> RunArgs {
        let mut argv = vec!["cargo-hotpatch", "hotpatch", "run"];
        argv.extend(words);
        match parse(&argv).unwrap().command {
            Command::Run(args) => *args,
            other => panic!("not run: {other:?}"),
        }
    }

    #[test]
    fn clap_finds_no_fault() {
        Cli::command().debug_assert();
    }

    #[test]
    fn with_and_without_cargos_word() {
        for argv in [
            &["cargo-hotpatch", "hotpatch", "run", "--release"][..],
            &["cargo-hotpatch", "run", "--release"],
        ] {
            let Command::Run(args) = parse(argv).unwrap().command else {
                panic!("not run: {argv:?}");
            };
            assert!(args.build.release);
        }
        assert!(parse(&["cargo-hotpatch", "hotpatch", "hotpatch", "run"]).is_err());
    }

    #[test]
    fn cargos_options_are_passed_on_and_ours_are_not() {
        let args = run(&[
            "-p=game",
            "--bin",
            "client",
            "-F",
            "a,b",
            "--features",
            "c d",
            "--all-features",
            "--no-default-features",
            "-r",
            "--target-dir",
            "/t",
            "--manifest-path",
            "x/Cargo.toml",
            "--locked",
            "--offline",
            "--frozen",
            "-j",
            "-2",
            "-vv",
            "--config",
            "net.retry=1",
            "--config",
            "a.toml",
            "--color",
            "never",
            "--events",
            "e.jsonl",
            "--on-refuse",
            "stay",
            "--listen",
            "127.0.0.1:0",
            "--listen=[::1]:80",
            "--no-stdin",
            "--",
            "-x",
            "--release",
        ]);
        assert_eq!(
            args.build.cargo_args(),
            [
                "--package=game",
                "--bin=client",
                "--features=a,b",
                "--features=c d",
                "--all-features",
                "--no-default-features",
                "--jobs=-2",
                "--release",
                "--target-dir=/t",
                "--manifest-path=x/Cargo.toml",
                "--locked",
                "--offline",
                "--frozen",
                "--config=net.retry=1",
                "--config=a.toml",
                "--verbose",
                "--color=never",
            ]
        );
        assert_eq!(args.args, ["-x", "--release"]);
        assert_eq!(args.events.as_deref(), Some("e.jsonl".as_ref()));
        assert_eq!(args.on_refuse, Some(OnRefuse::Stay));
        assert_eq!(args.listen, ["127.0.0.1:0", "[::1]:80"]);
        assert!(args.no_stdin);
    }

    #[test]
    fn the_programs_arguments_may_follow_without_dashes() {
        let args = run(&["--example", "demo", "input.txt", "--release", "-q"]);
        assert_eq!(args.args, ["input.txt", "--release", "-q"]);
        assert_eq!(args.build.cargo_args(), ["--example=demo"]);
    }

    #[test]
    fn nothing_given_is_nothing_passed() {
        let args = run(&[]);
        assert!(args.build.cargo_args().is_empty());
        assert_eq!(args.on_refuse, None);
    }

    #[test]
    fn what_cargo_refuses_is_refused() {
        for words in [
            &["--release", "--profile", "dev"][..],
            &["--bin", "a", "--example", "b"],
            &["-q", "-v"],
            &["--no-such-option"],
            &["--on-refuse", "maybe"],
        ] {
            let mut argv = vec!["cargo-hotpatch", "run"];
            argv.extend(words);
            assert!(parse(&argv).is_err(), "{words:?}");
        }
    }

    #[test]
    fn a_target_is_kept_for_the_refusal() {
        let args = run(&["--target", "wasm32-unknown-unknown"]);
        assert_eq!(args.build.target, ["wasm32-unknown-unknown"]);
        assert!(args.build.cargo_args().is_empty());
    }

    #[test]
    fn the_other_subcommands() {
        let Command::Demo(demo) = parse(&["x", "demo", "--keep"]).unwrap().command else {
            panic!("not demo");
        };
        assert!(demo.keep && !demo.auto);
        let Command::Explain(explain) = parse(&["x", "explain", "HP0101"]).unwrap().command else {
            panic!("not explain");
        };
        assert_eq!(explain.code, Some(Code::HP0101));
        let Command::Explain(explain) = parse(&["x", "explain"]).unwrap().command else {
            panic!("not explain");
        };
        assert_eq!(explain.code, None);
        let error = parse(&["x", "explain", "HP1"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(
            error.to_string().contains("the codes are HP0001, "),
            "{error}"
        );
    }

    #[test]
    fn help_shows_the_command_as_it_is_typed() {
        let help = parse(&["x", "hotpatch", "run", "--help"])
            .unwrap_err()
            .to_string();
        assert!(
            help.contains("Usage: cargo hotpatch run [OPTIONS] [ARGS]..."),
            "{help}"
        );
        assert!(help.contains("cargo hotpatch run --release -- --port 8080"));
    }
}
