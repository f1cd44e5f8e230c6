//! What libtest writes, read as it comes. Its form for people is the only one that stable has.

use std::collections::BTreeMap;

use anstream::adapter::strip_str;

use crate::ui::events::FailedTest;

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Output {
    unread: Vec<u8>,
    /// How each test ended that has.
    pub(super) ended: BTreeMap<String, Ended>,
    /// The counts of libtest's own last line.
    pub(super) counts: Option<Counts>,
    /// What failing tests wrote.
    said: BTreeMap<String, String>,
    /// The failing test whose words are being read.
    saying: Option<String>,
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Passed,
    Failed,
    Ignored,
}

/// What libtest counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) ignored: usize,
}

impl Output {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            self.line(
                strip_str(line.trim_end_matches(['\n', '\r']))
                    .to_string()
                    .as_str(),
            );
        }
    }

    fn line(&mut self, line: &str) {
        if let Some(name) = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"))
        {
            self.saying = Some(name.to_owned());
            return;
        }
        if line == "failures:" {
            self.saying = None;
            return;
        }
        if let Some(name) = &self.saying {
            let said = self.said.entry(name.clone()).or_default();
            said.push_str(line);
            said.push('\n');
            return;
        }
        if let Some(counts) = line.strip_prefix("test result: ").and_then(counts) {
            self.counts = Some(counts);
        } else if let Some((name, ended)) = line.strip_prefix("test ").and_then(ended) {
            self.ended.insert(name, ended);
        }
    }

    /// The tests that failed, with what they wrote.
    pub(super) fn failed(&self) -> Vec<FailedTest> {
        let failed = self.ended.iter().filter(|(_, how)| **how == Ended::Failed);
        let failed = failed.map(|(name, _)| {
            let output = self.said.get(name).cloned().unwrap_or_default();
            let output = output.trim().to_owned();
            let (file, line) = panicked_at(&output).unzip();
            FailedTest {
                name: name.clone(),
                file,
                line,
                output,
            }
        });
        failed.collect()
    }

    /// Libtest's own counts, or what was seen of a program that has none.
    pub(super) fn counts(&self) -> Counts {
        self.counts.unwrap_or_else(|| {
            let count = |how| self.ended.values().filter(|ended| **ended == how).count();
            Counts {
                passed: count(Ended::Passed),
                failed: count(Ended::Failed),
                ignored: count(Ended::Ignored),
            }
        })
    }
}

/// `module::name ... ok`, with what libtest says of a test between these.
fn ended(rest: &str) -> Option<(String, Ended)> {
    let (name, how) = rest.rsplit_once(" ... ")?;
    let how = match how.trim() {
        how if how == "ok" || how.starts_with("ok <") => Ended::Passed,
        how if how.starts_with("FAILED") => Ended::Failed,
        how if how.starts_with("ignored") => Ended::Ignored,
        _ => return None,
    };
    // `name - should panic`
    let name = name.split(" - ").next().unwrap_or(name);
    Some((name.trim().to_owned(), how))
}

/// `ok. 3 passed; 0 failed; 1 ignored; ...`
fn counts(rest: &str) -> Option<Counts> {
    let (_, rest) = rest.split_once(". ")?;
    let mut counts = Counts::default();
    for part in rest.split("; ") {
        let (number, what) = part.split_once(' ')?;
        let number: usize = match number.parse() {
            Ok(number) => number,
            // The time that it took.
            Err(_) => continue,
        };
        match what {
            "passed" => counts.passed = number,
            "failed" => counts.failed = number,
            "ignored" => counts.ignored = number,
            _ => {}
        }
    }
    Some(counts)
}

/// Where the first panic in a test's words was: `thread 'name' panicked at src/lib.rs:3:5:`.
fn panicked_at(output: &str) -> Option<(String, u32)> {
    let (_, place) = output.split_once(" panicked at ")?;
    let place = place.lines().next()?.trim_end_matches(':');
    let mut parts = place.rsplitn(3, ':');
    let (_column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
    Some((file.to_owned(), line.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "
running 4 tests
test one ... \u{1b}[32mok\u{1b}[m
test deep::two ... FAILED
test three ... ignored, too slow
test four - should panic ... ok

failures:

---- deep::two stdout ----

thread 'deep::two' (12) panicked at src/lib.rs:7:9:
assertion `left == right` failed
test like ... ok

failures:
    deep::two

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 5 filtered out; finished in 0.01s

";

    #[test]
    fn what_libtest_writes_is_read_in_any_pieces() {
        for size in [1, 7, SAID.len()] {
            let mut output = Output::default();
            for piece in SAID.as_bytes().chunks(size) {
                output.take(piece);
            }
            let ended: Vec<(&str, Ended)> = output
                .ended
                .iter()
                .map(|(name, how)| (name.as_str(), *how))
                .collect();
            assert_eq!(
                ended,
                [
                    ("deep::two", Ended::Failed),
                    ("four", Ended::Passed),
                    ("one", Ended::Passed),
                    ("three", Ended::Ignored),
                ]
            );
            let counts = Counts {
                passed: 2,
                failed: 1,
                ignored: 1,
            };
            assert_eq!(output.counts(), counts);
            let failed = output.failed();
            assert_eq!(failed.len(), 1);
            assert_eq!(failed[0].file.as_deref(), Some("src/lib.rs"));
            assert_eq!(failed[0].line, Some(7));
            assert!(failed[0].output.ends_with("test like ... ok"));
        }
    }
}
