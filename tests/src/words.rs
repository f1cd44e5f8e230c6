//! The exact words of a verdict at the terminal: `expect/NN.stderr` beside a `scenario.toml`, NN being the
//! number of the edit, is all that the tool says about it. Times are written `N ms`.
//!
//! `HOTPATCH_WRITE_EXPECT=1` writes the files that are there anew; an empty one is a request for its text.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::LIMIT;
use crate::events::Event;
use crate::scenario;
use crate::session::{GLANCE, Session};

/// Has the words written instead of compared.
const WRITE: &str = "HOTPATCH_WRITE_EXPECT";

/// How long the tool must be silent before its words are taken for complete, when they are written down.
const SILENCE: std::time::Duration = std::time::Duration::from_millis(500);

/// The file for an edit, counted from 1, if the scenario has one.
fn expected(scenario: &str, edit: usize) -> Option<PathBuf> {
    let path = scenario::folder()
        .join(scenario)
        .join("expect")
        .join(format!("{edit:02}.stderr"));
    path.is_file().then_some(path)
}

/// Checks what the tool said since it had said `before` bytes.
///
/// An edit without such a file only has its verdict said in full, so that the next one begins after it.
pub fn check(
    session: &Session,
    scenario: &str,
    edit: usize,
    before: usize,
    verdict: &Event,
) -> Result<()> {
    let Some(path) = expected(scenario, edit) else {
        return wait_for_all(session, before, verdict);
    };
    let said = || {
        let text = session.stderr();
        normal(text.get(before..).unwrap_or_default())
    };
    if std::env::var_os(WRITE).is_some() {
        return write(&path, &said);
    }
    let wanted = std::fs::read_to_string(&path)?;
    // What was said before the event may still be on its way through the pipe.
    let start = Instant::now();
    while said() != wanted {
        let is_complete = said().len() >= wanted.len();
        if start.elapsed() >= if is_complete { SILENCE } else { LIMIT } {
            let path = path.display();
            bail!(
                "not the words of `{path}`:\n{}---- but ----\n{wanted}",
                said()
            );
        }
        std::thread::sleep(GLANCE);
    }
    Ok(())
}

fn wait_for_all(session: &Session, before: usize, verdict: &Event) -> Result<()> {
    let (last, count) = match verdict.name() {
        "refused" => ("cargo hotpatch explain", 1),
        "patched" => ("note HP", verdict.list("notes", Some("code"))?.len()),
        _ => return Ok(()),
    };
    let start = Instant::now();
    let said = || {
        session
            .stderr()
            .get(before..)
            .unwrap_or_default()
            .matches(last)
            .count()
    };
    while said() < count {
        if start.elapsed() > LIMIT {
            bail!("the tool did not say all of {verdict}");
        }
        std::thread::sleep(GLANCE);
    }
    Ok(())
}

fn write(path: &Path, said: &dyn Fn() -> String) -> Result<()> {
    let mut text = said();
    loop {
        std::thread::sleep(SILENCE);
        let now = said();
        if now == text {
            break;
        }
        text = now;
    }
    std::fs::write(path, text).with_context(|| format!("failed to write `{}`", path.display()))
}

/// What lines about calls begin with.
const CALLS: [&str; 2] = ["        Live ", "  Not called "];

/// The text with times made equal, without what is said of calls.
fn normal(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        // Said at any time.
        if CALLS.iter().any(|verb| line.starts_with(verb)) {
            continue;
        }
        let time = line.rsplit_once(" in ").and_then(|(head, tail)| {
            let digits = tail.trim_end().strip_suffix(" ms")?;
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then_some(head)
        });
        match time {
            Some(head) => out += &format!("{head} in N ms\n"),
            None => out += line,
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn only_times_are_made_equal() {
        assert_eq!(
            normal(
                "     Patched f (gen 1) in 84 ms\nnote HP0205: futures in 3 ms of code\n  --> a.rs:1\n"
            ),
            "     Patched f (gen 1) in N ms\nnote HP0205: futures in 3 ms of code\n  --> a.rs:1\n"
        );
    }
}
