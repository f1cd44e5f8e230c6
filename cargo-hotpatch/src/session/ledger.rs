//! What has happened in a session, kept for those who ask.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Message;
use crate::build::project::Project;
use crate::control::server::Answers;
use crate::control::{
    Fix, Function, Judged, Kind, NotLive, Reply, Request, Settled, State, Status,
};
use crate::plan::codes::Code;
use crate::ui::events::{Broken, Coded, Confirmed, Event, Live, Patched, Undone};
use crate::ui::screen::Screen;

/// How many verdicts are kept.
const KEPT: usize = 20;

/// Shared by the session, which writes it, and those who ask.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    book: Arc<Mutex<Book>>,
}

#[derive(Debug, Default)]
struct Book {
    status: Status,
    /// Each function that was patched.
    functions: BTreeMap<String, PatchedFunction>,
    /// Of the sources that the exact lane has come to its end with, and what the functions were then.
    confirmed: Option<String>,
    confirmed_functions: BTreeMap<String, PatchedFunction>,
    /// Every patch of the session, with its times.
    patches: Vec<Judged>,
}

/// What is known of a function that was patched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PatchedFunction {
    /// The generation of its code.
    pub generation: u32,
    /// How often it was patched.
    pub patches: u32,
    /// Whether it was called since the last time, if that is known.
    pub called: Option<bool>,
}

impl Ledger {
    pub(super) fn new(project: &Project) -> Self {
        let status = Status {
            session: std::process::id(),
            began: now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            workspace: project.metadata.workspace_root.as_std_path().to_owned(),
            package: project.package.name.to_string(),
            program: project.target.name.clone(),
            ..Status::default()
        };
        let book = Book {
            status,
            ..Book::default()
        };
        Self {
            book: Arc::new(Mutex::new(book)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn status(&self) -> Status {
        self.lock().status.clone()
    }

    pub(super) fn is_pending(&self) -> bool {
        self.lock().status.pending
    }

    /// What was patched last runs ahead of the exact lane's word on it.
    pub(super) fn is_unconfirmed(&self) -> bool {
        let book = self.lock();
        let last = book.status.verdicts.first();
        last.is_some_and(|last| last.verdict == Kind::Patched && !last.confirmed)
    }

    pub(super) fn generation(&self) -> u32 {
        self.lock().status.generation
    }

    pub(super) fn functions(&self) -> Vec<Function> {
        let book = self.lock();
        let functions = book.functions.iter();
        functions
            .map(|(function, patched)| Function {
                function: function.clone(),
                generation: patched.generation,
            })
            .collect()
    }

    /// What is known of each function that was patched.
    pub(super) fn patched_functions(&self) -> BTreeMap<String, PatchedFunction> {
        self.lock().functions.clone()
    }

    /// Every patch of the session, the oldest first.
    pub(super) fn patches(&self) -> Vec<Judged> {
        self.lock().patches.clone()
    }

    pub(super) fn state(&self, state: State) {
        self.lock().status.state = state;
    }

    pub(super) fn pause(&self, paused: bool) {
        self.lock().status.paused = paused;
    }

    /// Something was saved.
    pub(super) fn saved(&self) {
        self.lock().status.pending = true;
    }

    /// The program was started, and runs what these sources say.
    pub(super) fn started(&self, pid: u32) {
        let mut book = self.lock();
        book.functions.clear();
        book.confirmed_functions.clear();
        let status = &mut book.status;
        status.pid = Some(pid);
        status.state = State::Starting;
        status.exited = None;
        status.pending = false;
        status.generation = 0;
        status.standing = None;
        status.not_called.clear();
        status.under_way.clear();
    }

    /// It can be patched, and was built of these sources; of which is not known if some were saved meanwhile.
    pub(super) fn built_of(&self, revision: Option<String>) {
        let mut book = self.lock();
        book.confirmed.clone_from(&revision);
        book.status.running.clone_from(&revision);
        // The first start is no news.
        if book.status.revision.is_some() {
            book.judge(Judged {
                verdict: Kind::Restarted,
                confirmed: true,
                ..Judged::of(revision)
            });
        } else {
            book.status.revision = revision;
        }
    }

    /// A program that could not be started is none.
    pub(super) fn not_started(&self) {
        let mut book = self.lock();
        book.status.state = State::Ended;
        book.status.pid = None;
        book.status.pending = false;
    }

    /// All that was saved has its verdict, which is the exact lane's.
    pub(super) fn settled(&self) {
        let mut book = self.lock();
        book.status.pending = false;
        if let Some(last) = book.status.verdicts.first_mut() {
            last.confirmed = true;
        }
    }

    /// Takes in what happened, with the hash of the sources that it is about.
    pub(super) fn take(&self, event: &Event, revision: Option<&str>) {
        let mut book = self.lock();
        let revision = revision.map(str::to_owned);
        match event {
            Event::Ready(ready) => {
                book.status.state = State::Running;
                book.status.functions = ready.functions;
            }
            Event::Patched(patched) => book.patched(patched, revision),
            Event::Confirmed(confirmed) => book.confirmed(confirmed, revision),
            Event::TakenBack(_) => book.take_back(),
            Event::Undone(undone) => book.undone(undone),
            Event::Live(live) => book.live(live),
            Event::Unchanged { .. } => {
                // What the fast lane brought and nobody needs any more leads back.
                book.take_back();
                book.confirmed.clone_from(&revision);
                book.status.running.clone_from(&revision);
                book.judge(Judged {
                    verdict: Kind::Unchanged,
                    ..Judged::of(revision)
                });
            }
            Event::Refused(refusal) => book.judge(Judged {
                verdict: Kind::Refused,
                refusal: Some(refusal.clone()),
                ..Judged::of(revision)
            }),
            // That of a build that was to start the program anew is no verdict of a save.
            Event::Broken(broken) if revision.is_some() => book.broken(broken, revision),
            Event::Broken(_) => {}
            Event::Exited(exited) => {
                let status = &mut book.status;
                status.state = State::Ended;
                status.exited = Some(*exited);
                status.pid = None;
                status.pending = false;
            }
            Event::Prepared {}
            | Event::Fallen(_)
            | Event::Waits(_)
            | Event::Restarted(_)
            | Event::NotRestarted(_)
            | Event::Lost(_)
            | Event::Tests(_)
            | Event::Tested(_) => {}
        }
    }

    /// What became of the sources on disk, once nothing is pending. Functions patched after the generation `since` count, or
    /// those of the last verdict.
    pub(super) fn settle(&self, since: Option<u32>, keeps: &[String]) -> Settled {
        let book = self.lock();
        let status = &book.status;
        let last = status.verdicts.first().cloned();
        let mut judged = last.unwrap_or_else(|| Judged {
            generation: status.generation,
            confirmed: true,
            ..Judged::of(status.revision.clone())
        });
        if let Some(since) = since {
            let functions = book
                .functions
                .iter()
                .filter(|(_, of)| of.generation > since);
            judged.functions = functions.map(|(function, _)| function.clone()).collect();
        }
        let not_live = judged.notes.iter().filter_map(|note| {
            Some(NotLive {
                function: note.function.clone()?,
                on_stack_of: note.thread.clone(),
                why: note.message.clone(),
                file: note.file.clone(),
                line: note.line,
            })
        });
        let not_live: Vec<NotLive> = not_live.collect();
        let is_old = |function: &String| not_live.iter().any(|one| one.function == *function);
        let live = judged.functions.iter().filter(|one| !is_old(one));
        let live = live.cloned().collect();
        let restart = || Fix::Restart {
            keeps: keeps.to_vec(),
        };
        let is_for_a_new_session = |refusal: &Coded| refusal.code == Code::HP0402.to_string();
        let fix = match judged.verdict {
            Kind::Refused if judged.refusal.as_ref().is_some_and(is_for_a_new_session) => None,
            Kind::Refused => Some(restart()),
            Kind::Broken => Some(Fix::Edit {}),
            Kind::Patched if !not_live.is_empty() => Some(restart()),
            Kind::Undone => Some(Fix::Redo {}),
            Kind::Patched | Kind::Restarted | Kind::Unchanged => None,
        };
        Settled {
            session: status.session,
            pid: status.pid,
            exited: status.exited,
            paused: status.paused,
            judged,
            live,
            not_live,
            fix,
        }
    }
}

impl Book {
    fn judge(&mut self, mut judged: Judged) {
        let status = &mut self.status;
        judged.generation = status.generation;
        judged.time = now();
        status.revision.clone_from(&judged.revision);
        status.standing = match judged.verdict {
            Kind::Refused | Kind::Broken => Some(judged.clone()),
            // A refused edit is not in the program with that.
            Kind::Undone => status.standing.take(),
            Kind::Patched | Kind::Restarted | Kind::Unchanged => None,
        };
        status.verdicts.insert(0, judged);
        status.verdicts.truncate(KEPT);
    }

    /// These functions have other code as of this generation.
    fn lead(&mut self, functions: &[String], generation: u32) {
        for function in functions {
            let known = self.functions.entry(function.clone()).or_default();
            known.patches += 1;
            known.generation = generation;
            known.called = None;
        }
    }

    fn patched(&mut self, patched: &Patched, revision: Option<String>) {
        let generation = patched.generation;
        self.lead(&patched.functions, generation);
        let is_exact = patched.lane.as_deref() != Some("fast");
        if is_exact {
            self.confirm(revision.clone());
        }
        let status = &mut self.status;
        status.generation = generation;
        status.running.clone_from(&revision);
        let under_way = patched.notes.iter().filter(|note| note.thread.is_some());
        status.under_way = under_way.cloned().collect();
        status.not_called.clear();
        self.judge(Judged {
            verdict: Kind::Patched,
            functions: patched.functions.clone(),
            lane: patched.lane.clone(),
            confirmed: is_exact,
            notes: patched.notes.clone(),
            ms: Some(patched.ms),
            bytes: Some(patched.bytes),
            ..Judged::of(revision)
        });
        self.patches.extend(self.status.verdicts.first().cloned());
    }

    fn confirmed(&mut self, confirmed: &Confirmed, revision: Option<String>) {
        let generation = confirmed.generation;
        self.lead(&confirmed.functions, generation);
        self.confirm(revision.clone());
        self.status.running = revision;
        let shown = self.status.verdicts.first_mut().into_iter();
        for last in shown.chain(self.patches.last_mut()) {
            last.confirmed = true;
            last.confirmed_ms = Some(confirmed.ms);
            last.functions.extend(confirmed.functions.iter().cloned());
            last.notes.extend(confirmed.notes.iter().cloned());
        }
    }

    /// The exact lane has come to its end with these sources.
    fn confirm(&mut self, revision: Option<String>) {
        self.confirmed = revision;
        self.confirmed_functions.clone_from(&self.functions);
    }

    /// All that it has not come to its end with runs what it did before.
    fn take_back(&mut self) {
        self.functions.clone_from(&self.confirmed_functions);
        self.status.running.clone_from(&self.confirmed);
    }

    fn undone(&mut self, undone: &Undone) {
        let generation = undone.generation;
        self.lead(&undone.functions, generation);
        let status = &mut self.status;
        status.generation = generation;
        status.not_called.clear();
        let under_way = undone.notes.iter().filter(|note| note.thread.is_some());
        status.under_way = under_way.cloned().collect();
        let on_disk = status.revision.clone();
        status.running = match undone.on_disk {
            true => on_disk.clone(),
            false => undone.running.clone(),
        };
        self.confirm(self.status.running.clone());
        self.judge(Judged {
            verdict: match undone.on_disk {
                true => Kind::Patched,
                false => Kind::Undone,
            },
            functions: undone.functions.clone(),
            confirmed: true,
            notes: undone.notes.clone(),
            ms: Some(undone.ms),
            ..Judged::of(on_disk)
        });
    }

    fn live(&mut self, live: &Live) {
        let called = live.called.iter().map(|function| (function, true));
        let not_called = live.not_called.iter().map(|function| (function, false));
        for (function, called) in called.chain(not_called) {
            if let Some(known) = self.functions.get_mut(function) {
                known.called = Some(called);
            }
        }
        let functions = live.not_called.iter();
        self.status.not_called = functions
            .map(|function| Function {
                function: function.clone(),
                generation: live.generation,
            })
            .collect();
    }

    fn broken(&mut self, broken: &Broken, revision: Option<String>) {
        self.judge(Judged {
            verdict: Kind::Broken,
            rendered: Some(broken.rendered.clone()),
            diagnostics: broken.diagnostics.clone(),
            file: broken.file.clone(),
            line: broken.line,
            ..Judged::of(revision)
        });
    }
}

impl Judged {
    fn of(revision: Option<String>) -> Self {
        Self {
            revision,
            ..Self::default()
        }
    }
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

/// What the session's socket answers with: what is written down at once, all else in its turn.
pub(super) struct Desk {
    pub(super) ledger: Ledger,
    pub(super) screen: Screen,
    pub(super) messages: Mutex<Sender<Message>>,
}

impl Answers for Desk {
    fn answer(&self, request: Request, reply: Sender<Reply>) {
        match request {
            Request::Status {} => {
                let _ = reply.send(Reply::Status(Box::new(self.ledger.status())));
            }
            Request::List {} => {
                let functions = self.ledger.functions();
                let _ = reply.send(Reply::Functions { functions });
            }
            other => {
                let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
                // A session that ends drops the reply's sender, which is told.
                let _ = messages.send(Message::Asked(other, reply));
            }
        }
    }

    fn attach(&self) -> (Vec<String>, Receiver<String>) {
        self.screen.listen()
    }
}
