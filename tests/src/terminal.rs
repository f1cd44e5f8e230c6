//! A terminal of the test's own, with the tool as the program that a person started at it.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::lines::Text;
use crate::workspace::command;

/// The person's side of a terminal.
pub struct Terminal {
    keyboard: File,
    screen: Text,
    device: String,
    /// Held, as a terminal that nobody has open hangs up.
    device_file: File,
}

impl Terminal {
    /// Opens one.
    pub fn open() -> Result<Terminal> {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&person)?;
        unlockpt(&person)?;
        let device = ptsname(&person, Vec::new())?.into_string()?;
        let file = open(&device)?;
        let keyboard = File::from(person);
        Ok(Terminal {
            screen: Text::of(keyboard.try_clone()?),
            keyboard,
            device,
            device_file: file,
        })
    }

    /// Makes `run` a command that is started at this terminal, with it for errors and, unless another file is named,
    /// as its input.
    pub fn login(&self, run: &Command, input: Option<&Path>) -> Result<Command> {
        let mut login = command("setsid");
        login.arg("--ctty");
        if let Some(input) = input {
            // Who takes the terminal must have it as its input.
            let script = "input=$1; shift; exec \"$@\" <\"$input\"";
            login.args(["sh", "-c", script, "sh"]).arg(input);
        }
        login.arg(run.get_program()).args(run.get_args());
        for (name, value) in run.get_envs() {
            match value {
                Some(value) => login.env(name, value),
                None => login.env_remove(name),
            };
        }
        if let Some(folder) = run.get_current_dir() {
            login.current_dir(folder);
        }
        login
            .stdin(Stdio::from(open(&self.device)?))
            .stdout(Stdio::piped())
            .stderr(Stdio::from(open(&self.device)?));
        Ok(login)
    }

    /// Types these keys.
    pub fn type_keys(&mut self, keys: &str) -> Result<()> {
        self.keyboard
            .write_all(keys.as_bytes())
            .context("the terminal is gone")
    }

    /// Everything that was shown so far.
    pub fn screen(&self) -> Text {
        self.screen.clone()
    }

    /// Whether the terminal hands over whole lines and shows what is typed, as it did at first.
    pub fn is_as_it_was(&self) -> Result<bool> {
        use rustix::termios::{LocalModes, tcgetattr};
        let modes = tcgetattr(&self.device_file)?.local_modes;
        ensure!(modes.contains(LocalModes::ISIG), "Ctrl-C has no meaning");
        Ok(modes.contains(LocalModes::ICANON | LocalModes::ECHO))
    }
}

/// A pipe with a name, open for writing: what a program reads that is started with `path` as its input.
pub fn pipe(path: &Path) -> Result<File> {
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0)?;
    // For reading as well: that waits for nobody.
    Ok(File::options().read(true).write(true).open(path)?)
}

fn open(device: &str) -> Result<File> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(device, flags, Mode::empty())?))
}
