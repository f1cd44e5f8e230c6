//! Reads commits, trees and files of a git repository. Nothing here writes to it.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use hotpatch_tests::workspace::{command, shown};

/// What a build may be made of. The dependency information of a real build says more.
const PATHS: [&str; 6] = [
    "*.rs",
    "*Cargo.toml",
    "*Cargo.lock",
    "*.cargo/config.toml",
    "rust-toolchain",
    "rust-toolchain.toml",
];

/// A repository that is only read.
#[derive(Debug)]
pub struct History {
    repository: PathBuf,
}

/// One step of the history.
#[derive(Debug, Clone)]
pub struct Commit {
    pub id: String,
    pub parent: String,
    pub subject: String,
}

/// A file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    pub blob: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Program,
    Link,
}

/// The files of a commit by their path.
pub type Tree = BTreeMap<String, Entry>;

/// A file that is not the same in two trees.
#[derive(Debug, Clone)]
pub struct Change {
    pub path: String,
    pub old: Option<Entry>,
    pub new: Option<Entry>,
}

impl History {
    pub fn open(repository: &Path) -> Result<Self> {
        let repository = repository
            .canonicalize()
            .with_context(|| format!("there is no `{}`", repository.display()))?;
        let history = Self { repository };
        history.text(&["rev-parse", "--git-dir"])?;
        Ok(history)
    }

    /// The name of the repository's folder.
    pub fn name(&self) -> String {
        self.repository.display().to_string()
    }

    /// The commits of the first-parent line that change what a build may be made of, oldest first. `more` are further
    /// paths that count.
    pub fn commits(
        &self,
        range: &str,
        last: Option<usize>,
        more: &[String],
    ) -> Result<Vec<Commit>> {
        let last = last.map(|last| format!("--max-count={last}"));
        let mut args = vec!["log", "--first-parent", "--format=%H%x09%P%x09%s"];
        args.extend(last.as_deref());
        args.extend([range, "--"]);
        args.extend(PATHS);
        args.extend(more.iter().map(String::as_str));
        let text = self.text(&args)?;
        let mut commits = Vec::new();
        for line in text.lines().rev() {
            let mut fields = line.splitn(3, '\t');
            let (Some(id), Some(parents), Some(subject)) =
                (fields.next(), fields.next(), fields.next())
            else {
                bail!("git said `{line}`");
            };
            // The first commit of all has nothing before it to start at.
            if let Some(parent) = parents.split(' ').next().filter(|id| !id.is_empty()) {
                commits.push(Commit {
                    id: id.to_owned(),
                    parent: parent.to_owned(),
                    subject: subject.to_owned(),
                });
            }
        }
        Ok(commits)
    }

    /// The files of a commit. Submodules are left out.
    pub fn tree(&self, commit: &str) -> Result<Tree> {
        let text = self.text(&["ls-tree", "-r", "-z", "--full-tree", commit])?;
        let mut tree = Tree::new();
        for line in text.split('\0').filter(|line| !line.is_empty()) {
            let (about, path) = line.split_once('\t').context("git lists no path")?;
            let mut about = about.split(' ');
            let kind = match about.next() {
                Some("120000") => Kind::Link,
                Some("100755") => Kind::Program,
                Some("160000") => continue,
                _ => Kind::File,
            };
            let blob = about.nth(1).context("git lists no file")?.to_owned();
            tree.insert(path.to_owned(), Entry { kind, blob });
        }
        Ok(tree)
    }

    /// The contents of files.
    pub fn blobs(&self, ids: &[&str]) -> Result<HashMap<String, Vec<u8>>> {
        let mut input = ids.join("\n");
        input.push('\n');
        let mut git = self.git(&["cat-file", "--batch"]);
        let mut child = git
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("failed to start git")?;
        let mut pipe = child.stdin.take().context("git takes no input")?;
        // It answers while it is asked: whoever asks all first waits forever.
        let asking = thread::spawn(move || pipe.write_all(input.as_bytes()));
        let output = child.wait_with_output().context("failed to read git")?;
        let asked = asking.join().is_ok_and(|asked| asked.is_ok());
        ensure!(asked && output.status.success(), "git cannot read files");
        let mut rest = output.stdout.as_slice();
        let mut blobs = HashMap::new();
        for id in ids {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (head, tail) = rest.split_at(end.context("git says too little")?);
            let head = String::from_utf8_lossy(head);
            let size = head.rsplit(' ').next().and_then(|size| size.parse().ok());
            let size: usize = size.with_context(|| format!("git has no such file: {head}"))?;
            // The contents are between two line ends.
            let bytes = tail.get(1..=size).context("git says too little")?;
            blobs.insert((*id).to_owned(), bytes.to_vec());
            rest = tail.get(size + 2..).unwrap_or_default();
        }
        Ok(blobs)
    }

    /// The contents of one file.
    pub fn blob(&self, id: &str) -> Result<Vec<u8>> {
        let mut blobs = self.blobs(&[id])?;
        blobs.remove(id).context("git has no such file")
    }

    /// The difference of two files, without lines around it.
    pub fn diff(&self, old: &str, new: &str) -> Result<String> {
        self.text(&[
            "diff",
            "--unified=0",
            "--no-color",
            "--no-ext-diff",
            "--text",
            old,
            new,
        ])
    }

    fn text(&self, args: &[&str]) -> Result<String> {
        let mut git = self.git(args);
        let output = git.stdin(Stdio::null()).output();
        let output = output.context("failed to start git")?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("{} failed: {}", shown(&git), errors.trim_end());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn git(&self, args: &[&str]) -> Command {
        let mut git = command("git");
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            git.env_remove(name);
        }
        git.arg("-C").arg(&self.repository).args(args);
        git
    }
}

/// What is not the same, in the order of paths.
pub fn changes(old: &Tree, new: &Tree) -> Vec<Change> {
    let mut changes = BTreeMap::new();
    for path in old.keys().chain(new.keys()) {
        let (old, new) = (old.get(path), new.get(path));
        if old != new {
            let change = Change {
                path: path.clone(),
                old: old.cloned(),
                new: new.cloned(),
            };
            changes.insert(path.clone(), change);
        }
    }
    changes.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let entry = |blob: &str| Entry {
            kind: Kind::File,
            blob: blob.to_owned(),
        };
        let files = files.iter();
        files
            .map(|(path, blob)| ((*path).to_owned(), entry(blob)))
            .collect()
    }

    #[test]
    fn changes_are_files_added_removed_and_written_anew() {
        let old = tree(&[("a", "1"), ("b", "1"), ("d", "1")]);
        let new = tree(&[("a", "1"), ("b", "2"), ("c", "1")]);
        let changes = changes(&old, &new);
        let told: Vec<_> = changes
            .iter()
            .map(|change| {
                (
                    change.path.as_str(),
                    change.old.is_some(),
                    change.new.is_some(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [("b", true, true), ("c", false, true), ("d", true, false)]
        );
    }
}
