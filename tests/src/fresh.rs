//! Plain builds of a program, and line servers: what the oracle compares a patched process with.
//!
//! A line server reads commands from its input, one a line, and answers each with one line. Its state
//! changes by commands alone, so two of them in the same state give the same answers.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::LIMIT;
use crate::lines::{Lines, Text};
use crate::project::Project;
use crate::workspace::{cargo, command, executables};

/// Builds `project` as a user without the tool would and returns the program.
pub fn build(
    project: &Project,
    manifest: &str,
    options: &[String],
    target: &Path,
) -> Result<PathBuf> {
    let mut build = command(cargo());
    build
        .arg("build")
        .arg("--manifest-path")
        .arg(project.root().join(manifest))
        .args(options);
    build
        .current_dir(project.root())
        .env("CARGO_TARGET_DIR", target);
    executables(&mut build)?
        .pop()
        .context("the build made no program")
}

/// The conversation with a line server.
pub struct Talk {
    input: Option<Box<dyn Write + Send>>,
    output: Lines,
    transcript: String,
}

impl Talk {
    /// Takes over the input and output of a child started with both piped.
    pub fn with(child: &mut Child) -> Talk {
        let output = child.stdout.take().expect("invariant: the output is piped");
        Talk {
            input: child.stdin.take().map(|input| Box::new(input) as _),
            output: Lines::of(output),
            transcript: String::new(),
        }
    }

    /// What is said goes there from now on.
    pub fn say_to(&mut self, input: impl Write + Send + 'static) {
        self.input = Some(Box::new(input));
    }

    /// Sends a line without waiting for an answer.
    pub fn say(&mut self, line: &str) -> Result<()> {
        self.transcript += &format!("> {line}\n");
        let input = self.input.as_mut().context("the input is closed")?;
        input
            .write_all(format!("{line}\n").as_bytes())
            .with_context(|| format!("the program does not take `{line}`"))
    }

    /// The next line of the program's output.
    pub fn hear(&mut self) -> Result<String> {
        let line = self.output.next(LIMIT)?;
        self.transcript += &format!("< {line}\n");
        Ok(line)
    }

    /// Sends a command and returns the reply.
    pub fn ask(&mut self, line: &str) -> Result<String> {
        self.say(line)?;
        self.hear()
            .with_context(|| format!("no answer to `{line}`"))
    }

    /// Ends the program's input.
    pub fn close(&mut self) {
        self.input = None;
    }

    /// What was said, to show when a test fails.
    pub fn transcript(&self) -> String {
        let unread: String = self
            .output
            .rest()
            .iter()
            .map(|line| format!("< {line}   (not asked for)\n"))
            .collect();
        format!("{}{unread}", self.transcript)
    }
}

/// A line server run without the tool.
pub struct Program {
    child: Child,
    stderr: Text,
    /// The conversation with it.
    pub talk: Talk,
}

impl Program {
    /// Starts a program in a project's folder.
    pub fn start(program: &Path, args: &[String], folder: &Path) -> Result<Program> {
        let began = Instant::now();
        let mut child = loop {
            let spawned = command(program)
                .args(args)
                .current_dir(folder)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn();
            match spawned {
                // Another test's child that was forked while this file was written has it open until it is replaced.
                Err(error)
                    if error.kind() == ErrorKind::ExecutableFileBusy && began.elapsed() < LIMIT =>
                {
                    std::thread::sleep(Duration::from_millis(10));
                }
                spawned => break spawned,
            }
        }
        .with_context(|| format!("failed to start `{}`", program.display()))?;
        let stderr = Text::of(
            child
                .stderr
                .take()
                .expect("invariant: the errors are piped"),
        );
        let talk = Talk::with(&mut child);
        Ok(Program {
            child,
            stderr,
            talk,
        })
    }

    /// Everything it said, to show when a test fails.
    pub fn report(&self) -> String {
        format!("{}{}", self.talk.transcript(), self.stderr.so_far())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
