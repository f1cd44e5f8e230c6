//! Commits of the project's repository, and a copy in which one after the other is checked out. The repository itself is
//! only read: `git` does the work, which whoever has a history has.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command::{CancelToken, Tool};

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its hash, in full.
    pub id: String,
    /// The first line of its message.
    pub subject: String,
}

/// The repository that a folder is in.
#[derive(Debug)]
pub struct Repository {
    /// The top of its work tree.
    pub top: PathBuf,
}

impl Repository {
    /// Finds it.
    ///
    /// # Errors
    /// The folder is in none, or there is no `git`.
    pub fn around(folder: &Path, cancel: &CancelToken) -> Result<Self> {
        let top = git(folder, &["rev-parse", "--show-toplevel"], cancel)
            .with_context(|| format!("`{}` has no history in git", folder.display()))?;
        let top = PathBuf::from(top.trim_end_matches('\n')).canonicalize()?;
        Ok(Self { top })
    }

    /// The last `count` commits on the first-parent line, and before them the one that they begin at; oldest first.
    ///
    /// # Errors
    /// There is no commit that has one before it.
    pub fn last(&self, count: u32, cancel: &CancelToken) -> Result<Vec<Commit>> {
        let count = format!("--max-count={}", u64::from(count) + 1);
        let args = ["log", "--first-parent", "--format=%H%x09%s", &count, "HEAD"];
        let text = git(&self.top, &args, cancel)?;
        let commits: Vec<Commit> = text
            .lines()
            .rev()
            .filter_map(|line| line.split_once('\t'))
            .map(|(id, subject)| Commit {
                id: id.to_owned(),
                subject: subject.to_owned(),
            })
            .collect();
        if commits.len() < 2 {
            bail!("`{}` has no commit with one before it", self.top.display());
        }
        Ok(commits)
    }

    /// A copy at this place, in which nothing is checked out yet.
    ///
    /// # Errors
    /// The place cannot be written.
    pub fn copy(&self, place: &Path, cancel: &CancelToken) -> Result<WorkCopy> {
        if place.exists() {
            fs::remove_dir_all(place)
                .with_context(|| format!("failed to remove `{}`", place.display()))?;
        }
        let (from, to) = (self.top.to_string_lossy(), place.to_string_lossy());
        let args = ["clone", "--quiet", "--shared", "--no-checkout", &from, &to];
        git(&self.top, &args, cancel)?;
        Ok(WorkCopy {
            folder: place.to_owned(),
        })
    }
}

/// A folder that holds one commit after the other.
#[derive(Debug)]
pub struct WorkCopy {
    folder: PathBuf,
}

impl WorkCopy {
    /// Where a file of the repository is in the copy.
    #[must_use]
    pub fn place(&self, file: &Path) -> PathBuf {
        self.folder.join(file)
    }

    /// Checks a commit out. What cargo wrote in between, such as `Cargo.lock`, gives way.
    ///
    /// # Errors
    /// git cannot.
    pub fn go_to(&self, commit: &Commit, cancel: &CancelToken) -> Result<()> {
        // Hooks are programs of the user's, for the user's own work tree.
        let args = [
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "advice.detachedHead=false",
            "checkout",
            "--quiet",
            "--force",
            "--detach",
            &commit.id,
        ];
        git(&self.folder, &args, cancel).map(drop)
    }
}

fn git(folder: &Path, args: &[&str], cancel: &CancelToken) -> Result<String> {
    let git = Tool::new("git")
        .args(args)
        .current_dir(folder)
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE");
    Ok(git.run_checked(cancel)?.stdout_text().into_owned())
}

#[cfg(test)]
mod tests {
    use super::{Repository, git};
    use crate::command::CancelToken;

    #[test]
    fn commits_come_oldest_first_and_are_checked_out_over_what_lies_there() {
        let cancel = CancelToken::new();
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("repository");
        std::fs::create_dir(&top).unwrap();
        let run = |args: &[&str]| git(&top, args, &cancel).unwrap();
        run(&["init", "--quiet"]);
        let commit = |subject: &str| {
            let identity = ["-c", "user.name=a", "-c", "user.email=a@b"];
            run(&["add", "--all"]);
            run(&[&identity[..], &["commit", "--quiet", "-m", subject]].concat());
        };
        for text in ["one", "two", "three"] {
            std::fs::write(top.join("file"), text).unwrap();
            if text == "three" {
                std::fs::write(top.join("Cargo.lock"), "of the repository").unwrap();
            }
            commit(text);
        }
        let repository = Repository::around(&top, &cancel).unwrap();
        let commits = repository.last(2, &cancel).unwrap();
        let subjects: Vec<&str> = commits.iter().map(|of| of.subject.as_str()).collect();
        assert_eq!(subjects, ["one", "two", "three"]);
        assert_eq!(repository.last(9, &cancel).unwrap(), commits);

        let copy = repository
            .copy(&folder.path().join("copy"), &cancel)
            .unwrap();
        let read = |name: &str| std::fs::read_to_string(copy.place(name.as_ref())).unwrap();
        copy.go_to(&commits[0], &cancel).unwrap();
        assert_eq!(read("file"), "one");
        std::fs::write(copy.place("Cargo.lock".as_ref()), "of cargo").unwrap();
        std::fs::write(copy.place("file".as_ref()), "of nobody").unwrap();
        copy.go_to(&commits[2], &cancel).unwrap();
        assert_eq!(
            [read("file"), read("Cargo.lock")],
            ["three", "of the repository"]
        );
    }

    #[test]
    fn a_folder_without_a_history_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = Repository::around(folder.path(), &CancelToken::new()).unwrap_err();
        assert!(
            error.to_string().ends_with("has no history in git"),
            "{error}"
        );
    }
}
