//! What comes of an edit, and how it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::model::{Kind, Model, Role};
use super::oracle::State;

/// What came of an edit.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The verdict, a refusal's by its code.
    pub verdict: String,
    /// What was wrong.
    pub finding: Option<String>,
    /// What the generator should not have made.
    pub invalid: Option<String>,
    /// Replies that were compared, and those that a note excused.
    pub compared: (u32, u32),
    /// Codes of the notes.
    pub notes: Vec<String>,
    /// Why it was refused, without names and numbers.
    pub reason: String,
    /// Seconds until the verdict, and until it was judged.
    pub took: (f64, f64),
}

impl Outcome {
    /// One of which nothing is known but the verdict.
    pub fn new(verdict: &str) -> Outcome {
        Outcome {
            verdict: verdict.to_owned(),
            finding: None,
            invalid: None,
            compared: (0, 0),
            notes: Vec::new(),
            reason: String::new(),
            took: (0.0, 0.0),
        }
    }
}

/// What valgrind complains about.
pub fn complaints(log: &Path) -> Result<Option<String>> {
    let text = fs::read_to_string(log)
        .with_context(|| format!("no log of valgrind in `{}`", log.display()))?;
    ensure!(text.contains("Memcheck"), "valgrind did not run: {text}");
    let mut found: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("Warning: set address range"))
        .collect();
    found.retain(|line| {
        line.contains("Invalid") || line.contains("uninitialised") || line.contains("mismatch")
    });
    Ok((!found.is_empty()).then(|| format!("valgrind complains:\n{text}")))
}

/// The names of all commands that run code of the program.
pub fn commands(model: &Model) -> Vec<String> {
    let wanted = model.select(|item| {
        matches!(&item.kind, Kind::Function(f) if matches!(f.role, Role::Entry | Role::Cold))
    });
    wanted
        .iter()
        .map(|id| model.items[id].name.clone())
        .collect()
}

/// The entries in which two states differ.
pub fn difference(now: &State, wanted: &State) -> String {
    let (now, wanted): (BTreeMap<_, _>, BTreeMap<_, _>) = (now.entries(), wanted.entries());
    let names: BTreeSet<&String> = now.keys().chain(wanted.keys()).collect();
    let differing = names
        .into_iter()
        .filter(|name| now.get(*name) != wanted.get(*name));
    let lines: Vec<String> = differing
        .map(|name| {
            format!(
                "{name}: {:?}, by a fresh build {:?}",
                now.get(name),
                wanted.get(name)
            )
        })
        .collect();
    lines.join("; ")
}
