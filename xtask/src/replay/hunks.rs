//! Takes a difference of two files apart into hunks and applies them one after another. Text in, text out.

use anyhow::{Context, Result, ensure};

/// Lines of the old file that become other lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// How many lines of the old file come before it.
    pub before: usize,
    /// How many lines of the old file go.
    pub removed: usize,
    /// The lines that come, each with its end.
    pub added: Vec<String>,
}

/// The hunks of a unified difference that has no lines around them.
pub fn split(diff: &str) -> Result<Vec<Hunk>> {
    let mut hunks: Vec<Hunk> = Vec::new();
    let (mut removed, mut added) = (0, 0);
    let mut last_was_added = false;
    for line in diff.split_inclusive('\n') {
        // A line of a file may look like a head, so heads count only where no line is due.
        if removed == 0 && added == 0 {
            if let Some(head) = line.strip_prefix("@@ ") {
                let (old, new) = ranges(head).with_context(|| format!("an odd hunk: {line}"))?;
                (removed, added) = (old.1, new.1);
                last_was_added = false;
                hunks.push(Hunk {
                    // Where nothing goes, the number is that of the line before.
                    before: if old.1 == 0 { old.0 } else { old.0 - 1 },
                    removed: old.1,
                    added: Vec::new(),
                });
                continue;
            }
            if !line.starts_with('\\') {
                continue;
            }
        }
        let hunk = hunks.last_mut().context("a line before the first hunk")?;
        match line.as_bytes().first() {
            Some(b'-') => {
                removed -= 1;
                last_was_added = false;
            }
            Some(b'+') => {
                ensure!(added > 0, "a line too many: {line}");
                added -= 1;
                hunk.added.push(line[1..].to_owned());
                last_was_added = true;
            }
            // `\ No newline at end of file`
            Some(b'\\') => {
                let last = hunk.added.last_mut().filter(|_| last_was_added);
                if let Some(last) = last {
                    last.truncate(last.trim_end_matches('\n').len());
                }
            }
            _ => anyhow::bail!("an odd line: {line}"),
        }
    }
    ensure!(removed == 0 && added == 0, "the last hunk is not whole");
    Ok(hunks)
}

/// Line and count of both files.
fn ranges(head: &str) -> Option<((usize, usize), (usize, usize))> {
    let (ranges, _) = head.split_once(" @@")?;
    let (old, new) = ranges.split_once(' ')?;
    Some((
        range(old.strip_prefix('-')?)?,
        range(new.strip_prefix('+')?)?,
    ))
}

fn range(text: &str) -> Option<(usize, usize)> {
    match text.split_once(',') {
        Some((line, count)) => Some((line.parse().ok()?, count.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    }
}

/// The file as it is after the first hunk, after the second, and so on; the last is the new file.
pub fn states(old: &str, hunks: &[Hunk]) -> Result<Vec<String>> {
    (1..=hunks.len())
        .map(|count| apply(old, &hunks[..count]))
        .collect()
}

/// Applies hunks, which must be in the order of their lines.
fn apply(old: &str, hunks: &[Hunk]) -> Result<String> {
    let lines: Vec<&str> = old.split_inclusive('\n').collect();
    let mut text = String::new();
    let mut at = 0;
    for hunk in hunks {
        let kept = lines.get(at..hunk.before);
        text.extend(kept.context("a hunk outside of its file")?.iter().copied());
        text.extend(hunk.added.iter().map(String::as_str));
        at = hunk.before + hunk.removed;
    }
    let kept = lines.get(at..).context("a hunk outside of its file")?;
    text.extend(kept.iter().copied());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "one\ntwo\nthree\nfour\nfive\n";

    #[test]
    fn hunks_are_applied_from_top_to_bottom() {
        let diff = "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n\
                    @@ -0,0 +1,2 @@\n+zero\n+half\n@@ -2 +4 @@ fn context()\n-two\n+TWO\n\
                    @@ -4,2 +5,0 @@\n-four\n-five\n";
        let hunks = split(diff).unwrap();
        assert_eq!(hunks.len(), 3);
        assert_eq!(hunks[1].before, 1);
        let states = states(OLD, &hunks).unwrap();
        assert_eq!(
            states,
            [
                "zero\nhalf\none\ntwo\nthree\nfour\nfive\n",
                "zero\nhalf\none\nTWO\nthree\nfour\nfive\n",
                "zero\nhalf\none\nTWO\nthree\n"
            ]
        );
    }

    #[test]
    fn lines_that_look_like_heads_are_lines() {
        let diff =
            "--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n--- a\n+@@ -1 +1 @@\n+++ b\n@@ -3 +4 @@\n-c\n+d\n";
        let hunks = split(diff).unwrap();
        assert_eq!(hunks[0].added, ["@@ -1 +1 @@\n", "++ b\n"]);
        let states = states("-- a\nb\nc\n", &hunks).unwrap();
        assert_eq!(states[1], "@@ -1 +1 @@\n++ b\nb\nd\n");
    }

    #[test]
    fn the_end_of_a_file_may_have_no_line_end() {
        let diff =
            "@@ -2 +2 @@\n-b\n\\ No newline at end of file\n+c\n\\ No newline at end of file\n";
        let hunks = split(diff).unwrap();
        assert_eq!(states("a\nb", &hunks).unwrap(), ["a\nc"]);
        let hunks = split("@@ -2 +2 @@\n-b\n\\ No newline at end of file\n+b\n").unwrap();
        assert_eq!(states("a\nb", &hunks).unwrap(), ["a\nb\n"]);
        let hunks = split("@@ -2 +2 @@\n-b\n+b\n\\ No newline at end of file\n").unwrap();
        assert_eq!(states("a\nb\n", &hunks).unwrap(), ["a\nb"]);
    }

    #[test]
    fn a_hunk_that_does_not_fit_is_an_error() {
        assert!(states("a\n", &split("@@ -3 +3 @@\n-b\n+c\n").unwrap()).is_err());
        assert!(split("@@ -1,2 +1 @@\n-b\n+c\n").is_err());
        assert!(split("@@ nonsense @@\n").is_err());
    }
}
