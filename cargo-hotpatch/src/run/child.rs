//! The user's program: started with our terminal and standard streams, watched, and ended.
//!
//! It stays in our process group, so Ctrl-C reaches it as under `cargo run`. It is signalled only while it is not yet
//! reaped, under a lock that the reaping thread takes too, so its process id cannot have passed to somebody else. It is
//! always reaped, and does not outlive its [`Child`].

use std::ffi::{OsStr, OsString};
use std::io::{self, PipeWriter};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::listen::Sockets;
use crate::command::{await_end, pid_of};

/// How long a program may take to end after SIGTERM.
pub const TERM_GRACE: Duration = Duration::from_secs(5);

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// What it sees as its own name; the path when absent. `cargo run` gives a path relative to the current folder.
    pub arg0: Option<OsString>,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Additions to our environment; `None` takes a variable away.
    pub env: Vec<(OsString, Option<OsString>)>,
    /// Its working folder; ours when absent.
    pub cwd: Option<PathBuf>,
    /// Its standard input is empty instead of ours.
    pub no_stdin: bool,
    /// What takes its standard output instead of ours.
    pub stdout: Option<Arc<PipeWriter>>,
    /// Listening sockets that it gets.
    pub sockets: Arc<Sockets>,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitHow {
    /// By itself, with this exit status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl ExitHow {
    fn from_status(status: ExitStatus) -> Self {
        match status.signal() {
            Some(signal) => Self::Signal(signal),
            None => Self::Code(status.code().unwrap_or(1)),
        }
    }

    /// The exit status a shell reports for it.
    #[must_use]
    pub fn shell_code(self) -> u8 {
        match self {
            Self::Code(code) => u8::try_from(code & 0xff).unwrap_or(1),
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}

/// Becomes another program, which finds its own process id in `LISTEN_PID`; returns only if that fails.
pub(super) fn become_program(program: &OsStr, arg0: &OsStr, args: &[OsString]) -> io::Error {
    Command::new(program)
        .arg0(arg0)
        .args(args)
        .env("LISTEN_PID", std::process::id().to_string())
        .exec()
}

/// Says that a program has ended; sent once for each program started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChildExit {
    /// The process it was.
    pub pid: u32,
    /// How it ended.
    pub how: ExitHow,
}

/// The running program. Dropping it kills the program and waits until it is gone.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    life: Arc<Life>,
    waiter: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Life {
    exit: Mutex<Option<ExitHow>>,
    ended: Condvar,
}

impl Child {
    /// Starts `program`; `on_exit` is called once, on a thread of its own, after it has been reaped.
    ///
    /// # Errors
    /// When the program or the thread cannot be started.
    pub fn start(
        program: &Program,
        on_exit: impl FnOnce(ChildExit) + Send + 'static,
    ) -> io::Result<Self> {
        let mut command = if program.sockets.is_empty() {
            let mut command = Command::new(&program.path);
            if let Some(arg0) = &program.arg0 {
                command.arg0(arg0);
            }
            command
        } else {
            // This program, also where its file has been replaced by now.
            let mut command = Command::new("/proc/self/exe");
            program
                .sockets
                .hand_to(&mut command, &program.path, program.arg0.as_ref())?;
            command
        };
        command.args(&program.args);
        if program.no_stdin {
            command.stdin(Stdio::null());
        }
        if let Some(stdout) = &program.stdout {
            command.stdout(stdout.try_clone()?);
        }
        if let Some(cwd) = &program.cwd {
            command.current_dir(cwd);
        }
        for (name, value) in &program.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut process = command.spawn()?;
        let pid = pid_of(&process);
        let life = Arc::new(Life::default());
        let waiter = thread::Builder::new().name("program".to_owned()).spawn({
            let life = Arc::clone(&life);
            move || {
                // Should waiting fail, `reap` still blocks until the program is gone.
                let _ = await_end(pid);
                let how = life.reap(&mut process);
                on_exit(ChildExit {
                    pid: process.id(),
                    how,
                });
            }
        });
        let mut child = Self {
            pid,
            life,
            waiter: None,
        };
        // Without its thread nobody reaps the program, so it must not stay.
        match waiter {
            Ok(waiter) => child.waiter = Some(waiter),
            Err(error) => {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
                let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
                *child.life.lock() = Some(ExitHow::Signal(Signal::KILL.as_raw()));
                return Err(error);
            }
        }
        Ok(child)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Whether it has not ended yet.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.life.lock().is_none()
    }

    /// Whether a signal would not end it at once: it has a handler, ignores the signal, or waits for it in a way of its
    /// own (see `proc_pid_status(5)`).
    #[must_use]
    pub fn heeds(&self, signal: Signal) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        status.is_ok_and(|status| heeds(&status, signal))
    }

    /// Sends it a signal; does nothing when it has ended.
    pub fn signal(&self, signal: Signal) {
        self.life.signal(self.pid, signal);
    }

    /// Asks it to end with SIGTERM, makes it end with SIGKILL after `grace`, and waits until it is gone.
    pub fn terminate(&self, grace: Duration) -> ExitHow {
        self.signal(Signal::TERM);
        // A stopped program would not see SIGTERM before it is continued.
        self.signal(Signal::CONT);
        if let Some(how) = self.wait_timeout(grace) {
            return how;
        }
        self.signal(Signal::KILL);
        self.wait()
    }

    /// Waits until it has ended.
    pub fn wait(&self) -> ExitHow {
        let mut exit = self.life.lock();
        loop {
            if let Some(how) = *exit {
                return how;
            }
            exit = self
                .life
                .ended
                .wait(exit)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until it has ended, but no longer than `limit`.
    pub fn wait_timeout(&self, limit: Duration) -> Option<ExitHow> {
        let exit = self.life.lock();
        let waited = self
            .life
            .ended
            .wait_timeout_while(exit, limit, |exit| exit.is_none());
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn heeds(status: &str, signal: Signal) -> bool {
    let bit = 1_u64 << (signal.as_raw() - 1);
    status
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| ["SigCgt", "SigIgn", "SigBlk"].contains(name))
        .filter_map(|(_, set)| u64::from_str_radix(set.trim(), 16).ok())
        .any(|set| set & bit != 0)
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if let Some(waiter) = self.waiter.take()
            // The callback itself may be what drops us.
            && waiter.thread().id() != thread::current().id()
        {
            let _ = waiter.join();
        }
    }
}

impl Life {
    fn lock(&self) -> MutexGuard<'_, Option<ExitHow>> {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, pid: Pid, signal: Signal) {
        let exit = self.lock();
        if exit.is_none() {
            // It may have ended by itself just now; then it is unreaped and the signal harmless.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Reaps a process that has ended, and from then on lets nobody signal it.
    fn reap(&self, process: &mut std::process::Child) -> ExitHow {
        let mut exit = self.lock();
        let how = process
            .wait()
            .map_or(ExitHow::Code(1), ExitHow::from_status);
        *exit = Some(how);
        self.ended.notify_all();
        how
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn start(script: &str) -> (Child, mpsc::Receiver<ChildExit>) {
        let (sender, receiver) = mpsc::channel();
        let program = Program {
            path: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            ..Program::default()
        };
        let child = Child::start(&program, move |exit| sender.send(exit).unwrap()).unwrap();
        (child, receiver)
    }

    #[test]
    fn its_exit_is_told_once() {
        let (child, exits) = start("exit 3");
        let exit = exits.recv().unwrap();
        assert_eq!(
            exit,
            ChildExit {
                pid: child.pid(),
                how: ExitHow::Code(3)
            }
        );
        assert!(exits.recv().is_err());
        assert!(!child.is_running());
        assert_eq!(child.wait(), ExitHow::Code(3));
    }

    #[test]
    fn a_signal_is_told_apart_from_a_code() {
        let (_child, exits) = start("kill -SEGV $$");
        let how = exits.recv().unwrap().how;
        assert_eq!(how, ExitHow::Signal(11));
        assert_eq!(how.shell_code(), 139);
    }

    #[test]
    fn terminating_is_polite_first() {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready");
        let script = "trap 'exit 5' TERM; touch ready; while :; do sleep 0.01; done";
        let program = Program {
            path: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            cwd: Some(folder.path().to_owned()),
            ..Program::default()
        };
        let child = Child::start(&program, |_| {}).unwrap();
        while !ready.exists() {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(child.terminate(Duration::from_secs(30)), ExitHow::Code(5));
    }

    #[test]
    fn terminating_insists() {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready");
        let program = Program {
            path: "/bin/sh".into(),
            args: vec![
                "-c".into(),
                "trap '' TERM; touch ready; while :; do sleep 0.01; done".into(),
            ],
            cwd: Some(folder.path().to_owned()),
            ..Program::default()
        };
        let child = Child::start(&program, |_| {}).unwrap();
        while !ready.exists() {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(
            child.terminate(Duration::from_millis(50)),
            ExitHow::Signal(9)
        );
    }

    #[test]
    fn whether_a_signal_is_heeded() {
        let status =
            |name: &str, set: &str| heeds(&format!("Name:\tx\n{name}:\t{set}\n"), Signal::TERM);
        for name in ["SigCgt", "SigIgn", "SigBlk"] {
            assert!(status(name, "0000000000004000"), "{name}");
            assert!(!status(name, "ffffffffffffbfff"), "{name}");
        }
        assert!(!status("SigPnd", "0000000000004000"));
    }

    #[test]
    fn dropping_it_leaves_neither_program_nor_zombie() {
        let (child, exits) = start("exec sleep 60");
        let pid = child.pid();
        drop(child);
        assert_eq!(exits.recv().unwrap().how, ExitHow::Signal(9));
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn signalling_an_ended_program_does_nothing() {
        let (child, exits) = start("exit 0");
        exits.recv().unwrap();
        child.signal(Signal::KILL);
        assert_eq!(child.terminate(Duration::ZERO), ExitHow::Code(0));
    }

    #[test]
    fn a_missing_program_is_an_error() {
        let program = Program {
            path: "/no/such/program".into(),
            ..Program::default()
        };
        assert!(Child::start(&program, |_| panic!("it never ran")).is_err());
    }

    #[test]
    fn environment_and_name_are_as_asked() {
        let folder = tempfile::tempdir().unwrap();
        let program = Program {
            path: "/bin/sh".into(),
            arg0: Some("target/debug/app".into()),
            args: vec!["-c".into(), "echo $0 $HP_CHILD ${HOME-unset} > out".into()],
            env: vec![
                ("HP_CHILD".into(), Some("yes".into())),
                ("HOME".into(), None),
            ],
            cwd: Some(folder.path().to_owned()),
            ..Program::default()
        };
        let child = Child::start(&program, |_| {}).unwrap();
        assert_eq!(child.wait(), ExitHow::Code(0));
        let out = std::fs::read_to_string(folder.path().join("out")).unwrap();
        assert_eq!(out, "target/debug/app yes unset\n");
    }
}
