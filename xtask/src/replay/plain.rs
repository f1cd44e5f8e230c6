//! The oracle: `cargo build` of a tree, and a fresh process that is asked the same lines.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hotpatch_tests::lines::{Lines, Text};
use hotpatch_tests::workspace::{cargo, command};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::replay::stop::{GLANCE, Stop};

/// How long a build may take.
const BUILD: Duration = Duration::from_secs(3600);

/// How long one answer may take.
pub const ANSWER: Duration = Duration::from_secs(60);

/// How the trees are built.
#[derive(Debug)]
pub struct Builder {
    pub folder: PathBuf,
    pub manifest: String,
    pub target: PathBuf,
    pub options: Vec<String>,
}

/// A tree that was built.
#[derive(Debug)]
pub struct Built {
    pub program: PathBuf,
    pub seconds: f64,
}

/// What a build came to: the program, or the compiler's words.
pub type Outcome = Result<Built, String>;

impl Builder {
    /// Builds the folder as it is. Fails only when cargo cannot be run to its end.
    pub fn build(&self, stop: &Stop) -> Result<Outcome> {
        let mut build = command(cargo());
        build
            .args(["build", "--message-format=json-render-diagnostics"])
            .arg("--manifest-path")
            .arg(self.folder.join(&self.manifest))
            .args(&self.options)
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", &self.target)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let began = Instant::now();
        let mut child = Group(build.spawn().context("failed to start cargo")?);
        let messages = Text::of(child.0.stdout.take().context("cargo has no output")?);
        let errors = Text::of(child.0.stderr.take().context("cargo has no errors")?);
        let status = loop {
            if let Some(status) = child.0.try_wait()? {
                break status;
            }
            stop.check()?;
            if began.elapsed() > BUILD {
                bail!("cargo build takes longer than {BUILD:?}");
            }
            std::thread::sleep(GLANCE);
        };
        let seconds = began.elapsed().as_secs_f64();
        let end = Instant::now() + Duration::from_secs(5);
        while !(messages.has_ended() && errors.has_ended()) && Instant::now() < end {
            std::thread::sleep(GLANCE);
        }
        if !status.success() {
            return Ok(Err(errors.so_far()));
        }
        let messages = messages.so_far();
        let messages = messages
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut programs = messages
            .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
            .collect::<BTreeSet<_>>()
            .into_iter();
        Ok(match (programs.next(), programs.next()) {
            (Some(program), None) => Ok(Built { program, seconds }),
            (None, _) => Err("the build makes no program".to_owned()),
            _ => Err("the build makes several programs: choose one with --options".to_owned()),
        })
    }

    /// The files of the folder that a program was made of, as cargo wrote them down beside it.
    pub fn files(&self, program: &Path) -> BTreeSet<String> {
        let mut list = program.as_os_str().to_owned();
        list.push(".d");
        let text = fs::read_to_string(list).unwrap_or_default();
        let folder = format!("{}/", self.folder.display());
        made_of(&text)
            .into_iter()
            .filter_map(|path| path.strip_prefix(&folder).map(str::to_owned))
            .collect()
    }
}

/// The paths of a makefile's rule.
fn made_of(rules: &str) -> Vec<String> {
    let Some((_, paths)) = rules.split_once(": ") else {
        return Vec::new();
    };
    let paths = paths.lines().next().unwrap_or_default();
    let joined = paths.replace("\\ ", "\0");
    let paths = joined.split(' ').filter(|path| !path.is_empty());
    paths.map(|path| path.replace('\0', " ")).collect()
}

/// A process that leads a group, which ends with it.
#[derive(Debug)]
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process_group(pid, Signal::KILL);
            }
            let _ = self.0.wait();
        }
    }
}

/// The answers of a fresh process; where it gives none, why not.
pub fn answers(program: &Path, folder: &Path, lines: &[String], stop: &Stop) -> Vec<Answer> {
    match start(program, folder) {
        Ok((mut child, mut input, output)) => {
            let answers = ask(&mut input, &output, lines, stop, || {
                match child.0.try_wait() {
                    Ok(Some(status)) => Some(format!("ended with {status}")),
                    _ => None,
                }
            });
            drop(child);
            answers
        }
        Err(error) => lines.iter().map(|_| Err(format!("{error:#}"))).collect(),
    }
}

fn start(program: &Path, folder: &Path) -> Result<(Group, ChildStdin, Lines)> {
    let mut command: Command = command(program);
    let child = command
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    let mut child =
        Group(child.with_context(|| format!("failed to start `{}`", program.display()))?);
    let input = child.0.stdin.take().context("no input")?;
    let output = Lines::of(child.0.stdout.take().context("no output")?);
    Ok((child, input, output))
}

/// A reply, or why there is none.
pub type Answer = Result<String, String>;

/// Asks line after line and waits for each reply. After the first that does not come, nothing is asked.
pub fn ask(
    input: &mut impl std::io::Write,
    output: &Lines,
    lines: &[String],
    stop: &Stop,
    mut ended: impl FnMut() -> Option<String>,
) -> Vec<Answer> {
    let mut answers: Vec<Answer> = Vec::new();
    for line in lines {
        let answer = match answers.last() {
            Some(Err(_)) => Err("not asked".to_owned()),
            _ => one(input, output, line, stop, &mut ended),
        };
        answers.push(answer);
    }
    answers
}

fn one(
    input: &mut impl std::io::Write,
    output: &Lines,
    line: &str,
    stop: &Stop,
    ended: &mut impl FnMut() -> Option<String>,
) -> Answer {
    let said = input.write_all(format!("{line}\n").as_bytes());
    let end = Instant::now() + ANSWER;
    while Instant::now() < end && !stop.is_asked() {
        let began = Instant::now();
        match output.next(Duration::from_millis(100)) {
            Ok(reply) => return Ok(reply),
            Err(error) => {
                if let Some(how) = ended() {
                    return Err(how);
                }
                // Where the output has ended, the wait ends at once.
                if began.elapsed() < Duration::from_millis(50) {
                    std::thread::sleep(Duration::from_millis(100));
                    return Err(ended().unwrap_or_else(|| format!("{error:#}")));
                }
            }
        }
        if said.is_err() {
            return Err("takes no input".to_owned());
        }
    }
    Err(format!("no answer within {} s", ANSWER.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_build_are_read_from_its_rule() {
        assert_eq!(
            made_of("/t/debug/app: /s/my\\ app/src/main.rs /s/build.rs\n"),
            ["/s/my app/src/main.rs", "/s/build.rs"]
        );
        assert!(made_of("").is_empty());
    }
}
