//! One `cargo hotpatch run`, from start to end.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::LIMIT;
use crate::events::{Event, EventLog};
use crate::fresh::Talk;
use crate::lines::Text;
use crate::project::Project;
use crate::terminal::{self, Terminal};
use crate::workspace::{command, hot_target, shown, tool};

/// How often a wait looks again.
pub const GLANCE: Duration = Duration::from_millis(5);

/// How long the tool gets to end by itself before it is killed.
const FAREWELL: Duration = Duration::from_secs(20);

/// With `1` the fast lane of a session has all the time that it takes, also where the exact one is sooner.
pub const BOTH_LANES: &str = "HOTPATCH_TEST_BOTH_LANES";

/// How to start a session.
#[derive(Clone)]
pub struct Options {
    /// The manifest, from the project's folder.
    pub manifest: String,
    /// The project's folder as the tool is told of it, if that is not its real path.
    pub folder: Option<PathBuf>,
    /// The subcommand.
    pub command: String,
    /// What goes before `--`.
    pub options: Vec<String>,
    /// What goes after it.
    pub args: Vec<String>,
    /// Variables added to the tool's environment.
    pub env: Vec<(String, OsString)>,
    /// The target folder.
    pub target: PathBuf,
    /// What runs the tool; it gets the tool and its arguments as its last ones.
    pub before: Vec<OsString>,
    /// The name of the events file, which tells two sessions of one project apart.
    pub events: String,
    /// The terminal it is started at.
    pub terminal: At,
}

/// Where a session is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// At no terminal.
    #[default]
    None,
    /// At one, which is the standard input as well.
    Terminal,
    /// At one, with something else as the standard input.
    TerminalWithInput,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            manifest: "Cargo.toml".to_owned(),
            folder: None,
            command: "run".to_owned(),
            options: Vec::new(),
            args: Vec::new(),
            env: Vec::new(),
            target: hot_target(),
            before: Vec::new(),
            events: "events".to_owned(),
            terminal: At::None,
        }
    }
}

/// A running tool with the program it started.
pub struct Session {
    tool: Child,
    stderr: Text,
    events: EventLog,
    live: Vec<Event>,
    program: Option<Process>,
    /// The conversation with the program.
    pub talk: Talk,
    /// The terminal that the tool was started at.
    pub terminal: Option<Terminal>,
}

impl Session {
    /// Starts the tool on `project` and does not wait for anything.
    pub fn start(project: &Project, options: &Options) -> Result<Session> {
        let events = project.beside(&options.events);
        // An earlier session of the same project may have left its own.
        if events.exists() {
            std::fs::remove_file(&events)?;
        }
        let words = [options.before.as_slice(), &[tool()?.into()]].concat();
        let folder = options.folder.as_deref().unwrap_or(project.root());
        let mut run = command(&words[0]);
        run.args(&words[1..])
            .args(["hotpatch", &options.command, "--manifest-path"])
            .arg(folder.join(&options.manifest))
            .arg("--events")
            .arg(&events)
            .args(&options.options)
            .arg("--")
            .args(&options.args)
            .current_dir(folder)
            .env("CARGO", crate::workspace::cargo())
            .env("CARGO_TARGET_DIR", &options.target)
            // Which lane is sooner is the machine's matter.
            .env(
                BOTH_LANES,
                std::env::var_os(BOTH_LANES).unwrap_or("1".into()),
            )
            .envs(options.env.iter().map(|(name, value)| (name, value)));
        let mut input = None;
        let terminal = match options.terminal {
            At::None => {
                run.process_group(0)
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped());
                None
            }
            At::Terminal => {
                let terminal = Terminal::open()?;
                run = terminal.login(&run, None)?;
                Some(terminal)
            }
            At::TerminalWithInput => {
                let terminal = Terminal::open()?;
                let path = project.beside("input");
                input = Some(terminal::pipe(&path)?);
                run = terminal.login(&run, Some(&path))?;
                Some(terminal)
            }
        };
        let mut tool = run
            .spawn()
            .with_context(|| format!("failed to start {}", shown(&run)))?;
        let stderr = match (&terminal, tool.stderr.take()) {
            (Some(terminal), _) => terminal.screen(),
            (None, errors) => Text::of(errors.expect("invariant: the errors are piped")),
        };
        let mut talk = Talk::with(&mut tool);
        if let Some(input) = input {
            talk.say_to(input);
        }
        Ok(Session {
            terminal,
            tool,
            stderr,
            events: EventLog::new(&events),
            live: Vec::new(),
            program: None,
            talk,
        })
    }

    /// Waits until the program runs and can be patched; a first build may take `limit`.
    pub fn ready(&mut self, limit: Duration) -> Result<Event> {
        let event = self.event(limit).context("waiting for `ready`")?;
        ensure!(
            event.name() == "ready",
            "`ready` was to come first, not {event}"
        );
        self.program = Some(Process::of(event.number("pid")?)?);
        self.prepared(&event)?;
        Ok(event)
    }

    /// Waits until edits of bodies are fast, in a session in which they are, after an event that says it.
    fn prepared(&mut self, event: &Event) -> Result<Vec<Event>> {
        Ok(match event.precedes_prepared() {
            true => self.wait_for("prepared")?.1,
            false => Vec::new(),
        })
    }

    /// Waits until the exact lane has come to its end with a save, if that was not its verdict, and gives back what it
    /// said.
    pub fn confirmed(&mut self, verdict: &Event) -> Result<Option<Event>> {
        let is_ahead = verdict.is_ahead();
        let mut last = verdict.clone();
        while is_ahead && last.name() != "confirmed" {
            last = self.event(LIMIT).context("waiting for `confirmed`")?;
            ensure!(!last.is_verdict(), "a patch was taken back: {last}");
        }
        self.prepared(&last)?;
        Ok(is_ahead.then_some(last))
    }

    /// Takes the program of a later `ready` for the one to watch.
    pub fn adopt(&mut self, ready: &Event) -> Result<()> {
        self.program = Some(Process::of(ready.number("pid")?)?);
        Ok(())
    }

    /// The next event, which must be called `name`.
    pub fn expect(&mut self, name: &str) -> Result<Event> {
        let event = self
            .event(LIMIT)
            .with_context(|| format!("waiting for `{name}`"))?;
        ensure!(event.name() == name, "`{name}` was expected, not {event}");
        Ok(event)
    }

    /// Waits for an event called `name` and gives back those before it as well.
    pub fn wait_for(&mut self, name: &str) -> Result<(Event, Vec<Event>)> {
        let mut before = Vec::new();
        loop {
            let event = self
                .event(LIMIT)
                .with_context(|| format!("waiting for `{name}` after {before:?}"))?;
            if event.name() == name {
                return Ok((event, before));
            }
            before.push(event);
        }
    }

    /// Waits until the program was started anew and can be patched. Gives back what `restarted` says, and the events
    /// since then but `ready` and `prepared`.
    pub fn restarted(&mut self) -> Result<(Event, Vec<Event>)> {
        let (restarted, before) = self.wait_for("restarted")?;
        // What was under way for the old program may have come to its end.
        let other = before.iter().find(|event| event.name() != "prepared");
        ensure!(other.is_none(), "before a restart: {other:?}");
        let (ready, mut between) = self.wait_for("ready")?;
        ensure!(ready.number("pid")? == restarted.number("pid")?, "{ready}");
        self.program = Some(Process::of(ready.number("pid")?)?);
        between.extend(self.prepared(&ready)?);
        Ok((restarted, between))
    }

    /// The next event that ends the program or answers a save. Fails when it is no verdict.
    pub fn verdict(&mut self) -> Result<Event> {
        loop {
            let event = self.event(LIMIT).context("waiting for a verdict")?;
            match event.name() {
                "ready" => {
                    let pid = event.number("pid")?;
                    ensure!(
                        pid == u64::from(self.pid()?),
                        "another program is ready: {event}"
                    );
                }
                "restarted" | "exited" => bail!("a verdict was expected, not {event}"),
                _ if event.is_verdict() => {
                    self.check_alive()?;
                    return Ok(event);
                }
                // Later versions may say more.
                _ => {}
            }
        }
    }

    /// The verdict on a save while no program runs.
    pub fn verdict_of_none(&mut self) -> Result<Event> {
        let event = self.event(LIMIT).context("waiting for a verdict")?;
        ensure!(event.is_verdict(), "a verdict was expected, not {event}");
        Ok(event)
    }

    /// Checks that no event lies unread.
    pub fn nothing_more(&mut self) -> Result<()> {
        match self.poll()? {
            Some(event) if event.is_verdict() => bail!("a second verdict came: {event}"),
            _ => Ok(()),
        }
    }

    /// The next event that was written. What was called of a patch is said at any time, and kept for [`Session::live`].
    fn poll(&mut self) -> Result<Option<Event>> {
        while let Some(event) = self.events.poll()? {
            if event.name() != "live" {
                return Ok(Some(event));
            }
            self.live.push(event);
        }
        Ok(None)
    }

    /// What is said of the calls of a generation's functions.
    pub fn live(&mut self, generation: u64) -> Result<Event> {
        let start = Instant::now();
        loop {
            // The exact lane may agree meanwhile.
            if let Some(event) = self.poll()?.filter(|event| event.name() != "confirmed") {
                bail!("`live` was expected, not {event}");
            }
            let is_meant = |event: &&Event| event.number("generation").ok() == Some(generation);
            if let Some(event) = self.live.iter().find(is_meant) {
                return Ok(event.clone());
            }
            ensure!(start.elapsed() < LIMIT, "no word on what was called");
            std::thread::sleep(GLANCE);
        }
    }

    /// The next event, whatever it is.
    pub fn event(&mut self, limit: Duration) -> Result<Event> {
        let start = Instant::now();
        loop {
            if let Some(event) = self.poll()? {
                return Ok(event);
            }
            if let Some(status) = self.tool.try_wait()? {
                bail!("the tool ended with {status}");
            }
            ensure!(start.elapsed() < limit, "no event came within {limit:?}");
            std::thread::sleep(GLANCE);
        }
    }

    /// Sends the program a command and returns its reply.
    pub fn ask(&mut self, line: &str) -> Result<String> {
        self.talk.ask(line)
    }

    /// The program's process id.
    pub fn pid(&self) -> Result<u32> {
        Ok(self
            .program
            .as_ref()
            .context("the program is not ready yet")?
            .pid)
    }

    /// Types keys at the terminal.
    pub fn type_keys(&mut self, keys: &str) -> Result<()> {
        let terminal = self.terminal.as_mut();
        terminal.context("there is no terminal")?.type_keys(keys)
    }

    /// The tool's process id.
    pub fn tool_pid(&self) -> u32 {
        self.tool.id()
    }

    /// Does something while the tool stands still: however busy the machine is, it sees files written meanwhile as one
    /// save, for it looks when all is done.
    pub fn behind_its_back<T>(&self, job: impl FnOnce() -> Result<T>) -> Result<T> {
        let tool = self.tool_pid();
        signal(tool, Signal::STOP);
        let done = wait_until_stopped(tool).and_then(|()| job());
        signal(tool, Signal::CONT);
        done
    }

    /// Fails when the program is gone or another process has its number.
    pub fn check_alive(&self) -> Result<()> {
        let process = self
            .program
            .as_ref()
            .context("the program is not ready yet")?;
        ensure!(
            process.is_alive(),
            "the program (pid {}) is gone",
            process.pid
        );
        Ok(())
    }

    /// What the tool said on its error output so far.
    pub fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// Waits until the tool ends by itself.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.tool.try_wait()? {
                return Ok(status);
            }
            ensure!(
                start.elapsed() < limit,
                "the tool did not end within {limit:?}"
            );
            std::thread::sleep(GLANCE);
        }
    }

    /// Waits until the tool ends by itself and has said its last word.
    pub fn wait_for_words(&mut self, limit: Duration) -> Result<(ExitStatus, String)> {
        let status = self.wait(limit)?;
        let start = Instant::now();
        while !self.stderr.has_ended() && start.elapsed() < FAREWELL {
            std::thread::sleep(GLANCE);
        }
        Ok((status, self.stderr()))
    }

    /// Asks the tool to end and checks that the program ends with it.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        signal(self.tool.id(), Signal::TERM);
        let status = self.wait(FAREWELL).context("after SIGTERM")?;
        if let Some(process) = &self.program {
            let start = Instant::now();
            while process.is_alive() {
                ensure!(start.elapsed() < FAREWELL, "the program outlived the tool");
                std::thread::sleep(GLANCE);
            }
        }
        Ok(status)
    }

    /// Everything that was said, to show when a test fails.
    pub fn report(&self) -> String {
        format!(
            "---- the tool's errors ----\n{}\n---- events ----\n{}\n---- the program ----\n{}",
            self.stderr.so_far(),
            self.events.text(),
            self.talk.transcript()
        )
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if matches!(self.tool.try_wait(), Ok(None)) {
            signal(self.tool.id(), Signal::TERM);
            if self.wait(FAREWELL).is_err() {
                if let Some(group) = pid(self.tool.id()) {
                    let _ = kill_process_group(group, Signal::KILL);
                }
                let _ = self.tool.wait();
            }
        }
        if let Some(process) = &self.program
            && process.is_alive()
        {
            signal(process.pid, Signal::KILL);
        }
    }
}

/// A process that cannot be mistaken for a later one of the same number.
struct Process {
    pid: u32,
    started: String,
}

impl Process {
    fn of(pid: u64) -> Result<Process> {
        let pid = u32::try_from(pid)?;
        let started = started(pid).with_context(|| format!("there is no process {pid}"))?;
        Ok(Process { pid, started })
    }

    fn is_alive(&self) -> bool {
        started(self.pid).as_ref() == Some(&self.started)
    }
}

/// When a living process started, in the kernel's own ticks.
fn started(pid: u32) -> Option<String> {
    let stat =
        std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // The name may hold spaces; the fields after its parenthesis do not.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    match fields.next()? {
        "Z" | "X" => None,
        _ => fields.nth(18).map(str::to_owned),
    }
}

fn wait_until_stopped(pid: u32) -> Result<()> {
    let start = Instant::now();
    while !is_stopped(pid)? {
        ensure!(start.elapsed() < LIMIT, "the tool cannot be stopped");
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Whether every thread of a process stands still.
fn is_stopped(pid: u32) -> Result<bool> {
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = std::fs::read_to_string(thread?.path().join("stat")).unwrap_or_default();
        // The name before it may hold anything.
        let state = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next());
        if state.is_some_and(|state| !"TtZX".contains(state)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn pid(number: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).ok()?)
}

/// What Ctrl-C sends, unless it is ignored here, as in a script's background, and so in the tool.
pub fn interrupt() -> Result<Signal> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(ignored.unwrap_or("0").trim(), 16)?;
    let is_ignored = ignored & (1 << (Signal::INT.as_raw() - 1)) != 0;
    Ok(if is_ignored {
        Signal::TERM
    } else {
        Signal::INT
    })
}

/// Sends a signal to one process.
pub fn signal(number: u32, signal: Signal) {
    if let Some(pid) = pid(number) {
        let _ = kill_process(pid, signal);
    }
}
