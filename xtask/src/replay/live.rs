//! The program under `cargo hotpatch run`: starts the tool, waits for verdicts, asks the program, ends both.
//!
//! Every wait has a limit, and nothing started here outlives the [`Live`].

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hotpatch_tests::events::{Event, EventLog};
use hotpatch_tests::lines::Lines;
use hotpatch_tests::workspace::{cargo, command};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open, pidfd_send_signal,
};

use crate::replay::plain::{self, Answer, Builder};
use crate::replay::stop::{GLANCE, Stop};

/// How long the tool gets to end by itself.
const FAREWELL: Duration = Duration::from_secs(20);

/// The tool and the program it runs.
#[derive(Debug)]
pub struct Live {
    tool: Child,
    input: ChildStdin,
    output: Output,
    events: Events,
    log: PathBuf,
    program: Option<OwnedFd>,
    /// Seconds from the start of the tool to `ready`.
    pub started_in: f64,
}

/// What came after a save.
#[derive(Debug)]
pub enum Seen {
    /// One of the four verdicts, and the milliseconds since the save.
    Verdict(Event, f64),
    /// The program or the tool ended.
    Ended(String),
    /// Nothing within the limit.
    Silence,
}

struct Output(Lines);

struct Events(EventLog);

impl std::fmt::Debug for Output {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Output")
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Events")
    }
}

impl Live {
    /// Starts the tool on the folder of `builder` and waits until the program is ready. The tool's words go into
    /// `log`.
    pub fn start(
        tool: &Path,
        builder: &Builder,
        log: &Path,
        limit: Duration,
        stop: &Stop,
    ) -> Result<Self> {
        let events = log.with_extension("jsonl");
        let _ = fs::remove_file(&events);
        let mut run = command(tool);
        run.args(["hotpatch", "run", "--on-refuse", "stay", "--manifest-path"])
            .arg(builder.folder.join(&builder.manifest))
            .arg("--events")
            .arg(&events)
            .args(&builder.options)
            .current_dir(&builder.folder)
            .env("CARGO", cargo())
            .env("CARGO_TARGET_DIR", &builder.target)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log).context("failed to make the log file")?);
        let began = Instant::now();
        let mut tool = run
            .spawn()
            .with_context(|| format!("failed to start `{}`", tool.display()))?;
        let (input, output) = (tool.stdin.take(), tool.stdout.take());
        let mut live = Self {
            input: input.context("the tool takes no input")?,
            output: Output(Lines::of(output.context("the tool has no output")?)),
            events: Events(EventLog::new(&events)),
            tool,
            log: log.to_owned(),
            program: None,
            started_in: 0.0,
        };
        live.wait_until_ready(began, limit, stop)?;
        Ok(live)
    }

    fn wait_until_ready(&mut self, began: Instant, limit: Duration, stop: &Stop) -> Result<()> {
        while began.elapsed() < limit {
            if let Some(event) = self.events.0.poll()? {
                match event.name() {
                    "ready" => {
                        self.started_in = began.elapsed().as_secs_f64();
                        let pid = i32::try_from(event.number("pid")?)?;
                        let pid = Pid::from_raw(pid).context("`ready` has no process")?;
                        self.program = pidfd_open(pid, PidfdFlags::empty()).ok();
                        let rest = limit.saturating_sub(began.elapsed());
                        return self.wait_until_prepared(&event, rest, stop);
                    }
                    "exited" | "broken" => bail!("the session began with {event}"),
                    _ => continue,
                }
            }
            if let Some(status) = self.tool.try_wait()? {
                bail!("the tool ended with {status} {}", self.last_words());
            }
            stop.rest(GLANCE)?;
        }
        bail!(
            "no `ready` within {} s {}",
            limit.as_secs(),
            self.last_words()
        )
    }

    /// Waits for the verdict on a save.
    pub fn verdict(&mut self, saved: Instant, limit: Duration, stop: &Stop) -> Result<Seen> {
        while saved.elapsed() < limit {
            if let Some(event) = self.events.0.poll()? {
                let ms = saved.elapsed().as_secs_f64() * 1e3;
                if event.is_verdict() {
                    return Ok(Seen::Verdict(event, ms));
                }
                if event.name() == "exited" {
                    return Ok(Seen::Ended(event.to_string()));
                }
                continue;
            }
            if let Some(status) = self.tool.try_wait()? {
                let words = self.last_words();
                return Ok(Seen::Ended(format!("the tool ended with {status} {words}")));
            }
            stop.rest(GLANCE)?;
        }
        Ok(Seen::Silence)
    }

    /// Waits until nothing goes on any more after a verdict: the exact lane has confirmed what the fast one brought, and
    /// what the fast one needs is made. Gives back a verdict that came instead, if one did, and otherwise the milliseconds
    /// from the save until the patch was confirmed.
    pub fn settle(
        &mut self,
        verdict: &Event,
        saved: Instant,
        limit: Duration,
        stop: &Stop,
    ) -> Result<(Option<Event>, Option<f64>)> {
        let mut last = verdict.clone();
        let mut confirmed = None;
        while verdict.is_ahead() && last.name() != "confirmed" {
            let Some(event) = self.next(limit.saturating_sub(saved.elapsed()), stop)? else {
                bail!("the patch was not confirmed");
            };
            if event.is_verdict() {
                return Ok((Some(event), None));
            }
            if event.name() == "confirmed" {
                confirmed = Some(saved.elapsed().as_secs_f64() * 1e3);
            }
            last = event;
        }
        self.wait_until_prepared(&last, limit, stop)?;
        Ok((None, confirmed))
    }

    /// Waits until edits of bodies are fast, after an event that says they will be.
    fn wait_until_prepared(&mut self, event: &Event, limit: Duration, stop: &Stop) -> Result<()> {
        let mut waits = event.precedes_prepared();
        while waits {
            let event = self.next(limit, stop)?;
            waits = event.is_some_and(|event| event.name() != "prepared");
        }
        Ok(())
    }

    /// The next event; nothing within the limit, or if there will be none.
    fn next(&mut self, limit: Duration, stop: &Stop) -> Result<Option<Event>> {
        let began = Instant::now();
        while began.elapsed() < limit {
            if let Some(event) = self.events.0.poll()? {
                return Ok(Some(event));
            }
            if !matches!(self.tool.try_wait(), Ok(None)) {
                break;
            }
            stop.rest(GLANCE)?;
        }
        Ok(None)
    }

    /// The last verdict that came unasked meanwhile.
    pub fn later(&mut self) -> Result<Option<Event>> {
        let mut last = None;
        while let Some(event) = self.events.0.poll()? {
            if event.is_verdict() {
                last = Some(event);
            }
        }
        Ok(last)
    }

    /// Asks the running program.
    pub fn ask(&mut self, lines: &[String], stop: &Stop) -> Vec<Answer> {
        // What it said unasked would stand for answers.
        drop(self.output.0.rest());
        let program = &self.program;
        let ended = || has_ended(program.as_ref()).then(|| "ended".to_owned());
        plain::ask(&mut self.input, &self.output.0, lines, stop, ended)
    }

    /// Whether the program or the tool is gone.
    pub fn is_over(&mut self) -> bool {
        has_ended(self.program.as_ref()) || !matches!(self.tool.try_wait(), Ok(None))
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(15)..];
        if last.is_empty() {
            return "without a word".to_owned();
        }
        format!("after these words:\n{}", last.join("\n"))
    }

    fn wait(&mut self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if !matches!(self.tool.try_wait(), Ok(None)) {
                return true;
            }
            thread::sleep(GLANCE);
        }
        false
    }
}

fn has_ended(program: Option<&OwnedFd>) -> bool {
    program.is_some_and(|program| {
        let mut look = [PollFd::new(program, PollFlags::IN)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // A process's descriptor can be read from once it has ended.
        poll(&mut look, Some(&at_once)).is_ok_and(|count| count > 0)
    })
}

impl Drop for Live {
    fn drop(&mut self) {
        let group = i32::try_from(self.tool.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = group
            && matches!(self.tool.try_wait(), Ok(None))
        {
            let _ = kill_process(pid, Signal::TERM);
            if !self.wait(FAREWELL) {
                let _ = kill_process_group(pid, Signal::KILL);
                let _ = self.tool.wait();
            }
        }
        // The descriptor means this process and no later one of its number.
        if let Some(program) = &self.program {
            let _ = pidfd_send_signal(program, Signal::KILL);
        }
    }
}
