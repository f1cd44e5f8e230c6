//! Each code that the tool has is shown by a scenario, word for word.

use std::fs;

use anyhow::{Context, Result, ensure};
use hotpatch_tests::scenario;
use hotpatch_tests::workspace::root;

/// Codes that no scenario can produce, each with the reason.
const ELSEWHERE: [(&str, &str); 1] = [(
    "HP0403",
    "ends a session at its start, when another program answers than the one that was started",
)];

/// The codes in the table of `docs/codes.md`, which a test of the tool compares with its own.
fn codes() -> Result<Vec<String>> {
    let page = fs::read_to_string(root().join("docs/codes.md"))?;
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ["));
    Ok(rows
        .filter_map(|row| Some(row.split_once(']')?.0.to_owned()))
        .collect())
}

#[test]
fn every_code_is_shown_by_a_scenario() -> Result<()> {
    let mut words = String::new();
    for name in scenario::names()? {
        let folder = scenario::folder().join(name).join("expect");
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry?.path();
            let text = fs::read_to_string(&path)
                .with_context(|| format!("failed to read `{}`", path.display()))?;
            ensure!(!text.is_empty(), "`{}` says nothing", path.display());
            words += &text;
        }
    }
    let codes = codes()?;
    ensure!(codes.len() > 10, "the table was not found: {codes:?}");
    for code in codes {
        let is_shown = ["refused", "note"]
            .iter()
            .any(|kind| words.contains(&format!("{kind} {code}: ")));
        let is_elsewhere = ELSEWHERE.iter().any(|(known, _)| *known == code);
        ensure!(
            is_shown != is_elsewhere,
            "{code}: no `expect/*.stderr` has it, or it is listed and has one"
        );
    }
    Ok(())
}
