//! The one place that runs tools (rustc, linkers, cargo) to their end.
//!
//! A tool runs in a process group of its own, so that the user's Ctrl-C does not stop it half-way behind our back and
//! cancelling ends it together with what it started (rustc's linker, cargo's rustc). A process is signalled only while
//! it has not been reaped, so a recycled process id is never hit. Which arguments a tool gets is decided elsewhere.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions};

mod cancel;

pub use self::cancel::CancelToken;
use self::cancel::Target;

/// How much of a failed tool's output an error shows.
const TAIL_LINES: usize = 40;
/// A command line longer than this is shortened for display.
const LINE_MAX: usize = 400;

/// A command to run: program, arguments, environment, folder.
#[derive(Debug, Clone)]
pub struct Tool {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, Option<OsString>)>,
    env_clear: bool,
    cwd: Option<PathBuf>,
    foreground: bool,
    behind: bool,
}

impl Tool {
    /// A command that runs `program`, looked up in `PATH` when it has no slash.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            env_clear: false,
            cwd: None,
            foreground: false,
            behind: false,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), Some(value.into())));
        self
    }

    /// Sets environment variables.
    #[must_use]
    pub fn envs<I, K, V>(mut self, vars: I) -> Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let vars = vars.into_iter();
        self.env
            .extend(vars.map(|(k, v)| (k.into(), Some(v.into()))));
        self
    }

    /// Takes an environment variable away.
    #[must_use]
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.env.push((name.into(), None));
        self
    }

    /// Starts from an empty environment instead of ours.
    #[must_use]
    pub fn env_clear(mut self) -> Self {
        self.env_clear = true;
        self
    }

    /// Runs it in `folder`.
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cwd = Some(folder.into());
        self
    }

    /// Keeps the tool in our own process group: Ctrl-C reaches it directly and it may ask at the terminal.
    ///
    /// For the user-visible `cargo build`, when there is a terminal. Cancelling then ends the process itself only, with
    /// SIGTERM.
    #[must_use]
    pub fn foreground(mut self, foreground: bool) -> Self {
        self.foreground = foreground;
        self
    }

    /// Lets everything else go before: nobody waits for what this tool makes.
    #[must_use]
    pub fn behind_all_else(mut self) -> Self {
        self.behind = true;
        self
    }

    /// The command as a line for a shell.
    #[must_use]
    pub fn line(&self) -> CommandLine {
        let mut words: Vec<Cow<'_, str>> = Vec::new();
        if let Some(cwd) = &self.cwd {
            words.extend(["cd".into(), quote(cwd.as_os_str()), "&&".into()]);
        }
        let removed: Vec<_> = self
            .env
            .iter()
            .filter(|(_, value)| value.is_none())
            .collect();
        if self.env_clear || !removed.is_empty() {
            words.push("env".into());
            words.extend(self.env_clear.then_some("-i".into()));
            words.extend(
                removed
                    .iter()
                    .flat_map(|(name, _)| ["-u".into(), quote(name)]),
            );
        }
        for (name, value) in &self.env {
            if let Some(value) = value {
                words.push(format!("{}={}", name.to_string_lossy(), quote(value)).into());
            }
        }
        let mut command = vec![quote(&self.program)];
        command.extend(self.args.iter().map(|arg| quote(arg)));
        let command = command.join(" ");
        words.push(command.as_str().into());
        CommandLine {
            full: words.join(" "),
            command,
        }
    }

    /// Runs the tool to its end with its output captured, whatever its exit status.
    ///
    /// # Errors
    /// When it cannot be started, its output cannot be read, or `cancel` was used.
    pub fn run(&self, cancel: &CancelToken) -> Result<Output, CommandError> {
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut stderr = Vec::new();
        let (status, stdout) = self.supervise(command, cancel, |child| {
            let (out, err) = (child.stdout.take(), child.stderr.take());
            // Both pipes are drained at once: a tool that fills one must not wait for the other.
            thread::scope(|scope| {
                let reader = scope.spawn(|| drain(err, &mut stderr));
                let mut stdout = Vec::new();
                drain(out, &mut stdout)?;
                reader
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
                Ok(stdout)
            })
        })?;
        Ok(Output {
            status,
            stdout,
            stderr,
            line: self.line(),
        })
    }

    /// As [`Tool::run`], and a bad exit status is an error too.
    ///
    /// # Errors
    /// Those of [`Tool::run`], and [`CommandError::Failed`].
    pub fn run_checked(&self, cancel: &CancelToken) -> Result<Output, CommandError> {
        self.run(cancel)?.checked()
    }

    /// Runs the tool and hands each line of its standard output to `on_line` as it comes, and each of its standard error to
    /// `on_error`, or passes that through. For `cargo build --message-format=json-render-diagnostics`.
    ///
    /// # Errors
    /// As [`Tool::run`]. The output in the result is empty.
    pub fn stream(
        &self,
        cancel: &CancelToken,
        on_error: Option<&(dyn Fn(&str) + Sync)>,
        on_line: impl FnMut(&str),
    ) -> Result<Output, CommandError> {
        let mut command = self.command();
        let errors = on_error.map_or_else(Stdio::inherit, |_| Stdio::piped());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors);
        let (status, _) = self.supervise(command, cancel, |child| {
            let (out, err) = (child.stdout.take(), child.stderr.take());
            thread::scope(|scope| {
                let errors = scope.spawn(|| match on_error {
                    Some(on_error) => lines(err, on_error).map(drop),
                    None => Ok(()),
                });
                lines(out, on_line)?;
                let joined = errors.join();
                joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        })?;
        Ok(Output {
            status,
            stdout: Vec::new(),
            stderr: Vec::new(),
            line: self.line(),
        })
    }

    /// Runs the tool with its standard error captured, and hands each line of that to `on_line` as it comes. For a
    /// compiler that tells of its outputs there.
    ///
    /// # Errors
    /// As [`Tool::run`]. Its standard output is nobody's.
    pub fn listen(
        &self,
        cancel: &CancelToken,
        on_line: impl FnMut(&str),
    ) -> Result<Output, CommandError> {
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let (status, stderr) =
            self.supervise(command, cancel, |child| lines(child.stderr.take(), on_line))?;
        Ok(Output {
            status,
            stdout: Vec::new(),
            stderr,
            line: self.line(),
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        if self.env_clear {
            command.env_clear();
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        if !self.foreground {
            command.process_group(0);
        }
        command
    }

    /// Starts `command`, lets `read` drain it, and reaps it; in between `cancel` can end it.
    fn supervise<T>(
        &self,
        mut command: Command,
        cancel: &CancelToken,
        read: impl FnOnce(&mut Child) -> io::Result<T>,
    ) -> Result<(ExitStatus, T), CommandError> {
        if cancel.is_cancelled() {
            return Err(CommandError::Cancelled { line: self.line() });
        }
        let mut child = command.spawn().map_err(|source| self.not_started(source))?;
        let target = Target {
            pid: pid_of(&child),
            group: !self.foreground,
        };
        if self.behind && target.group {
            // A wish, which a sandbox may refuse.
            let _ = rustix::process::setpriority_pgrp(Some(target.pid), NICE);
        }
        cancel.enter(target);
        let read = read(&mut child);
        if read.is_err() {
            target.end();
        }
        let ended = await_end(target.pid);
        cancel.leave(target);
        let status = child.wait();
        if cancel.is_cancelled() {
            return Err(CommandError::Cancelled { line: self.line() });
        }
        let broken = |source| CommandError::Unreadable {
            line: self.line(),
            source,
        };
        ended.map_err(broken)?;
        Ok((status.map_err(broken)?, read.map_err(broken)?))
    }

    fn not_started(&self, source: io::Error) -> CommandError {
        let missing_folder = self
            .cwd
            .as_deref()
            .filter(|cwd| !cwd.is_dir())
            .map(Path::to_owned);
        CommandError::NotStarted {
            program: self.program.clone(),
            line: self.line(),
            missing_folder,
            source,
        }
    }
}

/// How far a tool that nobody waits for stands back, as `nice` counts.
const NICE: i32 = 10;

/// Reads a pipe to its end, hands over each line as it comes, and gives back all of it.
fn lines(pipe: Option<impl Read>, mut on_line: impl FnMut(&str)) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let Some(pipe) = pipe else {
        return Ok(all);
    };
    let mut reader = BufReader::new(pipe);
    loop {
        let start = all.len();
        if reader.read_until(b'\n', &mut all)? == 0 {
            return Ok(all);
        }
        on_line(String::from_utf8_lossy(&all[start..]).trim_end_matches(['\n', '\r']));
    }
}

fn drain(pipe: Option<impl Read>, into: &mut Vec<u8>) -> io::Result<()> {
    pipe.map_or(Ok(0), |mut pipe| pipe.read_to_end(into))
        .map(drop)
}

/// The process id in the form that signals want it.
pub(crate) fn pid_of(child: &Child) -> Pid {
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .expect("invariant: a started process has a positive process id")
}

/// Waits for the process to end and leaves it unreaped, so that its id stays its own.
pub(crate) fn await_end(pid: Pid) -> io::Result<()> {
    loop {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        match rustix::process::waitid(WaitId::Pid(pid), options) {
            Err(rustix::io::Errno::INTR) => {}
            // One that we trace is reported when it stops too: while its stack is read.
            Ok(Some(status)) if status.trapped() => thread::sleep(Duration::from_micros(100)),
            other => return other.map(drop).map_err(io::Error::from),
        }
    }
}

/// What a tool that ran to its end left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output; empty after [`Tool::stream`].
    pub stdout: Vec<u8>,
    /// Its standard error; empty after [`Tool::stream`].
    pub stderr: Vec<u8>,
    /// What was run.
    pub line: CommandLine,
}

impl Output {
    /// Turns a bad exit status into an error that shows the end of the output.
    ///
    /// # Errors
    /// [`CommandError::Failed`] when the status is not success.
    pub fn checked(self) -> Result<Self, CommandError> {
        if self.status.success() {
            Ok(self)
        } else {
            Err(self.into_error())
        }
    }

    /// The same output with other words on standard error, such as those that rustc wrapped in JSON.
    #[must_use]
    pub fn saying(self, stderr: String) -> Self {
        Self {
            stderr: stderr.into_bytes(),
            ..self
        }
    }

    /// The error that says this command failed, also for one that failed in spite of its exit status.
    #[must_use]
    pub fn into_error(self) -> CommandError {
        let text = if self.stderr.trim_ascii().is_empty() {
            &self.stdout
        } else {
            &self.stderr
        };
        CommandError::Failed {
            tail: tail(text),
            status: self.status,
            line: self.line,
        }
    }

    /// Standard output as text.
    #[must_use]
    pub fn stdout_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stdout)
    }

    /// Standard error as text.
    #[must_use]
    pub fn stderr_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stderr)
    }
}

fn tail(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    match lines.len().checked_sub(TAIL_LINES) {
        None | Some(0) => lines.join("\n"),
        Some(left_out) => {
            format!(
                "({left_out} earlier lines left out)\n{}",
                lines[left_out..].join("\n")
            )
        }
    }
}

/// A command as a shell would take it. `Display` shortens a very long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    full: String,
    command: String,
}

impl CommandLine {
    /// The whole line with folder and environment, fit for pasting.
    #[must_use]
    pub fn full(&self) -> &str {
        &self.full
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.command.len() <= LINE_MAX {
            return f.write_str(&self.command);
        }
        let head = self.command.floor_char_boundary(LINE_MAX * 2 / 3);
        let rest = self
            .command
            .ceil_char_boundary(self.command.len() - LINE_MAX / 3);
        write!(f, "{} … {}", &self.command[..head], &self.command[rest..])
    }
}

/// Quotes a word for a POSIX shell where it needs it.
fn quote(word: &OsStr) -> Cow<'_, str> {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_=/.,:+@%^".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', r"'\''")).into()
    }
}

/// Why a command did not do its work. `Display` names the command and, where there is some, shows its output.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program could not be started at all.
    #[error("could not run {}: {}\n  command: {line}", program.display(), why_not_started(source, missing_folder))]
    NotStarted {
        /// The program.
        program: OsString,
        /// What was to be run.
        line: CommandLine,
        /// The folder it was to run in, when that does not exist.
        missing_folder: Option<PathBuf>,
        /// The system's reason.
        source: io::Error,
    },
    /// It ran and reported failure.
    #[error("{}\n  command: {line}{}", how_ended(*status), indented(tail))]
    Failed {
        /// What was run.
        line: CommandLine,
        /// How it ended.
        status: ExitStatus,
        /// The end of its output.
        tail: String,
    },
    /// It was ended because its result is no longer wanted.
    #[error("cancelled\n  command: {line}")]
    Cancelled {
        /// What was run.
        line: CommandLine,
    },
    /// The system failed us while the tool ran.
    #[error("lost track of a command: {source}\n  command: {line}")]
    Unreadable {
        /// What was run.
        line: CommandLine,
        /// The system's reason.
        source: io::Error,
    },
}

fn why_not_started(source: &io::Error, missing_folder: &Option<PathBuf>) -> String {
    match missing_folder {
        Some(folder) => format!("the folder {} does not exist", folder.display()),
        None if source.kind() == io::ErrorKind::NotFound => "not found".to_owned(),
        None => source.to_string(),
    }
}

fn how_ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "command did not do its work".to_owned(),
        (Some(code), _) => format!("command failed with exit status {code}"),
        (None, Some(signal)) => format!("command was killed by {}", signal_name(signal)),
        (None, None) => format!("command failed: {status}"),
    }
}

/// `SIGKILL` for 9, or `signal 64` for one without a name.
pub(crate) fn signal_name(signal: i32) -> Cow<'static, str> {
    match signal_hook::low_level::signal_name(signal) {
        Some(name) => name.into(),
        None => format!("signal {signal}").into(),
    }
}

fn indented(tail: &str) -> String {
    tail.lines()
        .fold(String::new(), |text, line| text + "\n    " + line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn sh(script: &str) -> Tool {
        Tool::new("sh").arg("-c").arg(script)
    }

    #[test]
    fn output_is_captured_whatever_the_status() {
        let output = sh("echo out; echo err >&2; exit 3")
            .run(&CancelToken::new())
            .unwrap();
        assert_eq!(output.stdout_text(), "out\n");
        assert_eq!(output.stderr_text(), "err\n");
        assert_eq!(output.status.code(), Some(3));
    }

    #[test]
    fn both_pipes_are_drained() {
        let script = "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero";
        let output = sh(script).run_checked(&CancelToken::new()).unwrap();
        assert_eq!(
            (output.stdout.len(), output.stderr.len()),
            (300_000, 300_000)
        );
    }

    #[test]
    fn a_failure_shows_command_status_and_output() {
        let error = sh("echo 'no space left' >&2; exit 7").run_checked(&CancelToken::new());
        assert_eq!(
            error.unwrap_err().to_string(),
            "command failed with exit status 7\n  \
             command: sh -c 'echo '\\''no space left'\\'' >&2; exit 7'\n    no space left"
        );
    }

    #[test]
    fn a_signal_is_named() {
        let error = sh("kill -9 $$")
            .run_checked(&CancelToken::new())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "command was killed by SIGKILL\n  command: sh -c 'kill -9 $$'"
        );
    }

    #[test]
    fn a_missing_program_or_folder_is_named() {
        let error = Tool::new("/no/such/rustc")
            .arg("-vV")
            .run(&CancelToken::new())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not run /no/such/rustc: not found\n  command: /no/such/rustc -vV"
        );
        let error = sh("true")
            .current_dir("/no/such/folder")
            .run(&CancelToken::new())
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("the folder /no/such/folder does not exist"),
            "{text}"
        );
    }

    #[test]
    fn only_the_end_of_a_long_output_is_shown() {
        let text: String = (1..=45).map(|n| format!("line {n}\n")).collect();
        let shown = tail(text.as_bytes());
        assert!(
            shown.starts_with("(5 earlier lines left out)\nline 6\n"),
            "{shown}"
        );
        assert!(shown.ends_with("line 45"));
        assert_eq!(tail(b"one\ntwo\n\n"), "one\ntwo");
    }

    #[test]
    fn cancelling_kills_what_the_tool_started_too() {
        let cancel = CancelToken::new();
        let folder = tempfile::tempdir().unwrap();
        let started = folder.path().join("started");
        let tool = sh("sleep 60 & touch started; wait").current_dir(folder.path());
        let begun = Instant::now();
        let error = thread::scope(|scope| {
            let run = scope.spawn(|| tool.run(&cancel));
            while !started.exists() {
                thread::sleep(Duration::from_millis(1));
            }
            cancel.cancel();
            run.join().unwrap().unwrap_err()
        });
        // `sleep` holds the pipes: had it lived on, the run would have waited for it.
        assert!(begun.elapsed() < Duration::from_secs(30));
        assert!(matches!(error, CommandError::Cancelled { .. }));
    }

    #[test]
    fn a_cancelled_token_starts_nothing() {
        let cancel = CancelToken::new();
        cancel.cancel();
        let error = Tool::new("/no/such/tool").run(&cancel).unwrap_err();
        assert!(matches!(error, CommandError::Cancelled { .. }));
    }

    #[test]
    fn lines_are_handed_over_as_they_come() {
        let mut lines = Vec::new();
        let output = sh("echo one; printf 'two\\r\\nthree'")
            .stream(&CancelToken::new(), None, |line| {
                lines.push(line.to_owned())
            })
            .unwrap();
        assert_eq!(lines, ["one", "two", "three"]);
        assert!(output.status.success());
    }

    #[test]
    fn the_line_can_be_pasted() {
        let tool = Tool::new("my rustc")
            .args(["--cfg", "feature=\"a\"", "", "src/main.rs"])
            .env("A", "x y")
            .env_remove("B")
            .current_dir("/work dir");
        assert_eq!(
            tool.line().full(),
            "cd '/work dir' && env -u B A='x y' 'my rustc' --cfg 'feature=\"a\"' '' src/main.rs"
        );
        assert_eq!(
            tool.line().to_string(),
            "'my rustc' --cfg 'feature=\"a\"' '' src/main.rs"
        );
    }

    #[test]
    fn a_very_long_line_is_shortened_for_display_only() {
        let tool = Tool::new("rustc").args((0..500).map(|n| format!("--öption-{n}")));
        let line = tool.line();
        assert!(line.to_string().len() < LINE_MAX + 20);
        assert!(line.to_string().starts_with("rustc --öption-0 "));
        assert!(line.to_string().ends_with("--öption-499"));
        assert!(line.full().contains("--öption-250"));
    }

    #[test]
    fn the_environment_is_as_asked() {
        let script = "echo ${HP_TEST-unset} ${HOME-unset}";
        let tool = Tool::new("/bin/sh")
            .arg("-c")
            .arg(script)
            .env_clear()
            .env("HP_TEST", "set");
        let output = tool.run_checked(&CancelToken::new()).unwrap();
        assert_eq!(output.stdout_text(), "set unset\n");
    }
}
