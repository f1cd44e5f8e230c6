//! Makes sure that what was saved has been told before a change is given on.
//!
//! inotify tells things in their order, but the thread that reads it may be held up on a busy machine: then a save of two
//! files looks as if a while lay between them. So when a save seems to be over, a file of our own is touched; once that
//! has been told, everything before it has been, too.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use notify::{Event, INotifyWatcher, RecursiveMode, Watcher as _};

/// How long to wait for being told: events may be lost.
const LIMIT: Duration = Duration::from_secs(1);
/// After so many waits in vain there are none any more: not every file system tells of changes.
const MISSES: u32 = 2;

/// What is touched, and whether it was told.
pub(super) struct Fence {
    touch: Box<dyn FnMut() -> io::Result<()> + Send>,
    path: PathBuf,
    state: State,
    /// How often it was waited for in vain since it was last told.
    misses: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Down,
    /// It was touched then.
    Raised(Instant),
    /// It was told, and nothing after it.
    Passed,
}

impl Fence {
    /// Watches a file that has no name any more, so that nothing is left of it however this program ends.
    pub(super) fn watched_by(notifier: &mut INotifyWatcher) -> Self {
        let made = tempfile::NamedTempFile::new().and_then(|file| {
            let path = file.path().to_owned();
            let watched = notifier.watch(&path, RecursiveMode::NonRecursive);
            watched.map_err(io::Error::other)?;
            Ok((path, file.into_file()))
        });
        match made {
            Ok((path, file)) => Self::new(path, move || touch(&file)),
            // Without a place for it changes are told as they are seen.
            Err(_) => Self::new(PathBuf::new(), || Err(io::ErrorKind::Unsupported.into())),
        }
    }

    /// With something else that makes inotify tell of `path`.
    pub(super) fn new(
        path: PathBuf,
        touch: impl FnMut() -> io::Result<()> + Send + 'static,
    ) -> Self {
        Self {
            touch: Box::new(touch),
            path,
            state: State::Down,
            misses: 0,
        }
    }

    /// Whether everything up to now was told. If that is not known, it will be; see [`Fence::patience`].
    pub(super) fn is_passed(&mut self, now: Instant) -> bool {
        match self.state {
            State::Raised(when) if now < when + LIMIT => return false,
            State::Raised(_) => self.misses += 1,
            State::Down if self.misses < MISSES && (self.touch)().is_ok() => {
                self.state = State::Raised(now);
                return false;
            }
            _ => {}
        }
        self.state = State::Down;
        true
    }

    /// How long to wait for it, if it is waited for.
    pub(super) fn patience(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Raised(when) => Some((when + LIMIT).saturating_duration_since(now)),
            _ => None,
        }
    }

    /// Whether this tells of it.
    pub(super) fn is_told_by(&self, event: &Event) -> bool {
        event.paths.first() == Some(&self.path)
    }

    /// It was told. `is_due`: whether a change would be given on now; one that has become larger meanwhile is asked for
    /// again later.
    pub(super) fn told(&mut self, is_due: bool) {
        if let State::Raised(_) = self.state {
            self.state = if is_due { State::Passed } else { State::Down };
            self.misses = 0;
        }
    }
}

fn touch(file: &File) -> io::Result<()> {
    file.set_modified(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::EventKind;

    #[test]
    fn it_is_waited_for_and_not_for_ever() {
        let start = Instant::now();
        let mut fence = Fence::new("/fence".into(), || Ok(()));
        let event = |path: &str| Event::new(EventKind::Any).add_path(path.into());
        assert_eq!(fence.patience(start), None);
        assert!(!fence.is_passed(start) && !fence.is_passed(start));
        assert_eq!(fence.patience(start), Some(LIMIT));
        assert!(fence.is_told_by(&event("/fence")) && !fence.is_told_by(&event("/other")));
        assert!(!fence.is_passed(start));
        fence.told(true);
        assert!(fence.is_passed(start));
        // What came before it made the change larger.
        assert!(!fence.is_passed(start));
        fence.told(false);
        assert!(!fence.is_passed(start));
        assert!(fence.is_passed(start + LIMIT));
        // Once may be an accident.
        assert!(!fence.is_passed(start) && fence.is_passed(start + LIMIT));
        assert!(fence.is_passed(start) && fence.is_passed(start));
    }

    #[test]
    fn without_one_nothing_is_waited_for() {
        let mut fence = Fence::new("/".into(), || Err(io::ErrorKind::StorageFull.into()));
        assert!(fence.is_passed(Instant::now()));
    }
}
