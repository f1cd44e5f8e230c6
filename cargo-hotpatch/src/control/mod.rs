//! What other processes may ask a session, and how they find it: `cargo hotpatch status`, `wait`, `attach` and their like.
//!
//! Each session listens on a socket in a folder that only its user can enter. A request is one JSON object in one line, and
//! so is each reply. Fields are only ever added.

pub mod client;
pub mod server;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ui::events::{Coded, Diagnosed, Exited, Milliseconds, Phases};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// How things stand. Answered at any time.
    Status {},
    /// What became of the sources as they are on disk now, once that is known.
    Wait {
        /// Functions that were patched after this generation count; those of the last verdict if there is none.
        since: Option<u32>,
    },
    /// What would become of the sources as they are on disk now: compile and plan them, and load nothing.
    Try {},
    /// Build and start the program anew.
    Restart {
        /// Lose what the program keeps and cannot save.
        insist: bool,
        /// Begin anew with all that it keeps.
        clean: bool,
    },
    /// Leave saves alone until `Resume`.
    Pause {},
    /// Take up what was saved meanwhile.
    Resume {},
    /// Go to what ran before the last step.
    Undo {},
    /// Have the panics of calls go on that wait for other code.
    GiveUp {},
    /// Go to what ran before the last undo.
    Redo {},
    /// The functions that run other code than the program began with.
    List {},
    /// The functions of the program whose paths contain a text.
    Functions {
        /// Which; all if it is empty.
        filter: String,
    },
    /// The statics and thread-locals of the program whose paths contain a text, with their values.
    Variables {
        /// Which; all if it is empty.
        filter: String,
    },
    /// Give a static another value.
    Set {
        /// Its path, or the end of it.
        name: String,
        /// The value, as Rust writes it.
        value: String,
    },
    /// End the program and the session.
    Quit {},
    /// Say from now on all that the session says; keys may follow.
    Attach {},
    /// A key, typed at a terminal that is attached.
    Key {
        /// Which.
        key: char,
    },
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// To `Status`.
    Status(Box<Status>),
    /// To `Wait`.
    Settled(Box<Settled>),
    /// To `Try`: the verdict that there would be.
    Tried(Box<Judged>),
    /// To `List`.
    Functions {
        /// By path.
        functions: Vec<Function>,
    },
    /// To `Functions`.
    AllFunctions {
        /// By path.
        functions: Vec<FunctionOf>,
    },
    /// To `Variables`.
    Variables {
        /// By path.
        variables: Vec<VariableOf>,
    },
    /// It was done.
    Done {
        /// A sentence without full stop.
        message: String,
    },
    /// It was not done.
    Failed {
        /// Why, as a sentence without full stop.
        message: String,
    },
    /// The session ends.
    Ended {},
    /// A piece of what the session says, as it would stand at its terminal.
    Said {
        /// The text.
        text: String,
    },
}

/// What a session does right now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The program is built for the first time.
    #[default]
    Building,
    /// The program runs and cannot be patched yet.
    Starting,
    /// It runs.
    Running,
    /// It is built to be started anew.
    Restarting,
    /// It has ended, and the next save starts it again.
    Ended,
    /// It has ended, and its next process waits for a save.
    Waiting,
}

/// A session, and how things stand with it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The tool's process id, by which the session is named.
    pub session: u32,
    /// When it began, in seconds since 1970.
    pub began: f64,
    /// The tool's version.
    pub version: String,
    /// The folder of the workspace.
    pub workspace: PathBuf,
    /// The package of the program.
    pub package: String,
    /// The program's name.
    pub program: String,
    /// What it does right now.
    pub state: State,
    /// The program's process id, while it runs.
    pub pid: Option<u32>,
    /// How it ended, if it has.
    pub exited: Option<Exited>,
    /// The generation that it runs.
    pub generation: u32,
    /// How many of its functions can be replaced.
    pub functions: usize,
    /// Saves are left alone.
    pub paused: bool,
    /// A save has no verdict yet, or one that is not confirmed.
    pub pending: bool,
    /// A hash of the sources for which the last verdict was given.
    pub revision: Option<String>,
    /// A hash of the sources that run: if it is `revision`, and nothing is pending, what is on disk is what runs.
    pub running: Option<String>,
    /// The refusal or the error that stands until an edit or a restart has settled it.
    pub standing: Option<Judged>,
    /// The last verdicts, the newest first.
    pub verdicts: Vec<Judged>,
    /// Functions that were patched and not called within the time for which calls are looked for.
    pub not_called: Vec<Function>,
    /// What threads were in when the last patch went live: older code goes on there.
    pub under_way: Vec<Coded>,
}

/// A function and the generation of its code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Function {
    /// Its path.
    pub function: String,
    /// The generation.
    pub generation: u32,
}

/// A function of the program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionOf {
    /// Its path.
    pub function: String,
    /// The file it is written in.
    pub file: Option<String>,
    /// And the line there.
    pub line: Option<u32>,
    /// What it takes and returns, as types.
    pub signature: Option<String>,
    /// The generation of its code; 0 for what the program began with.
    pub generation: u32,
    /// How often it was patched in this process.
    pub patches: u32,
    /// Whether it was called since the last patch; none if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<bool>,
}

/// A static or a thread-local of the program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariableOf {
    /// Its path.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
    /// The file it is written in.
    pub file: Option<String>,
    /// And the line there.
    pub line: Option<u32>,
    /// Its value, as Rust would write it; none if it has none yet, or none that can be told.
    pub value: Option<String>,
    /// Why it cannot be set; none if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cannot_be_set: Option<String>,
}

/// The kind of a verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Nothing that runs is different.
    #[default]
    Unchanged,
    /// New code runs.
    Patched,
    /// The program was started anew with it.
    Restarted,
    /// What ran before it runs again, or another step that is not what is on disk.
    Undone,
    /// It cannot be patched.
    Refused,
    /// It does not compile.
    Broken,
}

/// A verdict.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// When, in seconds since 1970.
    pub time: f64,
    /// What it is.
    pub verdict: Kind,
    /// The generation that runs since.
    pub generation: u32,
    /// A hash of the sources that it is about.
    pub revision: Option<String>,
    /// Patched or undone: functions of the workspace with other code.
    pub functions: Vec<String>,
    /// Patched: the lane, `fast` or `exact`.
    pub lane: Option<String>,
    /// The exact lane has come to its end with it.
    pub confirmed: bool,
    /// Patched: what is worth knowing beside it.
    pub notes: Vec<Coded>,
    /// Refused: why, and where.
    pub refusal: Option<Coded>,
    /// Broken: rustc's own words.
    pub rendered: Option<String>,
    /// Broken: what rustc says, one by one.
    pub diagnostics: Vec<Diagnosed>,
    /// Broken: the file of the first error.
    pub file: Option<String>,
    /// Its line.
    pub line: Option<u32>,
    /// How long it took.
    pub ms: Option<Phases>,
    /// Patched by the fast lane: how long it took until the exact one agreed.
    pub confirmed_ms: Option<Milliseconds>,
    /// Patched: size of what was loaded, in bytes.
    pub bytes: Option<u64>,
}

/// What became of the sources on disk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// The session.
    pub session: u32,
    /// The program's process id, if it runs.
    pub pid: Option<u32>,
    /// How the program ended, if it has.
    pub exited: Option<Exited>,
    /// The session is paused, so that nothing becomes of a save.
    pub paused: bool,
    /// The verdict, as of now.
    #[serde(flatten)]
    pub judged: Judged,
    /// Functions whose next call runs the new code.
    pub live: Vec<String>,
    /// Those that run older code somewhere.
    pub not_live: Vec<NotLive>,
    /// What would bring the edit into the program, if it is not in it.
    pub fix: Option<Fix>,
}

impl Settled {
    /// Nothing of it went live, for this reason.
    pub fn refuse(&mut self, code: &str, why: &str) {
        self.judged.verdict = Kind::Refused;
        self.judged.refusal = Some(Coded {
            code: code.to_owned(),
            message: why.to_owned(),
            ..Coded::default()
        });
        self.live.clear();
        self.fix.get_or_insert(Fix::Restart { keeps: Vec::new() });
    }
}

/// A function that runs older code somewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotLive {
    /// Its path, or the words of the note where it names none.
    pub function: String,
    /// Why.
    pub why: String,
    /// The thread that is in it.
    pub on_stack_of: Option<String>,
    /// The file.
    pub file: Option<String>,
    /// The line.
    pub line: Option<u32>,
}

/// What would bring an edit into the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fix {
    /// A restart.
    Restart {
        /// The values that the program is known to keep through one.
        keeps: Vec<String>,
    },
    /// Another edit.
    Edit {},
    /// A step forth, to what was undone.
    Redo {},
}

/// The folder of the sockets, which only this user can enter. It is made if need be.
///
/// # Errors
/// It cannot be made, or is somebody else's.
pub fn folder() -> io::Result<PathBuf> {
    let mut failed = io::ErrorKind::NotFound.into();
    for folder in folders() {
        match make(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Where sockets may be: who asks may have another environment than the session.
fn folders() -> Vec<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let is_ours = |path: &PathBuf| {
        let meta = fs::metadata(path);
        path.is_absolute() && meta.is_ok_and(|meta| meta.is_dir() && meta.uid() == user)
    };
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let usual = PathBuf::from(format!("/run/user/{user}"));
    let places = runtime.into_iter().chain([usual]).filter(is_ours);
    let mut folders: Vec<PathBuf> = places.map(|place| place.join("cargo-hotpatch")).collect();
    folders.push(PathBuf::from(format!("/tmp/cargo-hotpatch-{user}")));
    folders.dedup();
    folders
}

fn make(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if is_private(folder) {
        return Ok(());
    }
    let text = format!("`{}` is not a folder of this user alone", folder.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

/// Whether a folder is there, and only this user can enter it: anybody may have made one in `/tmp`.
fn is_private(folder: &Path) -> bool {
    let user = rustix::process::geteuid().as_raw();
    fs::symlink_metadata(folder).is_ok_and(|meta| {
        meta.is_dir() && meta.uid() == user && meta.permissions().mode() & 0o077 == 0
    })
}
