//! A program running under `cargo hotpatch run`: starts it, stamps what it prints and what the
//! tool reports with the time they were seen, and ends both.
//!
//! Every wait has a limit, and nothing started here outlives the [`Session`].

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::command;
use crate::project::Project;

/// How long a wait may take before it counts as failed.
const LIMIT: Duration = Duration::from_secs(120);

/// How often the events file is looked at. Only the `ready` time depends on it.
const POLL: Duration = Duration::from_millis(2);

/// What was seen, and when.
#[derive(Debug)]
pub enum Seen {
    Line(String),
    Event(Value),
}

/// How to start a session.
#[derive(Debug)]
pub struct Start<'a> {
    pub tool: &'a Path,
    pub manifest: &'a Path,
    pub target: &'a Path,
    /// A folder for what the tool keeps for all projects, in place of the user's.
    pub cache: &'a Path,
    pub profile: &'a str,
    /// A folder for the events and the tool's messages.
    pub logs: &'a Path,
    /// The first start of a large program compiles for longer than [`LIMIT`].
    pub limit: Duration,
}

/// The tool and the program it runs.
#[derive(Debug)]
pub struct Session {
    child: Child,
    seen: Receiver<(Instant, Seen)>,
    stop: Arc<AtomicBool>,
    log: PathBuf,
    program: Option<(i32, PathBuf)>,
    state: u64,
    /// Seconds from the start of the tool to the first output of the program.
    pub program_after: f64,
    /// Seconds from the start of the tool to `ready`.
    pub ready_after: f64,
}

/// One edit that went live.
#[derive(Debug, Clone)]
pub struct Patched {
    /// Seconds from the save to the first output of the new code.
    pub latency: f64,
    /// The tool's own account of it, in milliseconds.
    pub phases: BTreeMap<String, f64>,
    pub bytes: Option<f64>,
}

/// What was seen of an edit of any kind.
#[derive(Debug)]
pub struct Told {
    /// Seconds from the save to the first output of the new code.
    pub latency: f64,
    /// The fast lane brought it.
    pub is_fast: bool,
    /// Seconds until the exact lane had confirmed that.
    pub confirmed: Option<f64>,
    /// Why the fast lane did not.
    pub aside: Option<String>,
}

/// Kilobytes of memory of the running program.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub proportional: f64,
    pub private: f64,
}

impl Session {
    /// Starts the tool and waits until the program runs and `ready` came.
    pub fn start(start: &Start<'_>) -> Result<Self> {
        fs::create_dir_all(start.logs).context("failed to make the log folder")?;
        let number = fs::read_dir(start.logs).map_or(0, Iterator::count);
        let events = start.logs.join(format!("{number:03}-events.jsonl"));
        let log = start.logs.join(format!("{number:03}-messages.txt"));
        let mut command = Command::new(start.tool);
        command.args([
            "hotpatch",
            "run",
            "--profile",
            start.profile,
            "--on-refuse",
            "stay",
        ]);
        command.arg("--manifest-path").arg(start.manifest);
        command.arg("--target-dir").arg(start.target);
        command.env("XDG_CACHE_HOME", start.cache);
        command.arg("--events").arg(&events);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(File::create(&log).context("failed to make the log file")?);
        let begin = Instant::now();
        let mut child = command::clean(&mut command)
            .spawn()
            .with_context(|| format!("failed to run `{}`", start.tool.display()))?;
        let (sender, seen) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        if let Some(output) = child.stdout.take() {
            let sender = sender.clone();
            thread::spawn(move || read_lines(output, &sender));
        }
        let ended = Arc::clone(&stop);
        thread::spawn(move || follow_events(&events, &sender, &ended));
        let mut session = Self {
            child,
            seen,
            stop,
            log,
            program: None,
            state: 0,
            program_after: 0.0,
            ready_after: 0.0,
        };
        session.wait_for_start(begin, start.limit)?;
        Ok(session)
    }

    fn wait_for_start(&mut self, begin: Instant, limit: Duration) -> Result<()> {
        let (mut program, mut ready) = (None, None);
        let answer = self.wait("the program to be ready", limit, |time, seen| {
            let after = (time - begin).as_secs_f64();
            match seen {
                Seen::Line(line) if line.starts_with("pid ") => program = Some(after),
                Seen::Event(event) if event["event"] == "ready" => ready = Some(after),
                _ => {}
            }
            Ok(program.zip(ready))
        });
        (self.program_after, self.ready_after) = answer?;
        Ok(())
    }

    /// Hands what is seen to `look` until it answers; a verdict other than `patched`, the end of
    /// the program or of the tool, and too long a wait are failures.
    pub fn wait<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut(Instant, &Seen) -> Result<Option<T>>,
    ) -> Result<T> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            let (time, seen) = match self.seen.recv_timeout(Duration::from_millis(100)) {
                Ok(next) => next,
                Err(RecvTimeoutError::Timeout) => {
                    match self
                        .child
                        .try_wait()
                        .context("failed to look at the tool")?
                    {
                        Some(status) => bail!("the tool ended ({status}) {}", self.last_messages()),
                        None => continue,
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the tool closed its output {}", self.last_messages())
                }
            };
            self.note_program(&seen);
            if let Seen::Event(event) = &seen {
                let kind = event["event"].as_str().unwrap_or_default();
                if matches!(
                    kind,
                    "refused" | "broken" | "unchanged" | "restarted" | "exited"
                ) {
                    bail!("the tool said {event} while waiting for {what}");
                }
            }
            if let Some(answer) = look(time, &seen)? {
                return Ok(answer);
            }
        }
        bail!(
            "waited {} s for {what} {}",
            limit.as_secs(),
            self.last_messages()
        )
    }

    /// Remembers the program from the line `pid PID`, its first.
    fn note_program(&mut self, seen: &Seen) {
        if let (Seen::Line(line), None) = (seen, &self.program) {
            let pid = line.strip_prefix("pid ").and_then(|pid| pid.parse().ok());
            self.program = pid.and_then(|pid: i32| {
                let exe = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
                Some((pid, exe))
            });
        }
    }

    /// Saves a new marker and waits until the program's output shows it and the tool reported it.
    pub fn edit(&mut self, project: &Project, marker: u64) -> Result<Patched> {
        let saved = project.save_marker(marker, Instant::now)?;
        let (latency, event) = self.shown(saved, marker)?;
        let phases = event["ms"].as_object().into_iter().flatten();
        Ok(Patched {
            latency,
            phases: phases
                .filter_map(|(name, ms)| Some((name.clone(), ms.as_f64()?)))
                .collect(),
            bytes: event["bytes"].as_f64(),
        })
    }

    /// Waits until what was saved shows, and until the exact lane has confirmed it.
    pub fn shows(&mut self, saved: Instant, marker: u64) -> Result<Told> {
        let (latency, event) = self.shown(saved, marker)?;
        let is_fast = event["lane"] == "fast";
        let mut last = event.clone();
        let mut confirmed = None;
        if is_fast {
            let answer = self.wait("the exact lane", LIMIT, |time, seen| match seen {
                Seen::Event(event) if event["event"] == "confirmed" => {
                    Ok(Some((time, event.clone())))
                }
                _ => Ok(None),
            });
            let (time, event) = answer?;
            confirmed = Some((time - saved).as_secs_f64());
            last = event;
        }
        if last["preparing"] == true {
            self.prepared()?;
        }
        Ok(Told {
            latency,
            is_fast,
            confirmed,
            aside: event["aside"].as_str().map(str::to_owned),
        })
    }

    /// Waits until a save was refused, and gives back the seconds.
    pub fn refusal(&mut self, saved: Instant) -> Result<f64> {
        let verdict = self.verdict()?;
        match verdict.1["event"].as_str() {
            Some("refused") => Ok((verdict.0 - saved).as_secs_f64()),
            _ => bail!("not refused: {}", verdict.1),
        }
    }

    /// Waits for the verdict on a save that nobody times, whichever it is, and for what goes on after it.
    pub fn settle(&mut self) -> Result<()> {
        let (_, mut last) = self.verdict()?;
        while last["event"] == "patched" && last["lane"] == "fast" {
            last = self
                .event(&["confirmed", "unchanged", "refused", "broken"])?
                .1;
        }
        if last["preparing"] == true {
            self.prepared()?;
        }
        Ok(())
    }

    /// Waits until edits of bodies are fast.
    pub fn prepared(&mut self) -> Result<()> {
        self.event(&["prepared"]).map(drop)
    }

    fn verdict(&mut self) -> Result<(Instant, Value)> {
        self.event(&["patched", "unchanged", "refused", "broken"])
    }

    /// Waits for one of these events.
    fn event(&mut self, names: &[&str]) -> Result<(Instant, Value)> {
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            match self.seen.recv_timeout(Duration::from_millis(100)) {
                Ok((time, Seen::Event(event))) => {
                    if names.iter().any(|name| event["event"] == *name) {
                        return Ok((time, event));
                    }
                }
                Ok((_, seen)) => self.note_program(&seen),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        bail!("no event of {names:?} {}", self.last_messages())
    }

    fn shown(&mut self, saved: Instant, marker: u64) -> Result<(f64, Value)> {
        let (mut latency, mut patched) = (None, None);
        let mut state = self.state;
        let answer = self.wait("the new code", LIMIT, |time, seen| {
            match seen {
                Seen::Line(line) => {
                    if let Some((shown, ticks)) = value_line(line) {
                        if ticks < state {
                            bail!("the state went from {state} to {ticks}: the program restarted");
                        }
                        state = ticks;
                        if shown == marker {
                            latency = Some((time - saved).as_secs_f64());
                        }
                    }
                }
                Seen::Event(event) if event["event"] == "patched" => patched = Some(event.clone()),
                Seen::Event(_) => {}
            }
            Ok(latency.zip(patched.clone()))
        });
        self.state = state;
        answer
    }

    pub fn memory(&self) -> Option<Memory> {
        let (pid, _) = self.program.as_ref()?;
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let field = |name: &str| -> Option<f64> {
            let line = text.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        Some(Memory {
            proportional: field("Pss:")?,
            private: field("Private_Clean:")? + field("Private_Dirty:")?,
        })
    }

    fn last_messages(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(30)..];
        if last.is_empty() {
            return "without a message".to_owned();
        }
        format!("after these messages:\n{}", last.join("\n"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // A refused signal means that the process has ended, which is what is wanted.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::INT);
        }
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some((pid, exe)) = self.program.take() {
            let same = fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|now| now == exe);
            if let Some(pid) = Pid::from_raw(pid).filter(|_| same) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// Marker and state of a line `value MARKER STATE`.
fn value_line(line: &str) -> Option<(u64, u64)> {
    let (marker, state) = line.strip_prefix("value ")?.split_once(' ')?;
    Some((marker.parse().ok()?, state.parse().ok()?))
}

fn read_lines(output: impl Read, sender: &Sender<(Instant, Seen)>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if sender.send((Instant::now(), Seen::Line(line))).is_err() {
            return;
        }
    }
}

/// Sends each whole line that is added to the events file.
fn follow_events(path: &Path, sender: &Sender<(Instant, Seen)>, ended: &AtomicBool) {
    let mut file = None;
    let mut rest = Vec::new();
    while !ended.load(Ordering::Acquire) {
        thread::sleep(POLL);
        if file.is_none() {
            file = File::open(path).ok();
        }
        let Some(file) = &mut file else { continue };
        if !file.read_to_end(&mut rest).is_ok_and(|count| count > 0) {
            continue;
        }
        let time = Instant::now();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let Ok(event) = serde_json::from_slice(&line) else {
                continue;
            };
            if sender.send((time, Seen::Event(event))).is_err() {
                return;
            }
        }
    }
}
