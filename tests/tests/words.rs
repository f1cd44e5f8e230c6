//! Each code that the tool has is shown word for word: by a scenario, or by another test.

use std::fs;

use anyhow::{Context, Result, ensure};
use hotpatch_tests::scenario;
use hotpatch_tests::workspace::root;

/// Codes that no scenario can produce, as it takes more than an edit, each with the test file that has its words.
const ELSEWHERE: [(&str, &str); 4] = [
    ("HP0001", "tests/tests/starting.rs"),
    ("HP0207", "tests/tests/inside.rs"),
    ("HP0208", "tests/tests/guard.rs"),
    ("HP0403", "tests/tests/starting.rs"),
];

/// The codes in the table of `docs/codes.md`, which a test of the tool compares with its own.
fn codes() -> Result<Vec<String>> {
    let page = fs::read_to_string(root().join("docs/codes.md"))?;
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ["));
    let rows = rows.filter(|row| !row.contains("no longer given"));
    Ok(rows
        .filter_map(|row| Some(row.split_once(']')?.0.to_owned()))
        .collect())
}

#[test]
fn every_code_is_shown_word_for_word() -> Result<()> {
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
    ensure!(codes.len() > 9, "the table was not found: {codes:?}");
    for code in codes {
        let is_shown = ["refused", "note"]
            .iter()
            .any(|kind| words.contains(&format!("{kind} {code}: ")));
        let elsewhere = ELSEWHERE.iter().find(|(known, _)| *known == code);
        ensure!(
            is_shown != elsewhere.is_some(),
            "{code}: no `expect/*.stderr` has it, or it is listed and has one"
        );
        if let Some((_, file)) = elsewhere {
            let text = fs::read_to_string(root().join(file))?;
            ensure!(
                text.contains(&format!("\nrefused {code}: ")),
                "`{file}` does not have the words of {code}"
            );
        }
    }
    Ok(())
}
