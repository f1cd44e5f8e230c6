//! Watches the folders of the user's packages and tells what was saved.
//!
//! Folders, not files: a save by rename ends a watch on the file itself. It uses notify's inotify backend directly: a
//! debouncer waits a fixed time after every event, while inotify says when a file was closed, which is when a save is
//! over. Folders are watched one by one, so that none in a target folder is, and a folder that appears later is searched
//! after its watch is set, so that no file in it is missed. When a save is over is for [`Settling`] to say, which has no
//! clock and no file system. Whether a file's content changed is for the receiver to find out.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Event, EventKind, INotifyWatcher, RecursiveMode, Watcher as _};

use super::fence::Fence;
use super::watchlist::Visit;
pub use super::watchlist::Watchlist;

/// After the last file of a save was finished, how long to wait for another one.
pub const GRACE: Duration = Duration::from_millis(8);
/// How long a file that was written to may stay open.
pub const OPEN_LIMIT: Duration = Duration::from_millis(100);
/// How long a file that was emptied may stay empty: its writer, which saves in place, is being held up.
pub const EMPTY_LIMIT: Duration = Duration::from_millis(800);
/// How long a file may be away: editors that save by renaming take the old one away first.
pub const GONE_LIMIT: Duration = Duration::from_millis(60);
/// How long a change may take to settle in all, when something writes without pause.
pub const TOTAL_LIMIT: Duration = Duration::from_secs(1);

/// How often a root that was removed is looked for again.
const RETURN_POLL: Duration = Duration::from_millis(300);

/// What the watcher says.
#[derive(Debug)]
pub enum Watched {
    /// Files were saved.
    Change(Change),
    /// A part of the project can no longer be watched; the rest still is.
    Failed(WatchError),
}

/// Why a folder cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The user's limit of watched folders is used up.
    #[error(
        "cannot watch {}: the limit of watched folders (fs.inotify.max_user_watches{}) is used up\n\
         raise it with: sudo sysctl fs.inotify.max_user_watches=524288",
        path.display(), limit_text("max_user_watches")
    )]
    TooManyWatches {
        /// The folder that was one too many.
        path: PathBuf,
    },
    /// The user's limit of inotify instances, or the process's limit of open files, is used up.
    #[error(
        "cannot watch files: the limit of watchers (fs.inotify.max_user_instances{}) or of open files is used up\n\
         close a program that watches files, or: sudo sysctl fs.inotify.max_user_instances=1024",
        limit_text("max_user_instances")
    )]
    TooManyInstances,
    /// A root does not exist or may not be read.
    #[error("cannot watch {}", path.display())]
    Unwatchable {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The watcher cannot be set up.
    #[error("cannot watch files")]
    Setup(#[source] io::Error),
}

fn limit_text(name: &str) -> String {
    fs::read_to_string(format!("/proc/sys/fs/inotify/{name}"))
        .map(|limit| format!(" = {}", limit.trim()))
        .unwrap_or_default()
}

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    messages: mpsc::Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

enum Message {
    Event(Instant, notify::Result<Event>),
    Also(PathBuf),
    Then(Box<dyn FnOnce() + Send>),
    Stop,
}

impl Watcher {
    /// Watches `watchlist`. Each settled change of files that `is_of_interest` says yes to is given to `sink`, on the watcher's
    /// thread.
    ///
    /// When this returns, every folder is watched: whatever is saved from then on is told.
    ///
    /// # Errors
    /// When a root cannot be watched or a limit of the system is reached.
    pub fn new(
        mut watchlist: Watchlist,
        is_of_interest: impl Fn(&Path) -> bool + Send + 'static,
        sink: impl FnMut(Watched) + Send + 'static,
    ) -> Result<Self, WatchError> {
        watchlist.show_roots();
        let (messages, inbox) = mpsc::channel();
        let events = messages.clone();
        let notifier = INotifyWatcher::new(
            move |event: notify::Result<Event>| {
                // Opening is what every reader does; it would only wake us.
                if !matches!(
                    &event,
                    Ok(Event {
                        kind: EventKind::Access(AccessKind::Open(_)),
                        ..
                    })
                ) {
                    let _ = events.send(Message::Event(Instant::now(), event));
                }
            },
            notify::Config::default(),
        );
        let mut notifier = notifier.map_err(|error| explain(error, Path::new("")))?;
        let fence = Fence::watched_by(&mut notifier);
        let mut folders = Folders {
            notifier,
            watchlist,
            watched: BTreeSet::new(),
            aliases: BTreeMap::new(),
        };
        for root in folders.watchlist.roots.clone() {
            let metadata = fs::metadata(&root).and_then(|_| fs::read_dir(&root));
            metadata.map_err(|source| WatchError::Unwatchable {
                path: root.clone(),
                source,
            })?;
            folders.add(&root, &mut |_| {})?;
        }
        let mut state = Loop {
            folders,
            settling: Settling::default(),
            fence,
            then: Vec::new(),
            is_of_interest: Box::new(is_of_interest),
            sink: Box::new(sink),
        };
        let thread = thread::Builder::new().name("watch".to_owned());
        let thread = thread
            .spawn(move || state.run(&inbox))
            .map_err(WatchError::Setup)?;
        Ok(Self {
            messages,
            thread: Some(thread),
        })
    }

    /// Watches one more folder, without what is below it, for a file outside the roots (`include_str!`, `#[path]`).
    pub fn also(&self, folder: &Path) {
        let _ = self.messages.send(Message::Also(folder.to_owned()));
    }
}

impl Watcher {
    /// Calls `then` on the watcher's thread once every change up to now has been told.
    pub fn once_told(&self, then: impl FnOnce() + Send + 'static) {
        let _ = self.messages.send(Message::Then(Box::new(then)));
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.messages.send(Message::Stop);
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

/// A settled set of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Files that were written, created or removed.
    pub paths: BTreeSet<PathBuf>,
    /// When the first of it was seen.
    pub first_event: Instant,
    /// Whether events were lost, so that any file may have changed.
    pub rescan: bool,
}

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// It was created or written to, and its writer may not be done.
    Written,
    /// It was created or emptied, and nothing was written to it yet.
    Emptied,
    /// Its writer closed it, or it was moved here whole.
    Finished,
    /// It was removed or moved away.
    Gone,
}

/// Changes that are not settled yet.
#[derive(Debug)]
pub struct Settling {
    grace: Duration,
    /// Paths whose save is not finished, and when to stop waiting for them.
    pending: BTreeMap<PathBuf, Instant>,
    finished: BTreeSet<PathBuf>,
    /// First and last event.
    span: Option<(Instant, Instant)>,
    rescan: bool,
}

impl Default for Settling {
    fn default() -> Self {
        Self::new(GRACE)
    }
}

impl Settling {
    /// Waits `grace` after a finished file for more of the same save.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self {
            grace,
            pending: BTreeMap::new(),
            finished: BTreeSet::new(),
            span: None,
            rescan: false,
        }
    }

    /// Takes note of what happened to a path.
    pub fn observe(&mut self, path: PathBuf, happening: Happening, now: Instant) {
        self.touch(now);
        match happening {
            Happening::Finished => {
                self.pending.remove(&path);
                self.finished.insert(path);
            }
            // Written to again does not buy more time; taken away and made anew does.
            Happening::Written | Happening::Emptied => {
                let limit = match happening {
                    Happening::Emptied => EMPTY_LIMIT,
                    _ => OPEN_LIMIT,
                };
                let due = now + limit;
                let known = self.pending.entry(path).or_insert(due);
                *known = (*known).min(due);
            }
            Happening::Gone => {
                self.pending.insert(path, now + GONE_LIMIT);
            }
        }
    }

    /// Takes note that any file may have changed.
    pub fn observe_rescan(&mut self, now: Instant) {
        self.touch(now);
        self.rescan = true;
    }

    fn touch(&mut self, now: Instant) {
        let first = self.span.map_or(now, |(first, _)| first);
        self.span = Some((first, now));
    }

    /// When [`Settling::take`] will give something if nothing more happens; `None` while nothing has happened.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let (first, last) = self.span?;
        let quiet = self
            .pending
            .values()
            .copied()
            .fold(last + self.grace, Instant::max);
        Some(quiet.min(first + TOTAL_LIMIT))
    }

    /// Whether [`Settling::take`] would give something.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|due| due <= now)
    }

    /// Gives the change if it is settled at `now`, and starts afresh.
    pub fn take(&mut self, now: Instant) -> Option<Change> {
        if !self.is_due(now) {
            return None;
        }
        let settled = std::mem::replace(self, Self::new(self.grace));
        let mut paths = settled.finished;
        paths.extend(settled.pending.into_keys());
        let (first_event, _) = settled.span?;
        Some(Change {
            paths,
            first_event,
            rescan: settled.rescan,
        })
    }
}

/// The folders that are watched.
struct Folders {
    notifier: INotifyWatcher,
    watchlist: Watchlist,
    watched: BTreeSet<PathBuf>,
    /// Files reached through a symbolic link: where they really are, and by which names they are known here.
    aliases: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
}

impl Folders {
    /// Watches `folder` and those below it, then hands every file found in them to `found`.
    ///
    /// The watch is set before the folder is read: a file made in between is seen twice, never missed.
    fn add(&mut self, folder: &Path, found: &mut dyn FnMut(PathBuf)) -> Result<(), WatchError> {
        // The list is not changed while its folders are gone through.
        let list = std::mem::take(&mut self.watchlist);
        let result = list.walk(folder, &mut |step| match step {
            Visit::Folder(folder) => self.watch(folder),
            Visit::File { path, link } => {
                if link {
                    self.follow(&path)?;
                }
                found(path);
                Ok(())
            }
        });
        self.watchlist = list;
        result
    }

    fn watch(&mut self, folder: &Path) -> Result<(), WatchError> {
        match self.notifier.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.watched.insert(folder.to_owned());
                Ok(())
            }
            Err(error) => match explain(error, folder) {
                // It was removed meanwhile, or it is not ours to read; neither holds sources that can be built.
                WatchError::Unwatchable { .. } => Ok(()),
                limit => Err(limit),
            },
        }
    }

    /// Watches where the linked file really is: writing through a link tells the link's folder nothing.
    fn follow(&mut self, link: &Path) -> Result<(), WatchError> {
        if link.extension() != Some(OsStr::new("rs")) {
            return Ok(());
        }
        let Ok(real) = fs::canonicalize(link) else {
            return Ok(());
        };
        let Some(folder) = real.parent().map(Path::to_owned) else {
            return Ok(());
        };
        self.aliases
            .entry(real)
            .or_default()
            .insert(link.to_owned());
        if self.watched.contains(&folder) {
            Ok(())
        } else {
            self.watch(&folder)
        }
    }

    fn forget(&mut self, folder: &Path) -> bool {
        let known = self.watched.contains(folder);
        self.watched.retain(|watched| !watched.starts_with(folder));
        known
    }

    fn lost_roots(&self) -> Vec<PathBuf> {
        let lost = self
            .watchlist
            .roots
            .iter()
            .filter(|root| !self.watched.contains(*root));
        lost.cloned().collect()
    }
}

struct Loop {
    folders: Folders,
    settling: Settling,
    fence: Fence,
    /// What is to be done once all changes up to now are told.
    then: Vec<Box<dyn FnOnce() + Send>>,
    is_of_interest: Box<dyn Fn(&Path) -> bool + Send>,
    sink: Box<dyn FnMut(Watched) + Send>,
}

impl Loop {
    fn run(&mut self, inbox: &mpsc::Receiver<Message>) {
        loop {
            let now = Instant::now();
            if self.settling.is_due(now)
                && self.fence.is_passed(now)
                && let Some(change) = self.settling.take(now)
            {
                (self.sink)(Watched::Change(change));
                continue;
            }
            if self.is_all_told() && self.fence.is_passed(now) {
                self.then.drain(..).for_each(|then| then());
                continue;
            }
            let lost = self.folders.lost_roots();
            let patience = self.settling.deadline();
            let patience = patience.map(|due| due.saturating_duration_since(now));
            let patience = self.fence.patience(now).or(patience);
            let patience = match (patience, lost.is_empty()) {
                (Some(patience), _) => patience,
                (None, false) => RETURN_POLL,
                (None, true) => Duration::from_secs(3600),
            };
            match inbox.recv_timeout(patience) {
                Ok(Message::Event(_, Ok(event))) if self.fence.is_told_by(&event) => {
                    let is_due = self.settling.is_due(Instant::now());
                    self.fence.told(is_due || self.is_all_told());
                }
                Ok(Message::Event(when, Ok(event))) => self.handle(event, when),
                Ok(Message::Event(when, Err(error))) => {
                    self.settling.observe_rescan(when);
                    (self.sink)(Watched::Failed(explain(error, Path::new(""))));
                }
                Ok(Message::Also(folder)) => {
                    if let Err(error) = self.folders.watch(&folder) {
                        (self.sink)(Watched::Failed(error));
                    }
                }
                Ok(Message::Then(then)) => self.then.push(then),
                Err(RecvTimeoutError::Timeout) => self.look_for(lost),
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Whether somebody waits until all is told, and nothing is left that is known of.
    fn is_all_told(&self) -> bool {
        !self.then.is_empty() && self.settling.deadline().is_none()
    }

    fn look_for(&mut self, lost: Vec<PathBuf>) {
        for root in lost {
            if root.is_dir() {
                self.settling.observe_rescan(Instant::now());
                self.search(&root, Instant::now());
            }
        }
    }

    fn handle(&mut self, event: Event, when: Instant) {
        if event.need_rescan() {
            self.settling.observe_rescan(when);
            // Folders may have been made unseen.
            for root in self.folders.watchlist.roots.clone() {
                self.search(&root, when);
            }
            return;
        }
        let Some((path, step)) = step_of(event) else {
            return;
        };
        match step {
            Step::NewFolder => self.search(&path, when),
            Step::File(Happening::Finished) if path.is_dir() => self.search(&path, when),
            Step::File(Happening::Gone) if self.folders.forget(&path) => {
                // What was in it is not told file by file.
                self.settling.observe_rescan(when);
            }
            Step::File(happening) => {
                if happening != Happening::Gone && path.is_symlink() {
                    let failure = self.folders.follow(&path).err();
                    self.report(failure);
                }
                let happening = match happening {
                    Happening::Written if is_empty(&path) => Happening::Emptied,
                    other => other,
                };
                let aliases = self.folders.aliases.get(&path).cloned().unwrap_or_default();
                for path in aliases.into_iter().chain([path]) {
                    self.observe(path, happening, when);
                }
            }
        }
    }

    /// Watches a folder that appeared; the files already in it count as saved now.
    fn search(&mut self, folder: &Path, when: Instant) {
        let mut files = Vec::new();
        let failure = self.folders.add(folder, &mut |path| files.push(path)).err();
        self.report(failure);
        for path in files {
            self.observe(path, Happening::Finished, when);
        }
    }

    fn report(&mut self, failure: Option<WatchError>) {
        if let Some(error) = failure {
            (self.sink)(Watched::Failed(error));
        }
    }

    fn observe(&mut self, path: PathBuf, happening: Happening, when: Instant) {
        if !is_editors_own(&path) && (self.is_of_interest)(&path) {
            self.settling.observe(path, happening, when);
        }
    }
}

enum Step {
    File(Happening),
    NewFolder,
}

/// What an event means for the one path it is about; `None` for those that change no content.
fn step_of(event: Event) -> Option<(PathBuf, Step)> {
    let step = match event.kind {
        EventKind::Create(CreateKind::Folder) => Step::NewFolder,
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_)) => {
            Step::File(Happening::Written)
        }
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Step::File(Happening::Finished),
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) | EventKind::Remove(_) => {
            Step::File(Happening::Gone)
        }
        // A rename is told as `From` and `To` already; attributes are not content.
        _ => return None,
    };
    Some((event.paths.into_iter().next()?, step))
}

fn is_empty(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0)
}

/// Whether the file is an editor's, not the user's: backups, swap files, locks, trials.
fn is_editors_own(path: &Path) -> bool {
    let Some(name) = path.file_name().map(OsStr::as_encoded_bytes) else {
        return true;
    };
    name.ends_with(b"~")
        || name.starts_with(b".#")
        || name.starts_with(b"#") && name.ends_with(b"#")
        // Vim tries whether it can write to the folder with a file of this name.
        || name == b"4913"
        || [".swp", ".swo", ".swx"].iter().any(|end| name.ends_with(end.as_bytes()))
}

fn explain(error: notify::Error, folder: &Path) -> WatchError {
    let path = error
        .paths
        .into_iter()
        .next()
        .unwrap_or_else(|| folder.to_owned());
    let source = match error.kind {
        notify::ErrorKind::MaxFilesWatch => return WatchError::TooManyWatches { path },
        notify::ErrorKind::Io(source) => source,
        notify::ErrorKind::PathNotFound => io::ErrorKind::NotFound.into(),
        other => io::Error::other(format!("{other:?}")),
    };
    match rustix::io::Errno::from_io_error(&source) {
        Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => WatchError::TooManyInstances,
        _ if path.as_os_str().is_empty() => WatchError::Setup(source),
        _ => WatchError::Unwatchable { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Happening::{Emptied, Finished, Gone, Written};
    use notify::event::DataChange;
    use std::io::Write;

    struct Project {
        folder: tempfile::TempDir,
        changes: mpsc::Receiver<Watched>,
        _watcher: Watcher,
    }

    fn project() -> Project {
        let folder = tempfile::tempdir().unwrap();
        for sub in ["src/deep", "target/debug", "out"] {
            fs::create_dir_all(folder.path().join(sub)).unwrap();
        }
        fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        fs::write(folder.path().join("src/main.rs"), "old").unwrap();
        let (sender, changes) = mpsc::channel();
        let watchlist = Watchlist {
            roots: vec![folder.path().to_owned()],
            excluded: vec![folder.path().join("out")],
        };
        let interest = |path: &Path| path.extension() == Some(OsStr::new("rs"));
        let watcher = Watcher::new(watchlist, interest, move |said| {
            let _ = sender.send(said);
        });
        Project {
            folder,
            changes,
            _watcher: watcher.unwrap(),
        }
    }

    impl Project {
        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.path(name), text).unwrap();
        }

        fn next(&self) -> Change {
            match self.changes.recv_timeout(Duration::from_secs(20)) {
                Ok(Watched::Change(change)) => change,
                other => panic!("no change: {other:?}"),
            }
        }

        /// The changed files up to and with `last`, however they were grouped.
        fn until(&self, last: &str) -> BTreeSet<String> {
            let mut all = BTreeSet::new();
            while !all.contains(last) {
                let change = self.next();
                let names = change.paths.iter().map(|path| {
                    path.strip_prefix(self.folder.path())
                        .unwrap()
                        .display()
                        .to_string()
                });
                all.extend(names);
            }
            all
        }
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_written_file_is_told() {
        let project = project();
        let begun = Instant::now();
        project.write("src/main.rs", "new");
        let change = project.next();
        assert!(change.first_event >= begun && !change.rescan);
        assert_eq!(change.paths, [project.path("src/main.rs")].into());
    }

    #[test]
    fn a_file_renamed_into_place_is_told_and_the_editors_files_are_not() {
        let project = project();
        project.write("src/.main.rs.swp", "x");
        project.write("src/4913", "x");
        project.write("src/main.rs~", "x");
        project.write("src/main.tmp", "new");
        fs::rename(project.path("src/main.tmp"), project.path("src/main.rs")).unwrap();
        assert_eq!(project.until("src/main.rs"), set(&["src/main.rs"]));
    }

    #[test]
    fn reading_and_touching_tell_nothing() {
        let project = project();
        fs::read(project.path("src/main.rs")).unwrap();
        let mode = fs::metadata(project.path("src/main.rs"))
            .unwrap()
            .permissions();
        fs::set_permissions(project.path("src/main.rs"), mode).unwrap();
        project.write("target/debug/x.rs", "x");
        project.write("out/x.rs", "x");
        project.write("src/last.rs", "x");
        assert_eq!(project.until("src/last.rs"), set(&["src/last.rs"]));
    }

    #[test]
    fn files_in_new_folders_are_told_however_early() {
        let project = project();
        fs::create_dir_all(project.path("src/new/deeper")).unwrap();
        project.write("src/new/deeper/early.rs", "x");
        assert!(project.until("src/new/deeper/early.rs").len() == 1);
        project.write("src/new/deeper/late.rs", "x");
        project.until("src/new/deeper/late.rs");
        let elsewhere = tempfile::tempdir_in(project.folder.path().parent().unwrap()).unwrap();
        fs::write(elsewhere.path().join("moved.rs"), "x").unwrap();
        fs::rename(elsewhere.path(), project.path("src/moved")).unwrap();
        project.until("src/moved/moved.rs");
    }

    #[test]
    fn a_removed_folder_asks_for_a_rescan_and_can_come_back() {
        let project = project();
        project.write("src/deep/a.rs", "x");
        project.until("src/deep/a.rs");
        fs::remove_dir_all(project.path("src/deep")).unwrap();
        while !project.next().rescan {}
        fs::create_dir(project.path("src/deep")).unwrap();
        project.write("src/deep/b.rs", "x");
        project.until("src/deep/b.rs");
        project.write("src/deep/b.rs", "y");
        project.until("src/deep/b.rs");
    }

    #[test]
    fn a_root_can_come_back() {
        let project = project();
        let away = project.folder.path().with_extension("away");
        fs::rename(project.folder.path(), &away).unwrap();
        assert!(project.next().rescan);
        fs::rename(&away, project.folder.path()).unwrap();
        while !project.next().rescan {}
        project.write("src/main.rs", "new");
        project.until("src/main.rs");
    }

    #[test]
    fn a_file_behind_a_link_is_told_by_the_links_name() {
        let project = project();
        let outside = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(outside.path()).unwrap().join("real.rs");
        fs::write(&real, "x").unwrap();
        std::os::unix::fs::symlink(&real, project.path("src/link.rs")).unwrap();
        project.until("src/link.rs");
        fs::write(&real, "y").unwrap();
        let change = project.next();
        assert!(
            change.paths.contains(&project.path("src/link.rs")),
            "{change:?}"
        );
    }

    #[test]
    fn a_file_held_open_is_told_after_a_while() {
        let project = project();
        let mut file = fs::File::create(project.path("src/open.rs")).unwrap();
        file.write_all(b"x").unwrap();
        file.flush().unwrap();
        project.until("src/open.rs");
        drop(file);
        project.until("src/open.rs");
    }

    #[test]
    fn a_file_that_is_only_emptied_is_told_late() {
        let project = project();
        let file = fs::File::create(project.path("src/main.rs")).unwrap();
        let change = project.next();
        assert!(change.paths.contains(&project.path("src/main.rs")));
        assert!(change.first_event.elapsed() >= EMPTY_LIMIT);
        drop(file);
        project.until("src/main.rs");
    }

    #[test]
    fn what_was_saved_before_a_change_is_given_on_belongs_to_it() {
        let notifier =
            INotifyWatcher::new(|_: notify::Result<Event>| {}, notify::Config::default());
        let (messages, inbox) = mpsc::channel();
        let saved = |path: &str| {
            let kind = EventKind::Access(AccessKind::Close(AccessMode::Write));
            Message::Event(Instant::now(), Ok(Event::new(kind).add_path(path.into())))
        };
        messages.send(saved("/a.rs")).unwrap();
        // The second file's event is read late: when the first one's grace is over.
        let mut late = Some("/b.rs");
        let fence = Fence::new("/fence".into(), move || {
            let late = late.take().into_iter();
            late.chain(["/fence"])
                .for_each(|path| messages.send(saved(path)).unwrap());
            Ok(())
        });
        let (sender, changes) = mpsc::channel();
        let mut state = Loop {
            folders: Folders {
                notifier: notifier.unwrap(),
                watchlist: Watchlist::default(),
                watched: BTreeSet::new(),
                aliases: BTreeMap::new(),
            },
            settling: Settling::default(),
            fence,
            then: Vec::new(),
            is_of_interest: Box::new(|_| true),
            sink: Box::new(move |said| sender.send(said).unwrap()),
        };
        thread::spawn(move || state.run(&inbox));
        match changes.recv() {
            Ok(Watched::Change(change)) => {
                assert_eq!(change.paths, ["/a.rs".into(), "/b.rs".into()].into());
            }
            other => panic!("no change: {other:?}"),
        }
    }

    #[test]
    fn a_missing_root_is_an_error() {
        let watchlist = Watchlist {
            roots: vec!["/no/such/root".into()],
            ..Watchlist::default()
        };
        let error = Watcher::new(watchlist, |_| true, |_| {}).unwrap_err();
        assert_eq!(error.to_string(), "cannot watch /no/such/root");
    }

    #[test]
    fn events_without_content_mean_nothing() {
        let event = |kind| Event::new(kind).add_path("/a.rs".into());
        assert!(step_of(event(EventKind::Access(AccessKind::Read))).is_none());
        assert!(step_of(event(EventKind::Modify(ModifyKind::Name(RenameMode::Both)))).is_none());
        let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        assert!(matches!(
            step_of(event(data)),
            Some((_, Step::File(Happening::Written)))
        ));
    }

    #[test]
    fn a_reached_limit_says_what_to_do() {
        let error = notify::Error::new(notify::ErrorKind::MaxFilesWatch).add_path("/src".into());
        let text = explain(error, Path::new("/src")).to_string();
        assert!(text.starts_with("cannot watch /src: the limit"), "{text}");
        assert!(text.contains("sudo sysctl fs.inotify.max_user_watches=524288"));
        let errno = rustix::io::Errno::MFILE;
        let error = notify::Error::io(errno.into());
        assert!(matches!(
            explain(error, Path::new("")),
            WatchError::TooManyInstances
        ));
    }

    // Settling, without a clock.

    /// Feeds `(milliseconds, path, what)` and gives `(milliseconds, paths)` of each change.
    fn settle(events: &[(u64, &str, Happening)]) -> Vec<(u64, Vec<String>)> {
        let start = Instant::now();
        let mut settling = Settling::new(Duration::from_millis(8));
        let mut changes = Vec::new();
        let mut events = events.iter().peekable();
        loop {
            let next = events
                .peek()
                .map(|event| start + Duration::from_millis(event.0));
            match (settling.deadline(), next) {
                (None, None) => return changes,
                (Some(due), next) if next.is_none_or(|next| due <= next) => {
                    let change = settling.take(due).expect("it is due");
                    let paths = change.paths.iter().map(|path| path.display().to_string());
                    let time = due.duration_since(start).as_millis();
                    changes.push((u64::try_from(time).unwrap(), paths.collect()));
                }
                _ => {
                    let (time, path, what) = events.next().expect("peeked");
                    settling.observe((*path).into(), *what, start + Duration::from_millis(*time));
                }
            }
        }
    }

    fn change(time: u64, paths: &[&str]) -> (u64, Vec<String>) {
        (time, paths.iter().map(|path| (*path).to_owned()).collect())
    }

    #[test]
    fn a_closed_file_waits_for_the_grace_only() {
        let events = [(0, "a", Written), (1, "a", Written), (2, "a", Finished)];
        assert_eq!(settle(&events), [change(10, &["a"])]);
    }

    #[test]
    fn files_of_one_save_come_together() {
        let events = [
            (0, "a", Finished),
            (5, "b", Written),
            (6, "b", Finished),
            (13, "c", Finished),
        ];
        assert_eq!(settle(&events), [change(21, &["a", "b", "c"])]);
    }

    #[test]
    fn two_saves_come_apart() {
        let events = [(0, "a", Finished), (9, "a", Finished)];
        assert_eq!(settle(&events), [change(8, &["a"]), change(17, &["a"])]);
    }

    #[test]
    fn a_finished_file_waits_for_one_that_is_still_open() {
        let events = [(0, "a", Finished), (1, "b", Written), (60, "b", Finished)];
        assert_eq!(settle(&events), [change(68, &["a", "b"])]);
    }

    #[test]
    fn a_file_that_stays_open_is_waited_for_once() {
        let events = [(0, "a", Written), (90, "a", Written), (250, "a", Finished)];
        assert_eq!(settle(&events), [change(100, &["a"]), change(258, &["a"])]);
    }

    #[test]
    fn an_emptied_file_is_waited_for_longer() {
        let events = [(0, "a", Emptied), (300, "a", Written), (301, "a", Finished)];
        assert_eq!(settle(&events), [change(309, &["a"])]);
        let events = [(0, "a", Emptied), (300, "a", Written)];
        assert_eq!(settle(&events), [change(400, &["a"])]);
        assert_eq!(settle(&[(0, "a", Emptied)]), [change(800, &["a"])]);
    }

    #[test]
    fn a_save_by_rename_is_one_change() {
        let events = [(0, "a", Gone), (30, "a", Finished)];
        assert_eq!(settle(&events), [change(38, &["a"])]);
        let events = [(0, "a", Gone), (30, "a", Written), (40, "a", Finished)];
        assert_eq!(settle(&events), [change(48, &["a"])]);
    }

    #[test]
    fn a_removed_file_is_a_change_of_its_own() {
        assert_eq!(settle(&[(0, "a", Gone)]), [change(60, &["a"])]);
    }

    #[test]
    fn endless_writing_does_not_hold_a_change_back() {
        let events: Vec<_> = (0..300).map(|n| (n * 5, "a", Finished)).collect();
        let times: Vec<u64> = settle(&events).iter().map(|change| change.0).collect();
        assert_eq!(times, [1000, 1503]);
    }

    #[test]
    fn a_rescan_is_carried_with_its_first_time() {
        let start = Instant::now();
        let mut settling = Settling::new(Duration::from_millis(8));
        settling.observe("a".into(), Finished, start);
        settling.observe_rescan(start + Duration::from_millis(2));
        assert_eq!(settling.take(start + Duration::from_millis(9)), None);
        let change = settling
            .take(start + Duration::from_millis(10))
            .expect("it is due");
        assert!(change.rescan);
        assert_eq!(change.first_event, start);
        assert_eq!(settling.deadline(), None);
    }
}
