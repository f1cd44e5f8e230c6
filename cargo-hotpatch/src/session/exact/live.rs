//! Which functions of a patch have been called since it went live.
//!
//! At first the slot of a function leads to a few bytes of the patch that note the call and go on to the body. Once that was
//! seen, or nobody waits for it any more, the slot leads to the body itself.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hotpatch_rt::wire::Redirect;

use super::engine::Engine;
use crate::object::names::NameId;
use crate::plan::changes::Selection;
use crate::run::client::{Client, Publish};
use crate::run::memory::word;

/// How long after a patch it is told which of its functions have not been called.
const PATIENCE: Duration = Duration::from_secs(2);

/// Of patches with more functions than this, such as after a change of a type that is used everywhere, only so many are
/// listened for.
const MOST: usize = 256;

/// A function of which it is wanted whether it is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) name: NameId,
    /// The address of a byte that is set by its first call.
    pub(super) flag: u64,
    /// Leads its slot to the body without noting calls.
    pub(super) to_its_body: Redirect,
}

/// What is listened for.
#[derive(Debug, Default)]
pub(super) struct Listening {
    waiting: Vec<Told>,
    called: BTreeSet<String>,
    since: Option<Instant>,
}

/// Which functions of the workspace have been called since their patch went live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// The patch's generation.
    pub generation: u32,
    /// Those that have been.
    pub called: Vec<String>,
    /// Those that have not.
    pub not_called: Vec<String>,
}

impl Engine {
    /// The functions of a patch that are listened for: those of the workspace, unless none of them has been called ever.
    pub(super) fn told(&self, selection: &Selection) -> Vec<NameId> {
        if self.process.is_fresh {
            return Vec::new();
        }
        let redirected = selection.redirected.iter().copied();
        let own = redirected.filter(|name| self.own_function(*name).is_some());
        own.take(MOST).collect()
    }

    /// Listens for the functions of a patch that has just gone live. What was called of the one before counts, as that came
    /// ahead of it, unless [`Engine::stop_listening`] was called between them.
    pub(super) fn listen_for(&mut self, told: Vec<Told>) {
        let before = std::mem::take(&mut self.process.listening);
        let mut called = before.called;
        let is_set =
            |told: &&Told| word(self.process.pid, told.flag).is_some_and(|word| word & 0xff != 0);
        let names = before.waiting.iter().filter(is_set);
        called.extend(names.filter_map(|told| self.own_function(told.name)));
        self.process.listening = Listening {
            waiting: told,
            called,
            since: Some(Instant::now()),
        };
    }

    /// What was listened for is of no interest any more.
    pub(super) fn stop_listening(&mut self) {
        self.process.listening = Listening::default();
    }

    /// Whether there is something to listen for.
    pub(super) fn is_listening(&self) -> bool {
        self.process.listening.since.is_some()
    }

    /// Looks what was called, and says so once all of it was, or nobody waits any longer.
    pub(super) fn listen(&mut self, client: &mut Client) -> Option<Live> {
        let since = self.process.listening.since?;
        let is_over = since.elapsed() >= PATIENCE;
        let waiting = std::mem::take(&mut self.process.listening.waiting);
        let (called, others): (Vec<Told>, Vec<Told>) = waiting.into_iter().partition(|told| {
            word(self.process.pid, told.flag).is_some_and(|word| word & 0xff != 0)
        });
        let named = called
            .iter()
            .filter_map(|told| self.own_function(told.name));
        let named: Vec<String> = named.collect();
        self.process.listening.called.extend(named);
        // An instance or a closure of a function will do, and a call before the exact lane's body came.
        let named = others
            .iter()
            .filter_map(|told| self.own_function(told.name));
        let not_called: BTreeSet<String> = named
            .filter(|name| !self.process.listening.called.contains(name))
            .collect();
        let is_over = is_over || not_called.is_empty();
        let done = called.iter().chain(others.iter().filter(|_| is_over));
        let redirects: Vec<Redirect> = done.map(|told| told.to_its_body).collect();
        // What cannot be led there goes on noting its calls, which costs next to nothing.
        if !redirects.is_empty() {
            let _ = client.redirect(redirects, Publish::AtOnce);
        }
        if !is_over {
            self.process.listening.waiting = others;
            return None;
        }
        let called = std::mem::take(&mut self.process.listening).called;
        let is_any = !called.is_empty() || !not_called.is_empty();
        is_any.then(|| Live {
            generation: self.process.generation,
            called: called.into_iter().collect(),
            not_called: not_called.into_iter().collect(),
        })
    }
}
