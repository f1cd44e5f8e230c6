//! The saves that take one tree of the history to the next.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::replay::copy::{Content, Overlay, Save};
use crate::replay::history::{Change, Entry, History, Kind};
use crate::replay::hunks;

/// One save.
#[derive(Debug)]
pub struct Step {
    /// File and number of the hunk, where hunks are saved one by one.
    pub hunk: Option<String>,
    pub save: Save,
}

/// Whether a file can matter to the program, which is made of `files` if those are known.
pub fn is_inside(path: &str, files: Option<&BTreeSet<String>>, takes_others: bool) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_of_the_build = matches!(
        name,
        "Cargo.toml" | "Cargo.lock" | "build.rs" | "rust-toolchain" | "rust-toolchain.toml"
    ) || path.contains(".cargo/");
    match files {
        // Other paths were asked for by name.
        Some(files) => {
            is_of_the_build || files.contains(path) || takes_others && !path.ends_with(".rs")
        }
        None => true,
    }
}

/// All changes as one save.
pub fn whole(changes: &[Change], overlay: &Overlay, history: &History) -> Result<Step> {
    let save = changes
        .iter()
        .map(|change| {
            let content = overlay.content(&change.path, change.new.as_ref(), history)?;
            Ok((change.path.clone(), content))
        })
        .collect::<Result<Save>>()?;
    Ok(Step { hunk: None, save })
}

/// Each hunk of a file of the program as one save, in the order of files, from top to bottom. Files that are added or
/// that the program is not made of come with the first of them, files that go with the last.
pub fn by_hunks(
    changes: &[Change],
    is_inside: impl Fn(&str) -> bool,
    overlay: &Overlay,
    history: &History,
) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut first, mut last) = (Save::new(), Save::new());
    for change in changes {
        let texts = match (&change.old, &change.new) {
            (Some(old), Some(new)) if is_inside(&change.path) => texts(old, new, history)?,
            _ => None,
        };
        let Some(states) = texts else {
            let content = overlay.content(&change.path, change.new.as_ref(), history)?;
            let list = match content {
                Content::Nothing => &mut last,
                _ => &mut first,
            };
            list.push((change.path.clone(), content));
            continue;
        };
        let count = states.len();
        for (index, state) in states.into_iter().enumerate() {
            let content = Content::File {
                bytes: overlay.laid(&change.path, state.into_bytes()),
                is_program: change
                    .new
                    .as_ref()
                    .is_some_and(|new| new.kind == Kind::Program),
            };
            steps.push(Step {
                hunk: Some(format!("{} {}/{count}", change.path, index + 1)),
                save: vec![(change.path.clone(), content)],
            });
        }
    }
    if steps.is_empty() {
        return Ok(vec![whole(changes, overlay, history)?]);
    }
    if let Some(step) = steps.first_mut() {
        step.save.splice(0..0, first);
    }
    if let Some(step) = steps.last_mut() {
        step.save.extend(last);
    }
    Ok(steps)
}

/// The states of a text file hunk by hunk; none if it is no text or nothing but its mode changes.
fn texts(old: &Entry, new: &Entry, history: &History) -> Result<Option<Vec<String>>> {
    if old.kind == Kind::Link || new.kind == Kind::Link || old.blob == new.blob {
        return Ok(None);
    }
    let (Ok(text), Ok(wanted)) = (
        String::from_utf8(history.blob(&old.blob)?),
        String::from_utf8(history.blob(&new.blob)?),
    ) else {
        return Ok(None);
    };
    let hunks = hunks::split(&history.diff(&old.blob, &new.blob)?)?;
    let states = hunks::states(&text, &hunks)?;
    anyhow::ensure!(
        states.last() == Some(&wanted),
        "the hunks of {} do not make {}",
        old.blob,
        new.blob
    );
    Ok(Some(states))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_is_made_of_is_inside() {
        let files = BTreeSet::from(["src/lib.rs".to_owned()]);
        assert!(is_inside("src/lib.rs", Some(&files), false));
        assert!(is_inside("core/Cargo.toml", Some(&files), false));
        assert!(!is_inside("tests/all.rs", Some(&files), false));
        assert!(!is_inside("src/units.txt", Some(&files), false));
        assert!(is_inside("src/units.txt", Some(&files), true));
        assert!(is_inside("tests/all.rs", None, false));
    }
}
