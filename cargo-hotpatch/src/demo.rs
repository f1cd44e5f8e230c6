//! `cargo hotpatch demo`: an example in a temporary copy, edited three times while it runs.
//!
//! The demo only does what a person would do: it starts `cargo hotpatch run`, writes to a source file and reads what
//! the tool and the program say. It knows nothing of how a patch is made.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::args::DemoArgs;
use crate::command::{CancelToken, Tool};
use crate::run::child::TERM_GRACE;
use crate::run::signals::{Interrupt, Interrupts};
use crate::ui::demo::{Show, Step};
use crate::ui::events::{Event, Record};
use crate::ui::terminal::Terminal;

/// The example's only file; a link to the one in `examples/`, so that a published crate holds it too.
const COUNTER: &str = include_str!("../demo/counter.rs");

/// How long the program runs before each edit, so that a person can follow.
const PAUSE: Duration = Duration::from_millis(2500);
/// The same where nobody watches.
const SHORT_PAUSE: Duration = Duration::from_millis(700);
/// How often to look for new events.
const POLL: Duration = Duration::from_millis(20);
/// A first build takes in the dependencies, perhaps through a slow network.
const READY_LIMIT: Duration = Duration::from_secs(600);
/// How long a verdict may take, or the output that must follow it.
const EDIT_LIMIT: Duration = Duration::from_secs(60);

/// An edit that the demo makes.
struct Edit {
    what: &'static str,
    /// Text to replace, each found exactly once, and by what.
    replace: &'static [(&'static str, &'static str)],
    /// Whether a line of the program comes from the new code, given the one before it.
    is_new: fn(before: &State, now: &State) -> bool,
}

const EDITS: [Edit; 3] = [
    Edit {
        what: "another text in `step`, which runs three times a second",
        replace: &[(
            "total {}\", counter.ticks",
            "{} points so far\", counter.ticks",
        )],
        is_new: |_, now| now.line.contains("points so far"),
    },
    Edit {
        what: "`points`, which `step` calls",
        replace: &[("    1\n", "    10\n")],
        is_new: |before, now| now.total == before.total + 10,
    },
    Edit {
        what: "a new function, and `step` uses it",
        replace: &[
            (
                "points();\n",
                "points();\n    let bar = bar(counter.ticks);\n",
            ),
            ("points so far\"", "points {bar}\""),
            (
                "    10\n}\n",
                "    10\n}\n\nfn bar(ticks: u64) -> String {\n    \"#\".repeat(ticks as usize % 20 + 1)\n}\n",
            ),
        ],
        is_new: |_, now| now.line.contains('#'),
    },
];

/// What a line of the program tells of its state.
#[derive(Debug, Clone, Default)]
struct State {
    line: String,
    tick: u64,
    total: u64,
}

impl State {
    /// The first two numbers of a line are the ticks and the total, whatever else is in it.
    fn parse(line: &str) -> Option<Self> {
        let digits = |c: char| !c.is_ascii_digit();
        let mut numbers = line.split(digits).filter_map(|word| word.parse().ok());
        Some(Self {
            line: line.to_owned(),
            tick: numbers.next()?,
            total: numbers.next()?,
        })
    }

    /// Whether `self` is what the same counter says right after `before`.
    fn follows(&self, before: &Self) -> bool {
        self.tick == before.tick + 1 && self.total > before.total
    }
}

enum Message {
    Line(String),
    /// The session is over; what is known of why.
    Ended(String),
    Interrupt(Interrupt),
}

/// Runs the demo to its end and gives back the exit status.
///
/// # Errors
/// The example cannot be set up or started, an edit was not patched, or the program lost its state.
pub fn run(args: &DemoArgs) -> Result<u8> {
    let terminal = Terminal::of_stderr(None);
    let show = Show::new(terminal);
    let mut folder = tempfile::Builder::new()
        .prefix("hotpatch-demo-")
        .tempdir()
        .context("failed to make a temporary folder")?;
    folder.disable_cleanup(args.keep);
    let example = Example::write(folder.path())?;
    show.copied(&example.source);

    let (messages, inbox) = channel();
    let _interrupts = {
        let messages = messages.clone();
        Interrupts::listen(move |interrupt| {
            let _ = messages.send(Message::Interrupt(interrupt));
        })
        .context("failed to listen for signals")?
    };
    let cancel = CancelToken::new();
    let auto = args.auto || !terminal.is_terminal;
    example.start(auto, cancel.clone(), messages)?;
    let mut demo = Demo {
        events: Events::new(&example.events),
        example,
        show,
        inbox,
        cancel,
        pause: if terminal.is_terminal {
            PAUSE
        } else {
            SHORT_PAUSE
        },
        last: State::default(),
        stop: None,
    };
    let result = demo.edit_all().and_then(|steps| match (steps, auto) {
        (Some(steps), true) => {
            demo.show.done(&steps, demo.last.tick);
            Ok(())
        }
        (Some(_), false) => demo.invite(),
        (None, _) => Ok(()),
    });
    let status = demo.end();
    demo.show.ended(args.keep.then(|| folder.path()), !auto);
    result.map(|()| status)
}

/// The copy of the example.
struct Example {
    folder: PathBuf,
    source: PathBuf,
    events: PathBuf,
}

impl Example {
    fn write(folder: &Path) -> Result<Self> {
        let source = folder.join("src/main.rs");
        let events = folder.join("events.jsonl");
        let write = || {
            fs::create_dir_all(folder.join("src"))?;
            fs::write(&source, COUNTER)?;
            fs::write(&events, "")?;
            fs::write(folder.join("Cargo.toml"), MANIFEST)?;
            Ok::<(), std::io::Error>(())
        };
        write().with_context(|| format!("failed to write to `{}`", folder.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
            source,
            events,
        })
    }

    /// Starts `cargo hotpatch run` on it, in a thread that ends with it.
    fn start(&self, auto: bool, cancel: CancelToken, messages: Sender<Message>) -> Result<()> {
        let program = std::env::current_exe().context("failed to find this program")?;
        let mut tool = Tool::new(program)
            .args(["hotpatch", "run"])
            .arg("--manifest-path")
            .arg(self.folder.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(self.folder.join("target"))
            .arg("--events")
            .arg(&self.events)
            .current_dir(&self.folder)
            .foreground(true);
        if auto {
            tool = tool.args(["--on-refuse", "stay"]);
        }
        thread::Builder::new()
            .name("demo".to_owned())
            .spawn(move || {
                let ended = tool.stream(&cancel, None, |line| {
                    let _ = messages.send(Message::Line(line.to_owned()));
                });
                let why = match ended {
                    Ok(output) => format!("`cargo hotpatch run` ended with {}", output.status),
                    Err(error) => error.to_string(),
                };
                let _ = messages.send(Message::Ended(why));
            })
            .context("failed to start a thread")?;
        Ok(())
    }

    /// Makes an edit and gives back what a reader should see of it.
    fn apply(&self, edit: &Edit) -> Result<Vec<Step>> {
        let place = || format!("`{}`", self.source.display());
        let mut text = fs::read_to_string(&self.source)
            .with_context(|| format!("failed to read {}", place()))?;
        let mut steps = Vec::new();
        for (from, to) in edit.replace {
            if text.matches(from).count() != 1 {
                bail!("{} was changed by somebody else", place());
            }
            let new = text.replace(from, to);
            steps.push(Step::new(&text, &new));
            text = new;
        }
        // As editors do it: nobody ever sees half a file.
        let new = self.folder.join("src/main.rs.new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &self.source))
            .with_context(|| format!("failed to write {}", place()))?;
        Ok(steps)
    }
}

/// The example's manifest.
const MANIFEST: &str =
    "[package]\nname = \"counter\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n";

struct Demo {
    example: Example,
    show: Show,
    inbox: Receiver<Message>,
    events: Events,
    cancel: CancelToken,
    pause: Duration,
    last: State,
    /// Set when the session is over or the person wants it to be.
    stop: Option<Stop>,
}

enum Stop {
    Asked(Interrupt),
    Ended(String),
}

/// What is new since the last look.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum News {
    Line,
    Event(Event),
    Nothing,
    Over,
}

impl Demo {
    /// All edits, or nothing when the person ended it before that.
    fn edit_all(&mut self) -> Result<Option<Vec<Duration>>> {
        let Some(pid) = self.ready()? else {
            return Ok(None);
        };
        let mut times = Vec::new();
        for (number, edit) in EDITS.iter().enumerate() {
            if !self.watch(self.pause)? {
                return Ok(None);
            }
            let steps = self.example.apply(edit)?;
            self.show.edit(number + 1, EDITS.len(), edit.what, &steps);
            let Some(time) = self.patched(edit, pid)? else {
                return Ok(None);
            };
            times.push(time);
        }
        if !self.watch(self.pause)? {
            return Ok(None);
        }
        Ok(Some(times))
    }

    /// Waits for the program; `None` when the person ends the demo.
    fn ready(&mut self) -> Result<Option<u32>> {
        let limit = Instant::now() + READY_LIMIT;
        while Instant::now() < limit {
            match self.next(limit)? {
                News::Event(Event::Ready(ready)) => return Ok(Some(ready.pid)),
                News::Event(event) => self.fail("start", &event)?,
                News::Over => return self.over().map(|()| None),
                News::Line | News::Nothing => {}
            }
        }
        bail!("the example was not ready within {READY_LIMIT:?}")
    }

    /// Lets the program run for a while; false when the person ends the demo.
    fn watch(&mut self, time: Duration) -> Result<bool> {
        let limit = Instant::now() + time;
        while Instant::now() < limit {
            match self.next(limit)? {
                News::Event(event) => self.fail("run on", &event)?,
                News::Over => return self.over().map(|()| false),
                News::Line | News::Nothing => {}
            }
        }
        Ok(true)
    }

    /// Waits for the verdict on an edit and for the first line of its code.
    fn patched(&mut self, edit: &Edit, pid: u32) -> Result<Option<Duration>> {
        let limit = Instant::now() + EDIT_LIMIT;
        let mut time = None;
        while Instant::now() < limit {
            let before = self.last.clone();
            match self.next(limit)? {
                News::Event(Event::Patched(patched)) => time = Some(patched.ms.total),
                News::Event(event) => self.fail("be patched", &event)?,
                News::Over => return self.over().map(|()| None),
                News::Line if (edit.is_new)(&before, &self.last) => {
                    self.show.kept(
                        (before.tick, before.total),
                        (self.last.tick, self.last.total),
                        pid,
                    );
                    // The verdict is written right after the patch, so it can come after the line.
                    let time = match time {
                        Some(time) => Some(time),
                        None => self.verdict(limit)?,
                    };
                    return Ok(time);
                }
                News::Line | News::Nothing => {}
            }
        }
        match time {
            None => bail!("there was no verdict within {EDIT_LIMIT:?}"),
            Some(_) => bail!("the edit was patched, but the program does not show it"),
        }
    }

    fn verdict(&mut self, limit: Instant) -> Result<Option<Duration>> {
        while Instant::now() < limit {
            match self.next(limit)? {
                News::Event(Event::Patched(patched)) => return Ok(Some(patched.ms.total)),
                News::Event(event) => self.fail("be patched", &event)?,
                News::Over => return self.over().map(|()| None),
                News::Line | News::Nothing => {}
            }
        }
        bail!("the program shows the edit, but there was no verdict")
    }

    /// Shows the program until the person ends it.
    fn invite(&mut self) -> Result<()> {
        self.show.invite(&self.example.source);
        let mut lines = 0_u32;
        loop {
            match self.next_of_anything(Instant::now() + POLL) {
                News::Line => {
                    lines += 1;
                    if lines.is_multiple_of(30) {
                        self.show.remind(&self.example.source);
                    }
                }
                News::Over => return self.over(),
                News::Event(_) | News::Nothing => {}
            }
        }
    }

    /// The next thing of interest, where lines of the program must show a state that goes on.
    fn next(&mut self, limit: Instant) -> Result<News> {
        let before = self.last.clone();
        let news = self.next_of_anything(limit.min(Instant::now() + POLL));
        let began = before.tick > 0;
        if matches!(news, News::Line) && began && !self.last.follows(&before) {
            bail!(
                "the program lost its state: `{}` came after `{}`",
                self.last.line,
                before.line
            );
        }
        Ok(news)
    }

    fn next_of_anything(&mut self, limit: Instant) -> News {
        if self.stop.is_some() {
            return News::Over;
        }
        if let Some(event) = self.events.next() {
            return News::Event(event);
        }
        match self
            .inbox
            .recv_timeout(limit.saturating_duration_since(Instant::now()))
        {
            Ok(Message::Line(line)) => {
                self.show.program(&line);
                match State::parse(&line) {
                    Some(state) => {
                        self.last = state;
                        News::Line
                    }
                    None => News::Nothing,
                }
            }
            Ok(Message::Ended(why)) => {
                self.stop = Some(Stop::Ended(why));
                News::Over
            }
            Ok(Message::Interrupt(interrupt)) => {
                self.stop = Some(Stop::Asked(interrupt));
                News::Over
            }
            Err(RecvTimeoutError::Timeout) => News::Nothing,
            Err(RecvTimeoutError::Disconnected) => {
                self.stop = Some(Stop::Ended("the session is gone".to_owned()));
                News::Over
            }
        }
    }

    /// Whether it is over because the person wanted it to be.
    fn over(&mut self) -> Result<()> {
        // Ctrl-C reaches the session as well, and its end may be the first we hear of it.
        if let Some(Stop::Ended(why)) = &self.stop {
            match self.inbox.recv_timeout(Duration::from_millis(200)) {
                Ok(Message::Interrupt(_)) => {}
                _ => bail!("{why}; what it said is above"),
            }
        }
        Ok(())
    }

    /// An event that must not come now.
    fn fail(&self, to: &str, event: &Event) -> Result<()> {
        match event {
            Event::Refused(refused) => {
                bail!("failed to {to}: {}: {}", refused.code, refused.message)
            }
            Event::Broken(_) => bail!("failed to {to}: the example does not compile"),
            Event::Exited(_) => bail!("failed to {to}: the program ended"),
            Event::Restarted(_) => bail!("failed to {to}: the program was started anew"),
            Event::Unchanged {}
            | Event::Confirmed(_)
            | Event::TakenBack(_)
            | Event::Undone(_)
            | Event::Fallen(_)
            | Event::Waits(_)
            | Event::Prepared {}
            | Event::Live(_)
            | Event::Ready(_)
            | Event::Patched(_)
            | Event::NotRestarted(_)
            | Event::Lost(_)
            | Event::Tests(_)
            | Event::Tested(_) => Ok(()),
        }
    }

    /// Ends the session and waits for its end; gives back the exit status.
    fn end(&mut self) -> u8 {
        let wait = match &self.stop {
            Some(Stop::Ended(_)) => return 0,
            // Ctrl-C is ending the session already; a signal to us alone is not.
            Some(Stop::Asked(interrupt))
                if interrupt.signal == rustix::process::Signal::INT.as_raw() =>
            {
                TERM_GRACE + Duration::from_secs(1)
            }
            _ => Duration::ZERO,
        };
        if !self.drain(wait) {
            self.cancel.cancel();
            self.drain(TERM_GRACE + Duration::from_secs(2));
        }
        0
    }

    /// Whether the session ended within `time`.
    fn drain(&self, time: Duration) -> bool {
        let limit = Instant::now() + time;
        loop {
            match self
                .inbox
                .recv_timeout(limit.saturating_duration_since(Instant::now()))
            {
                Ok(Message::Ended(_)) | Err(RecvTimeoutError::Disconnected) => return true,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return false,
            }
        }
    }
}

/// Reads the events file as it grows.
struct Events {
    file: Option<BufReader<File>>,
    line: String,
}

impl Events {
    fn new(path: &Path) -> Self {
        Self {
            file: File::open(path).ok().map(BufReader::new),
            line: String::new(),
        }
    }

    fn next(&mut self) -> Option<Event> {
        loop {
            self.file.as_mut()?.read_line(&mut self.line).ok()?;
            // A line that is not finished yet is read on next time.
            if !self.line.ends_with('\n') {
                return None;
            }
            let line = std::mem::take(&mut self.line);
            if let Ok(Record { event, .. }) = serde_json::from_str(&line) {
                return Some(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edits_fit_the_example_one_after_the_other() {
        let mut text = COUNTER.to_owned();
        for (from, to) in EDITS.iter().flat_map(|edit| edit.replace) {
            assert_eq!(text.matches(from).count(), 1, "{from}");
            text = text.replace(from, to);
            syn::parse_file(&text).unwrap();
        }
    }

    #[test]
    fn a_line_tells_the_state() {
        let state = |line| State::parse(line).map(|state| (state.tick, state.total));
        assert_eq!(state("tick   9: total 12"), Some((9, 12)));
        assert_eq!(state("tick  10: 13 points ##########"), Some((10, 13)));
        assert_eq!(state("tick 10"), None);
        assert_eq!(state("serving"), None);
    }

    #[test]
    fn events_are_read_as_they_come() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        fs::write(&path, "{\"event\":\"unchanged\",\"time\":1}\n{\"event\":").unwrap();
        let mut events = Events::new(&path);
        assert_eq!(events.next(), Some(Event::Unchanged {}));
        assert_eq!(events.next(), None);
        let all = "{\"event\":\"unchanged\",\"time\":1}\n{\"event\":\"restarted\",\"time\":2}\n";
        fs::write(&path, all).unwrap();
        assert_eq!(events.next(), Some(Event::Restarted(Default::default())));
    }
}
