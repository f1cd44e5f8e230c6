//! The format of `scenarios/<name>/scenario.toml`.
//!
//! A scenario is a folder with a cargo package (or workspace) and this file. Its program is a line server
//! (see [`crate::fresh`]), and it names the runtime as a user would, `hotpatch-rt = "0.1"`. Package names
//! are unique among the scenarios, as all share a target folder.
//!
//! ```toml
//! manifest = "code/Cargo.toml"     # default: Cargo.toml
//! options = ["--release"]          # of `cargo hotpatch run`, and of the oracle's `cargo build`
//! args = ["4"]                     # of the program
//! state = true                     # the program knows `dump` and `load` (see `crate::judge`)
//!
//! [start]                          # before the first edit
//! ask = ["step", "show => 3"]      # commands; after ` => ` the reply, else the oracle's answer is enough
//! live = ["spawn => started"]      # commands that only the hot process gets; the reply is needed
//!
//! [[edit]]
//! what = "the body of `step`"      # what a failure calls this edit
//! undo = true                      # start from the last applied source, which drops a refused edit
//! revert = 0                       # start from the source of that generation, counted in patched edits
//! replace = [{ file = "src/main.rs", from = "+ 1", to = "+ 2" }]   # `from` stands there exactly once
//! write = [{ file = "src/new.rs", content = "..." }]
//! delete = ["src/old.rs"]
//! touch = ["src/main.rs"]          # saved with the bytes it has
//! save = "rename"                  # a new file takes the old one's place; default: "in-place"
//! expect = "patched"               # or "unchanged", "refused", "broken", "nothing", "restarted"
//! functions = ["app::step"]        # patched: all functions of the workspace with new code; `*` is any text
//! included = ["app::helper"]       # patched: among the others in the patch
//! notes = ["HP0205"]               # patched: the codes of all notes; default: none
//! code = "HP0101"                  # refused, restarted
//! message = "..."                  # refused, restarted: the exact text
//! file = "src/main.rs"             # refused, restarted, broken: the place
//! line = 12
//! rendered = ["mismatched types"]  # broken: parts of rustc's own text
//! ask = ["step"]                   # after the verdict, as above
//! live = []
//! ```
//!
//! An edit that is `restarted` is refused first. Where one is expected, the session restarts without asking, and the
//! state must come through: it is dumped before and after.
//!
//! All that the tool says about the third edit, word for word, may stand in `expect/03.stderr` beside this file; see
//! [`crate::words`].

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

/// A whole `scenario.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The manifest, from the project's folder.
    #[serde(default = "default_manifest")]
    pub manifest: String,
    /// Options of `cargo hotpatch run` and of `cargo build`.
    #[serde(default)]
    pub options: Vec<String>,
    /// The program's arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Whether the program knows `dump` and `load`.
    #[serde(default)]
    pub state: bool,
    /// What is asked before the first edit.
    #[serde(default)]
    pub start: Questions,
    /// The edits in their order.
    pub edit: Vec<Edit>,
}

/// Commands for the program.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Questions {
    /// For the hot process and the oracle.
    #[serde(default)]
    pub ask: Vec<Question>,
    /// For the hot process alone.
    #[serde(default)]
    pub live: Vec<Question>,
}

/// One command and, perhaps, the reply it must get: `command => reply`.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "String")]
pub struct Question {
    /// The command.
    pub line: String,
    /// The reply.
    pub reply: Option<String>,
}

impl From<String> for Question {
    fn from(text: String) -> Question {
        match text.split_once(" => ") {
            Some((line, reply)) => Question {
                line: line.to_owned(),
                reply: Some(reply.to_owned()),
            },
            None => Question {
                line: text,
                reply: None,
            },
        }
    }
}

/// One save and what must come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// What a failure calls this edit.
    pub what: String,
    /// Starts from the last applied source.
    #[serde(default)]
    pub undo: bool,
    /// Starts from the source of this generation.
    pub revert: Option<usize>,
    /// Texts to replace.
    #[serde(default)]
    pub replace: Vec<Replace>,
    /// Files to write.
    #[serde(default)]
    pub write: Vec<Write>,
    /// Files to delete.
    #[serde(default)]
    pub delete: Vec<PathBuf>,
    /// Files to save as they are.
    #[serde(default)]
    pub touch: Vec<PathBuf>,
    /// How files are saved.
    #[serde(default)]
    pub save: Save,
    /// The verdict.
    pub expect: Expect,
    /// The fast lane patches, and the exact lane takes that back with its verdict, which is this edit's.
    #[serde(default)]
    pub ahead: bool,
    /// Nothing is asked, and the next edit follows at once: before the exact lane has confirmed this one.
    #[serde(default)]
    pub hasty: bool,
    /// The lane that made the patch.
    pub lane: Option<String>,
    /// The functions that now run new code.
    pub functions: Option<Vec<String>>,
    /// Some of the other functions in the patch.
    #[serde(default)]
    pub included: Vec<String>,
    /// The codes of all notes.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The code of a refusal.
    pub code: Option<String>,
    /// Its exact text.
    pub message: Option<String>,
    /// The file of a refusal or of an error.
    pub file: Option<String>,
    /// The line in that file.
    pub line: Option<u64>,
    /// Parts of rustc's text.
    #[serde(default)]
    pub rendered: Vec<String>,
    /// Commands for the hot process and the oracle.
    #[serde(default)]
    pub ask: Vec<Question>,
    /// Commands for the hot process alone.
    #[serde(default)]
    pub live: Vec<Question>,
}

impl Edit {
    /// Whether more than one file may be saved.
    pub fn may_save_several(&self) -> bool {
        let files = self.replace.len() + self.write.len() + self.delete.len() + self.touch.len();
        self.undo || self.revert.is_some() || files > 1
    }
}

/// A text to replace.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replace {
    /// The file.
    pub file: PathBuf,
    /// What stands there now, once.
    pub from: String,
    /// What shall stand there.
    pub to: String,
}

/// A file to write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// The file.
    pub file: PathBuf,
    /// All of its text.
    pub content: String,
}

/// How an editor saves.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Save {
    /// The file is emptied and written.
    #[default]
    InPlace,
    /// A new file takes the old one's place.
    Rename,
}

/// What must come of a save.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// The patch is live.
    Patched,
    /// There was nothing to do.
    Unchanged,
    /// The tool says why not.
    Refused,
    /// It says why not and starts the program anew, with what it keeps.
    Restarted,
    /// The source does not compile.
    Broken,
    /// No verdict at all, as no bytes changed.
    Nothing,
}

impl Expect {
    /// The event of this verdict.
    pub fn event(self) -> Option<&'static str> {
        match self {
            Expect::Patched => Some("patched"),
            Expect::Unchanged => Some("unchanged"),
            Expect::Refused | Expect::Restarted => Some("refused"),
            Expect::Broken => Some("broken"),
            Expect::Nothing => None,
        }
    }
}

/// The folder of all scenarios.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// The names of all scenarios, sorted.
pub fn names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder())? {
        let entry = entry?;
        if entry.path().join("scenario.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Those of them that are meant: the `few` that say most, or all of them where a test is named or `HOTPATCH_TEST_ALL` is set.
pub fn meant(few: &[&str], is_one_named: bool) -> Result<Vec<String>> {
    let all = is_one_named || std::env::var_os("HOTPATCH_TEST_ALL").is_some();
    let mut names = names()?;
    names.retain(|name| all || few.contains(&name.as_str()));
    Ok(names)
}

/// Reads a scenario.
pub fn read(name: &str) -> Result<Scenario> {
    let path = folder().join(name).join("scenario.toml");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("failed to read `{}`", path.display()))?;
    toml::from_str(&text).with_context(|| format!("in `{}`", path.display()))
}

fn default_manifest() -> String {
    "Cargo.toml".to_owned()
}
