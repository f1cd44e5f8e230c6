//! Rules of this workspace's sources that neither the compiler nor clippy checks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hotpatch_tests::workspace::root;

/// The crates of the workspace.
const CRATES: [&str; 5] = [
    "cargo-hotpatch",
    "hotpatch-macros",
    "hotpatch-rt",
    "tests",
    "xtask",
];

/// The only crate that may contain `unsafe` code.
const UNSAFE_CRATE: &str = "hotpatch-rt";

/// The only files of the tool, the macros and the runtime that start other programs.
const STARTS_PROGRAMS: [&str; 4] = ["command.rs", "child.rs", "capture.rs", "launcher.rs"];

/// The only folder of the tool that writes to the terminal.
const WRITES_TO_TERMINAL: &str = "cargo-hotpatch/src/ui";

/// How long a file may be, without its unit tests, before it surely holds two things.
const LONGEST_FILE: usize = 600;

/// Longer files, each with its reason.
const LONGER_FILES: [(&str, &str); 0] = [];

/// How long the overview may be and still be read.
const LONGEST_OVERVIEW: usize = 150;

/// The same of the first page.
const LONGEST_README: usize = 200;

/// Names of files that hold unit tests and what those need.
const TEST_FILES: [&str; 2] = ["tests.rs", "samples.rs"];

/// A Rust file of the workspace.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Its path from the workspace's root.
    fn name(&self) -> String {
        let path = self.path.strip_prefix(root()).unwrap_or(&self.path);
        path.to_string_lossy().into_owned()
    }

    /// Whether it holds nothing but unit tests.
    fn is_test(&self) -> bool {
        self.path
            .file_name()
            .is_some_and(|name| TEST_FILES.iter().any(|listed| name == *listed))
    }

    /// How many lines it has before its unit tests.
    fn length(&self) -> usize {
        self.before_tests().lines().count()
    }

    /// Its text without the unit tests at its end.
    fn before_tests(&self) -> &str {
        let marks = self
            .text
            .match_indices("\n#[cfg(test)]\n")
            .map(|(at, _)| at);
        let mut tests = marks.filter(|at| {
            let mut lines = self.text[at + 1..]
                .lines()
                .skip_while(|line| line.starts_with("#["));
            lines
                .next()
                .is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
        });
        &self.text[..tests.next().unwrap_or(self.text.len())]
    }

    /// Its lines of code with their numbers, without comments and unit tests.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.before_tests().lines().enumerate();
        lines
            .map(|(index, line)| (index + 1, line.trim()))
            .filter(|(_, line)| !line.starts_with("//"))
    }
}

/// The Rust files below a folder.
fn sources(folder: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder)? {
            if path.is_dir() {
                folders.push(path);
            } else if is_rust(&path) {
                let text = fs::read_to_string(&path)?;
                sources.push(Source { path, text });
            }
        }
    }
    ensure!(
        !sources.is_empty(),
        "there is no source in `{}`",
        folder.display()
    );
    Ok(sources)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder);
    let entries = entries.with_context(|| format!("failed to read `{}`", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

/// The sources of all crates and of their tests, without the programs and cases that tests read.
fn all_sources() -> Result<Vec<Source>> {
    let mut all = Vec::new();
    for krate in CRATES {
        let krate = root().join(krate);
        all.extend(sources(&krate.join("src"))?);
        let tests = krate.join("tests");
        let tests = if tests.is_dir() {
            entries(&tests)?
        } else {
            Vec::new()
        };
        for path in tests.into_iter().filter(|path| is_rust(path)) {
            let text = fs::read_to_string(&path)?;
            all.push(Source { path, text });
        }
    }
    Ok(all)
}

/// Whether a line contains this very name, not a longer one that ends with it.
fn calls(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        !line[..at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_')
    })
}

/// Fails with all findings at once.
fn report(rule: &str, findings: Vec<String>) -> Result<()> {
    ensure!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
    Ok(())
}

#[test]
fn only_the_runtime_contains_unsafe_code() -> Result<()> {
    let mut findings = Vec::new();
    for krate in CRATES.into_iter().filter(|krate| *krate != UNSAFE_CRATE) {
        for source in sources(&root().join(krate).join("src"))? {
            let folder = source
                .path
                .parent()
                .and_then(Path::file_name)
                .unwrap_or_default();
            let is_root = source.path.ends_with("src/lib.rs")
                || source.path.ends_with("src/main.rs")
                || folder == "bin";
            if is_root && !source.text.contains("\n#![forbid(unsafe_code)]\n") {
                findings.push(source.name());
            }
        }
    }
    report("these crate roots lack `#![forbid(unsafe_code)]`", findings)
}

#[test]
fn few_files_start_programs() -> Result<()> {
    let mut findings = Vec::new();
    for krate in ["cargo-hotpatch", "hotpatch-macros", "hotpatch-rt"] {
        for source in sources(&root().join(krate).join("src"))? {
            let listed = STARTS_PROGRAMS
                .iter()
                .any(|listed| source.path.ends_with(listed));
            if !listed && !source.is_test() {
                let starts = source
                    .code()
                    .filter(|(_, line)| calls(line, "Command::new("));
                findings.extend(starts.map(|(number, _)| format!("{}:{number}", source.name())));
            }
        }
    }
    report(
        &format!("programs are started in {STARTS_PROGRAMS:?} only"),
        findings,
    )
}

#[test]
fn only_the_user_interface_writes_to_the_terminal() -> Result<()> {
    const WRITERS: [&str; 5] = ["println!(", "eprintln!(", "print!(", "eprint!(", "dbg!("];
    let mut findings = Vec::new();
    for source in sources(&root().join("cargo-hotpatch/src"))? {
        if !source.path.starts_with(root().join(WRITES_TO_TERMINAL)) && !source.is_test() {
            let writes = source
                .code()
                .filter(|(_, line)| WRITERS.iter().any(|writer| calls(line, writer)));
            findings.extend(writes.map(|(number, _)| format!("{}:{number}", source.name())));
        }
    }
    report(
        &format!("what the user reads is written in `{WRITES_TO_TERMINAL}`"),
        findings,
    )
}

#[test]
fn every_file_says_what_it_is_for() -> Result<()> {
    let sources = all_sources()?;
    let silent = sources
        .iter()
        .filter(|source| !source.text.starts_with("//! "));
    report(
        "a file starts with `//!` and its purpose",
        silent.map(Source::name).collect(),
    )
}

#[test]
fn no_file_is_too_long() -> Result<()> {
    let mut findings = Vec::new();
    for source in all_sources()? {
        let lines = source.length();
        let listed = LONGER_FILES.iter().any(|(name, _)| *name == source.name());
        if lines > LONGEST_FILE && !listed {
            findings.push(format!(
                "{} has {lines} lines: move one of its jobs out",
                source.name()
            ));
        } else if lines <= LONGEST_FILE && listed {
            findings.push(format!("{} needs its exception no more", source.name()));
        }
    }
    report(
        &format!("a file has at most {LONGEST_FILE} lines"),
        findings,
    )
}

#[test]
fn nothing_is_left_to_do_without_a_name() -> Result<()> {
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    let mut findings = Vec::new();
    for source in all_sources()? {
        for (index, line) in source.text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark.as_str())) {
                findings.push(format!("{}:{}", source.name(), index + 1));
            }
        }
    }
    report("open work belongs into an issue", findings)
}

#[test]
fn the_overview_is_short_and_its_paths_exist() -> Result<()> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).context("ARCHITECTURE.md")?;
    let lines = text.lines().count();
    ensure!(
        lines <= LONGEST_OVERVIEW,
        "ARCHITECTURE.md has {lines} lines, not {LONGEST_OVERVIEW}"
    );
    let mut findings = Vec::new();
    for word in text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| is_path(word))
    {
        let beside_sources = CRATES
            .iter()
            .flat_map(|krate| [format!("{krate}/src"), (*krate).to_owned()]);
        let mut places = beside_sources.chain([String::new()]);
        if !places.any(|place| root().join(place).join(word).exists()) {
            findings.push(word.to_owned());
        }
    }
    report("ARCHITECTURE.md names what is not there", findings)
}

#[test]
fn every_link_leads_somewhere_and_every_page_is_in_the_book() -> Result<()> {
    let docs = root().join("docs");
    let pages = fs::read_dir(&docs)?.map(|entry| Ok(entry?.path()));
    let pages: Vec<PathBuf> = pages.collect::<Result<_>>()?;
    let summary = fs::read_to_string(docs.join("SUMMARY.md"))?;
    let mut findings = Vec::new();
    for page in &pages {
        let name = page.file_name().unwrap_or_default().to_string_lossy();
        if name != "SUMMARY.md" && !summary.contains(&format!("]({name})")) {
            findings.push(format!("docs/{name} is not in docs/SUMMARY.md"));
        }
    }
    let others = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];
    for page in pages
        .into_iter()
        .chain(others.map(|name| root().join(name)))
    {
        let text = fs::read_to_string(&page)?;
        let folder = page.parent().context("a page without a folder")?;
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..]
                .split([')', '#', '\n'])
                .next()
                .unwrap_or_default();
            let is_elsewhere = target.is_empty() || target.contains("://");
            if !is_elsewhere && !folder.join(target).exists() {
                findings.push(format!("{} links to `{target}`", page.display()));
            }
        }
    }
    let lines = fs::read_to_string(root().join("README.md"))?
        .lines()
        .count();
    ensure!(lines < LONGEST_README, "README.md has {lines} lines");
    report("a link leads nowhere", findings)
}

/// Whether a word in code type is meant as a path of this workspace.
fn is_path(word: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    let file = [".rs", ".md", ".toml"]
        .iter()
        .any(|extension| word.ends_with(extension));
    let foreign = word.starts_with("target/") || word.starts_with('/') || word.starts_with('.');
    (file || word.contains('/')) && word.chars().all(plain) && !foreign
}

#[test]
fn programs_under_test_have_names_of_their_own() -> Result<()> {
    let mut names: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut folders = vec![
        root().join("tests/scenarios"),
        root().join("tests/programs"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("Cargo.toml") {
                let manifest: toml::Table = toml::from_str(&fs::read_to_string(&path)?)?;
                let name = manifest
                    .get("package")
                    .and_then(|package| package["name"].as_str());
                if let Some(other) =
                    name.and_then(|name| names.insert(name.to_owned(), path.clone()))
                {
                    anyhow::bail!(
                        "`{}` and `{}` share a name",
                        path.display(),
                        other.display()
                    );
                }
            }
        }
    }
    Ok(())
}
