//! The `--events` file of a session, read while it grows.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// The events of which exactly one follows each save.
pub const VERDICTS: [&str; 4] = ["patched", "unchanged", "refused", "broken"];

/// One line of the events file.
#[derive(Clone, Debug)]
pub struct Event(Value);

impl Event {
    /// Its `event` field.
    pub fn name(&self) -> &str {
        self.text("event")
    }

    /// Whether it answers a save.
    pub fn is_verdict(&self) -> bool {
        VERDICTS.contains(&self.name())
    }

    /// Whether the fast lane made this patch, so that the exact lane's word on it follows.
    pub fn is_ahead(&self) -> bool {
        self.text("lane") == "fast"
    }

    /// Whether `prepared` follows.
    pub fn precedes_prepared(&self) -> bool {
        self.name() == "ready" || self.field("preparing").as_bool() == Some(true)
    }

    /// A field, `null` where there is none.
    pub fn field(&self, name: &str) -> &Value {
        &self.0[name]
    }

    /// A text field, empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// A whole number.
    pub fn number(&self, name: &str) -> Result<u64> {
        self.0[name]
            .as_u64()
            .with_context(|| format!("`{name}` is no number in {}", self.0))
    }

    /// A list of texts, such as `functions`, or of one field of a list of objects, such as `notes` by `code`.
    pub fn list(&self, name: &str, key: Option<&str>) -> Result<Vec<String>> {
        let list = self.0[name].as_array();
        let list = list.with_context(|| format!("`{name}` is no list in {}", self.0))?;
        let texts = list.iter().map(|item| match key {
            Some(key) => item[key].as_str(),
            None => item.as_str(),
        });
        let texts: Option<Vec<&str>> = texts.collect();
        let texts = texts.with_context(|| format!("`{name}` holds something odd in {}", self.0))?;
        Ok(texts.into_iter().map(str::to_owned).collect())
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(out)
    }
}

/// A reader of the file that remembers how far it got.
pub struct EventLog {
    path: PathBuf,
    read_to: u64,
    pending: Vec<u8>,
}

impl EventLog {
    /// A reader of `path`, which need not exist yet.
    pub fn new(path: &Path) -> EventLog {
        EventLog {
            path: path.to_owned(),
            read_to: 0,
            pending: Vec::new(),
        }
    }

    /// The next whole line, if there is one by now.
    pub fn poll(&mut self) -> Result<Option<Event>> {
        if !self.pending.contains(&b'\n')
            && let Ok(mut file) = std::fs::File::open(&self.path)
        {
            file.seek(SeekFrom::Start(self.read_to))?;
            self.read_to += file.read_to_end(&mut self.pending)? as u64;
        }
        let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let line: Vec<u8> = self.pending.drain(..=end).collect();
        let line = String::from_utf8_lossy(&line);
        let value: Value = serde_json::from_str(&line)
            .with_context(|| format!("a line of the events file is not JSON: {line}"))?;
        anyhow::ensure!(
            value["event"].is_string(),
            "a line of the events file has no `event`: {line}"
        );
        anyhow::ensure!(
            value["time"].is_number(),
            "a line of the events file has no `time`: {line}"
        );
        Ok(Some(Event(value)))
    }

    /// The whole file, to show when a test fails.
    pub fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap_or_default()
    }
}
