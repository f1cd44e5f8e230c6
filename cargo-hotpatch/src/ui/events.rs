//! The session in JSON lines, for editors and scripts: `--events FILE`.
//!
//! One object a line, written whole and at once, each with `event` and `time` (seconds, Unix). Fields are only ever added.
//! A field that has nothing to say is `null`, not absent, but for `exited`, which has either `code` or `signal`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::screen::Screen;
use crate::run::child::ExitHow;

/// Something that happened in the session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The program runs and an edit can be patched.
    Ready(Ready),
    /// Hot functions now run new code.
    Patched(Patched),
    /// The exact lane agrees with a patch of the fast lane, and has replaced its bodies by rustc's own.
    Confirmed(Confirmed),
    /// The exact lane does not agree with what the fast lane patched and was not confirmed; its verdict follows.
    TakenBack(TakenBack),
    /// Somebody went back to what ran before, or forth again.
    Undone(Undone),
    /// Under `--guard`: a thread panicked or crashed in code of the newest patch, or in what that called; `undone` follows, or why
    /// it could not be taken back.
    Fallen(Fallen),
    /// A call of a `#[hot(retry)]` function has panicked, and is made again once other code runs.
    Waits(Waits),
    /// Which functions of a patch have been called since it went live; said once, of patches with functions of the workspace
    /// that no newer one follows at once.
    Live(Live),
    /// What the fast lane needs is made, for every crate of which that can be.
    Prepared {},
    /// A save that changes nothing that runs.
    Unchanged {},
    /// An edit that cannot be patched; the program runs on.
    Refused(Coded),
    /// An edit that does not compile; the old code runs on.
    Broken(Broken),
    /// The program was started anew.
    Restarted(Restarted),
    /// A restart did not happen, because not all that the program keeps could be saved; the program runs on.
    NotRestarted(NotRestarted),
    /// A kept value did not come through a restart as it was.
    Lost(Lost),
    /// The program ended.
    Exited(Exited),
    /// Tests of one program were run.
    Tests(Tests),
    /// All that was due at the start or after a save was run, or does not compile.
    Tested(Tested),
}

/// What `tested` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    /// How many tests were run because they lead to what has changed, or failed before.
    pub reached: usize,
    /// How many others were run.
    pub others: usize,
    /// Those that fail now, also where they were not run this time.
    pub failing: Vec<String>,
    /// The source does not compile: nothing was run.
    pub broken: bool,
    /// From the save to the last result.
    pub since_save: Milliseconds,
}

/// What `tests` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tests {
    /// What cargo calls the program, such as `unittests src/lib.rs`.
    pub program: String,
    /// The package that it is of.
    pub package: String,
    /// Only those were run that lead to what has changed, or that failed before.
    pub affected: bool,
    /// The names of those that were run.
    pub run: Vec<String>,
    /// How many passed.
    pub passed: usize,
    /// Those that failed.
    pub failed: Vec<FailedTest>,
    /// How many were ignored.
    pub ignored: usize,
    /// How many tests of the program were not run.
    pub skipped: usize,
    /// How the program ended, if not as libtest ends one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// How long the program ran.
    pub ms: Milliseconds,
    /// From the save to the program's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_save: Option<Milliseconds>,
}

/// A test that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedTest {
    /// Its name, as libtest has it.
    pub name: String,
    /// Where it panicked first, as the panic says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What it wrote.
    pub output: String,
}

/// What `ready` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The program's process id.
    pub pid: u32,
    /// The generation it runs.
    pub generation: u32,
    /// How many functions of it can be replaced.
    pub functions: usize,
    /// Where the tool listens for it.
    #[serde(default)]
    pub listen: Vec<SocketAddr>,
}

/// What `patched` says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Patched {
    /// The generation that the patch made.
    pub generation: u32,
    /// Full paths of the workspace's functions that now run new code.
    pub functions: Vec<String>,
    /// Full paths of others, such as instances of generic code for its types.
    pub included: Vec<String>,
    /// What is worth knowing beside the patch.
    pub notes: Vec<Coded>,
    /// Size of the patch file.
    pub bytes: u64,
    /// How long it took.
    pub ms: Phases,
    /// The lane that made it, `fast` or `exact`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// Why the fast lane stepped aside, where the exact one made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aside: Option<String>,
    /// What the fast lane needs is being made; `prepared` follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preparing: bool,
}

/// What `confirmed` says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The generation of the patch.
    pub generation: u32,
    /// Functions that run new code since, beside those of the patch.
    pub functions: Vec<String>,
    /// What is worth knowing beside what the patch said.
    pub notes: Vec<Coded>,
    /// How long it took from the first event of the save.
    pub ms: Milliseconds,
    /// What the fast lane needs is being made; `prepared` follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preparing: bool,
}

/// What `taken_back` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenBack {
    /// The generation of the patch: its functions run again what they ran before.
    pub generation: u32,
}

/// What `fallen` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallen {
    /// The signal of a crash, by its number; none of a panic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Name of the thread.
    pub thread: String,
    /// Full path of the innermost function of the workspace on its stack.
    pub function: String,
    /// The same of the innermost function that the newest patch brought.
    pub newest: String,
    /// The generation of that patch.
    pub generation: u32,
}

/// What `waits` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// Full path of the function, marked `#[hot(retry)]`, a call of which has panicked.
    pub function: String,
    /// Name of the thread.
    pub thread: String,
}

/// What `undone` says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Undone {
    /// The generation that the step makes.
    pub generation: u32,
    /// It was a step forth, to what was undone before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redo: bool,
    /// Under `--guard`, as a thread fell: what is on disk does not come back unasked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guarded: bool,
    /// What runs now is what is on disk.
    pub on_disk: bool,
    /// Full paths of functions of the workspace that run other code now.
    pub functions: Vec<String>,
    /// What is worth knowing beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Coded>,
    /// Size of the libraries in bytes, where the process did not have that code any more.
    #[serde(default)]
    pub bytes: u64,
    /// A hash of the sources whose code runs now, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
    /// How long each step took.
    pub ms: Phases,
}

/// What `live` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// The generation of the patch.
    pub generation: u32,
    /// Full paths of its functions that have been called since.
    pub called: Vec<String>,
    /// Full paths of those that have not.
    pub not_called: Vec<String>,
}

/// A time; milliseconds in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Milliseconds(#[serde(with = "milliseconds")] pub Duration);

/// A code of the edit table, what it means here, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coded {
    /// Such as `HP0101`.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// The file it is about, if there is one.
    pub file: Option<String>,
    /// The line, if there is one.
    pub line: Option<u32>,
    /// What stands behind it, such as where values are alive; not there for notes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Of code under way: the thread that goes on with older code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// The function that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
}

/// What `broken` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// rustc's own diagnostics as it shows them, without colour.
    pub rendered: String,
    /// The file of the first error.
    pub file: Option<String>,
    /// Its line.
    pub line: Option<u32>,
    /// What rustc says, one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnosed>,
}

/// One thing that rustc says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosed {
    /// `error` or `warning`.
    pub severity: String,
    /// The first line of it.
    pub message: String,
    /// Such as `E0599`.
    pub code: Option<String>,
    /// The file of its first span.
    pub file: Option<String>,
    /// The line there.
    pub line: Option<u32>,
    /// The column there.
    pub column: Option<u32>,
}

/// What `restarted` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarted {
    /// The new process id.
    #[serde(default)]
    pub pid: u32,
    /// Names of the values that were saved for it.
    #[serde(default)]
    pub kept: Vec<String>,
}

/// What `not_restarted` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotRestarted {
    /// Names of the values that could not be saved.
    pub names: Vec<String>,
    /// Why.
    pub message: String,
}

/// What `lost` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Names of the values.
    pub names: Vec<String>,
    /// Why, and what they are now.
    pub message: String,
}

/// What `exited` says: one of the two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exited {
    /// The exit status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
}

impl From<ExitHow> for Exited {
    fn from(how: ExitHow) -> Self {
        match how {
            ExitHow::Code(code) => Self {
                code: Some(code),
                signal: None,
            },
            ExitHow::Signal(signal) => Self {
                code: None,
                signal: Some(signal),
            },
        }
    }
}

/// How long each step from save to new code took; milliseconds in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// Until the save was finished.
    #[serde(with = "milliseconds")]
    pub settle: Duration,
    /// Finding out what the edit means, and all that is in no other phase.
    #[serde(with = "milliseconds")]
    pub plan: Duration,
    /// Compiling the patch crate.
    #[serde(with = "milliseconds")]
    pub compile: Duration,
    /// Waiting for rustc's word on the crates as they are written, where the patch alone does not tell that they compile.
    #[serde(with = "milliseconds", default)]
    pub check: Duration,
    /// Binding and linking.
    #[serde(with = "milliseconds")]
    pub link: Duration,
    /// Loading and publishing.
    #[serde(with = "milliseconds")]
    pub load: Duration,
    /// From the first event of the save to the last slot: the sum of the others.
    #[serde(with = "milliseconds")]
    pub total: Duration,
}

impl Phases {
    /// Each step with its name, in their order.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Duration); 6] {
        [
            ("settle", self.settle),
            ("plan", self.plan),
            ("compile", self.compile),
            ("check", self.check),
            ("link", self.link),
            ("load", self.load),
        ]
    }
}

mod milliseconds {
    use super::{Deserialize, Duration};

    #[expect(
        clippy::cast_precision_loss,
        reason = "a phase lasts less than 2^52 microseconds"
    )]
    pub(super) fn serialize<S: serde::Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let hundredths = (duration.as_micros() as f64 / 10.0).round();
        serializer.serialize_f64(hundredths / 100.0)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let milliseconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(milliseconds / 1000.0).map_err(serde::de::Error::custom)
    }
}

/// A line of the file: an event and its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Seconds since 1970.
    pub time: f64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// A hash of the sources that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// Where events are written.
#[derive(Debug, Default)]
pub struct EventLog {
    file: Option<Mutex<Appended>>,
    /// Says them as well.
    screen: Option<Screen>,
}

/// A file that is only appended to. What a full disk does not take goes before what comes next.
#[derive(Debug)]
struct Appended {
    file: File,
    unwritten: Vec<u8>,
}

impl Appended {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.unwritten.extend(line);
        while !self.unwritten.is_empty() {
            match self.file.write(&self.unwritten) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => drop(self.unwritten.drain(..taken)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl EventLog {
    /// Appends to the file at `path`, which is made if need be.
    ///
    /// # Errors
    /// When the file cannot be opened for writing.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let unwritten = Vec::new();
        Ok(Self {
            file: Some(Mutex::new(Appended { file, unwritten })),
            screen: None,
        })
    }

    /// A log that keeps nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Writes `event`, timed now.
    ///
    /// # Errors
    /// When the file cannot be written; the session can go on, and the event is kept for the next call.
    pub fn write(&self, event: Event, revision: Option<String>) -> io::Result<()> {
        if self.file.is_none() && self.screen.is_none() {
            return Ok(());
        }
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs_f64();
        let record = Record {
            time,
            event,
            revision,
        };
        let mut line = serde_json::to_string(&record).map_err(io::Error::other)?;
        line.push('\n');
        if let Some(screen) = &self.screen {
            screen.write(&line);
        }
        let Some(file) = &self.file else {
            return Ok(());
        };
        // One write, unless the disk is full: a reader never sees half a line, and there is no buffer to flush.
        file.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(line.as_bytes())
    }

    /// The same, and each event is said as well.
    #[must_use]
    pub fn said_by(mut self, screen: Screen) -> Self {
        self.screen = Some(screen);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn value(event: Event) -> Value {
        serde_json::to_value(Record {
            time: 1.5,
            event,
            revision: None,
        })
        .unwrap()
    }

    #[test]
    fn each_event_has_its_fields() {
        assert_eq!(
            value(Event::Ready(Ready {
                pid: 7,
                generation: 0,
                functions: 1234,
                listen: vec!["127.0.0.1:3000".parse().unwrap()],
            })),
            json!({"event": "ready", "time": 1.5, "pid": 7, "generation": 0,
                "functions": 1234, "listen": ["127.0.0.1:3000"]})
        );
        let note = Coded {
            code: "HP0202".into(),
            message: "`main` keeps the old code".into(),
            file: Some("src/main.rs".into()),
            line: Some(3),
            reasons: Vec::new(),
            ..Coded::default()
        };
        let patched = Patched {
            generation: 2,
            functions: vec!["app::update".into()],
            included: vec!["app::helper".into()],
            notes: vec![note.clone()],
            bytes: 12_000,
            ms: Phases {
                settle: Duration::from_micros(8_126),
                total: Duration::from_millis(84),
                ..Phases::default()
            },
            ..Patched::default()
        };
        assert_eq!(
            value(Event::Patched(patched)),
            json!({"event": "patched", "time": 1.5, "generation": 2, "functions": ["app::update"],
                "included": ["app::helper"], "bytes": 12000,
                "notes": [{"code": "HP0202", "message": "`main` keeps the old code",
                    "file": "src/main.rs", "line": 3}],
                "ms": {"settle": 8.13, "plan": 0.0, "compile": 0.0, "check": 0.0, "link": 0.0,
                    "load": 0.0, "total": 84.0}})
        );
        assert_eq!(
            value(Event::Unchanged {}),
            json!({"event": "unchanged", "time": 1.5})
        );
        assert_eq!(
            value(Event::Restarted(Restarted {
                pid: 8,
                kept: vec!["world".into()]
            })),
            json!({"event": "restarted", "time": 1.5, "pid": 8, "kept": ["world"]})
        );
        assert_eq!(
            value(Event::NotRestarted(NotRestarted {
                names: vec!["world".into()],
                message: "it is in use".into()
            })),
            json!({"event": "not_restarted", "time": 1.5, "names": ["world"], "message": "it is in use"})
        );
        assert_eq!(
            value(Event::Lost(Lost {
                names: vec!["world".into()],
                message: "missing field `x`".into()
            })),
            json!({"event": "lost", "time": 1.5, "names": ["world"], "message": "missing field `x`"})
        );
        let refused = Coded {
            file: None,
            line: None,
            reasons: vec!["alive in: `main`".into()],
            ..note
        };
        assert_eq!(
            value(Event::Refused(refused)),
            json!({"event": "refused", "time": 1.5, "code": "HP0202",
                "message": "`main` keeps the old code", "file": null, "line": null,
                "reasons": ["alive in: `main`"]})
        );
        let broken = Broken {
            diagnostics: Vec::new(),
            rendered: "error".into(),
            file: Some("a.rs".into()),
            line: Some(1),
        };
        assert_eq!(
            value(Event::Broken(broken)),
            json!({"event": "broken", "time": 1.5, "rendered": "error", "file": "a.rs", "line": 1})
        );
        assert_eq!(
            value(Event::Exited(ExitHow::Code(0).into())),
            json!({"event": "exited", "time": 1.5, "code": 0})
        );
        assert_eq!(
            value(Event::Exited(ExitHow::Signal(11).into())),
            json!({"event": "exited", "time": 1.5, "signal": 11})
        );
    }

    #[test]
    fn the_file_is_appended_to_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut seen = Vec::new();
        for event in [Event::Unchanged {}, Event::Exited(ExitHow::Code(1).into())] {
            EventLog::open(&path)
                .unwrap()
                .write(event.clone(), None)
                .unwrap();
            seen.push(event);
            let text = std::fs::read_to_string(&path).unwrap();
            let records: Vec<Record> = text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert!(records.iter().all(|record| record.time > 1.6e9));
            let events: Vec<Event> = records.into_iter().map(|record| record.event).collect();
            assert_eq!(events, seen);
        }
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut appended = Appended {
            file: full,
            unwritten: Vec::new(),
        };
        let error = appended.write(b"one\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        appended.file = File::create(&path).unwrap();
        appended.write(b"two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn nothing_is_written_without_a_file() {
        EventLog::none().write(Event::Unchanged {}, None).unwrap();
        assert!(EventLog::open(Path::new("/no/such/folder/events")).is_err());
    }
}
