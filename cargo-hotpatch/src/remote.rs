//! The commands that talk to a session that runs: `attach`, `status`, `wait`, `try`, `restart`, `pause`, `list`, `quit`.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::args::{
    GetArgs, ListArgs, PauseArgs, RestartArgs, SessionArgs, SessionFormat, SetArgs, StatusArgs,
    TryArgs, WaitArgs,
};
use crate::control::client::{self, Connection, sessions};
use crate::control::{Kind, Reply, Request, Settled, Status};
use crate::run::signals::Interrupts;
use crate::ui::keys::Keys;
use crate::ui::page;
use crate::ui::paint::Paint;
use crate::ui::report::{Report, Verbosity};
use crate::ui::seat::{
    render_all_functions, render_functions, render_settled, render_status, render_tried,
    render_variables, short_judged,
};
use crate::ui::terminal::Terminal;

/// Exit status of a refusal, and of a restart that did not happen.
const REFUSED: u8 = 3;
/// Exit status of an edit that does not compile.
const BROKEN: u8 = 4;
/// Exit status if the program has ended.
const ENDED: u8 = 5;
/// Exit status if there is no such session.
const NO_SESSION: u8 = 6;
/// Exit status if there is no verdict yet.
const STILL_WORKING: u8 = 7;

/// Exit status if what is on disk was undone in the program.
const UNDONE: u8 = 8;

/// How long a session may be busy, as with a build, before it takes up what was asked.
pub const PATIENCE: Duration = Duration::from_secs(600);

fn report(args: &SessionArgs) -> Report {
    Report::new(Terminal::of_stderr(args.color), Verbosity::Normal)
}

/// All sessions, each with how things stand.
type Sessions = Vec<(Status, Connection)>;

/// The sessions that are meant, those of this workspace or the one that an option names; and all others.
fn meant(args: &SessionArgs) -> Result<(Sessions, Sessions)> {
    let here = std::env::current_dir().context("failed to find the working directory")?;
    let here = here.canonicalize().unwrap_or(here);
    let is_meant = |(status, _): &(Status, Connection)| {
        let is_named = args
            .pid
            .is_none_or(|pid| status.session == pid || status.pid == Some(pid));
        let is_of = args
            .package
            .as_ref()
            .is_none_or(|name| *name == status.package);
        // A process id names one session of all.
        let is_here = args.pid.is_some() || here.starts_with(&status.workspace);
        is_named && is_of && is_here
    };
    Ok(sessions().into_iter().partition(is_meant))
}

/// There is no session, or more than one, where one is meant.
#[derive(Debug)]
pub struct NoOneSession {
    /// Those that may be meant, or else all that there are.
    pub sessions: Vec<Status>,
    /// Some may be meant.
    pub are_meant: bool,
}

/// The one session that is meant.
///
/// # Errors
/// Sessions cannot be looked for.
pub fn find(args: &SessionArgs) -> Result<Result<(Status, Connection), NoOneSession>> {
    let (mut found, others) = meant(args)?;
    if found.len() == 1
        && let Some(one) = found.pop()
    {
        return Ok(Ok(one));
    }
    let are_meant = !found.is_empty();
    let sessions = if are_meant { found } else { others };
    Ok(Err(NoOneSession {
        sessions: sessions.into_iter().map(|(status, _)| status).collect(),
        are_meant,
    }))
}

/// The one session that is meant; what is wrong is said if there is none, or more than one.
fn one(args: &SessionArgs, report: &Report) -> Result<Option<(Status, Connection)>> {
    match find(args)? {
        Ok(one) => Ok(Some(one)),
        Err(none) => {
            report.no_one_session(&none);
            Ok(None)
        }
    }
}

/// What the session that is meant answers, or the exit status if there is no answer, which is said.
fn ask(
    args: &SessionArgs,
    report: &Report,
    request: &Request,
    limit: Duration,
) -> Result<Result<Reply, u8>> {
    let Some((status, mut connection)) = one(args, report)? else {
        return Ok(Err(NO_SESSION));
    };
    Ok(match connection.ask(request, Some(limit)) {
        Ok(Some(Reply::Ended {})) => {
            report.not_done("the session has ended");
            Err(NO_SESSION)
        }
        Ok(Some(reply)) => Ok(reply),
        Ok(None) => {
            report.still_working(status.session, limit);
            Err(STILL_WORKING)
        }
        // It ended while it was asked.
        Err(error) => {
            report.fatal(error.as_ref());
            Err(NO_SESSION)
        }
    })
}

/// Asks the session that is meant and says what came of it. `refused` is the exit status if it was not done.
fn tell(args: &SessionArgs, request: &Request, refused: u8) -> Result<u8> {
    let report = report(args);
    match ask(args, &report, request, PATIENCE)? {
        Ok(Reply::Done { message }) => {
            report.done(&message);
            Ok(0)
        }
        Ok(Reply::Failed { message }) => {
            report.not_done(&message);
            Ok(refused)
        }
        Ok(other) => Err(unexpected(&other)),
        Err(status) => Ok(status),
    }
}

fn unexpected(reply: &Reply) -> anyhow::Error {
    anyhow::anyhow!("the session answered with something unexpected: {reply:?}")
}

/// `cargo hotpatch status`.
///
/// # Errors
/// Sessions cannot be looked for.
pub fn status(args: &StatusArgs) -> Result<u8> {
    let report = report(&args.session);
    let (found, _) = meant(&args.session)?;
    if found.is_empty() {
        one(&args.session, &report)?;
        return Ok(NO_SESSION);
    }
    for (status, _) in &found {
        match args.json {
            true => page::print(&format!("{}\n", serde_json::to_string(status)?)),
            false => page::print(&render_status(paint(&args.session), status)),
        }
    }
    Ok(0)
}

/// Colours for standard output, where they are wanted.
fn paint(args: &SessionArgs) -> Paint {
    Paint {
        color: Terminal::of_stdout(args.color).color,
    }
}

/// `cargo hotpatch list`.
///
/// # Errors
/// The session is gone.
pub fn list(args: &ListArgs) -> Result<u8> {
    let report = report(&args.status.session);
    let request = match (&args.filter, args.all) {
        (None, false) => Request::List {},
        (filter, _) => Request::Functions {
            filter: filter.clone().unwrap_or_default(),
        },
    };
    let paint = paint(&args.status.session);
    let text = match ask(&args.status.session, &report, &request, PATIENCE)? {
        Ok(Reply::Functions { functions }) if args.status.json => json(&functions)?,
        Ok(Reply::Functions { functions }) => render_functions(paint, &functions),
        Ok(Reply::AllFunctions { functions }) if args.status.json => json(&functions)?,
        Ok(Reply::AllFunctions { functions }) => render_all_functions(paint, &functions),
        Ok(Reply::Failed { message }) => {
            report.not_done(&message);
            return Ok(REFUSED);
        }
        Ok(other) => return Err(unexpected(&other)),
        Err(status) => return Ok(status),
    };
    page::print(&text);
    Ok(0)
}

fn json(of: &impl serde::Serialize) -> Result<String> {
    Ok(format!("{}\n", serde_json::to_string(of)?))
}

/// `cargo hotpatch get`.
///
/// # Errors
/// The session is gone.
pub fn get(args: &GetArgs) -> Result<u8> {
    let report = report(&args.status.session);
    let request = Request::Variables {
        filter: args.name.clone().unwrap_or_default(),
    };
    let variables = match ask(&args.status.session, &report, &request, PATIENCE)? {
        Ok(Reply::Variables { variables }) => variables,
        Ok(Reply::Failed { message }) => {
            report.not_done(&message);
            return Ok(REFUSED);
        }
        Ok(other) => return Err(unexpected(&other)),
        Err(status) => return Ok(status),
    };
    if let (Some(name), true) = (&args.name, variables.is_empty()) {
        report.not_done(&format!("the program has no variable `{name}`"));
        return Ok(REFUSED);
    }
    page::print(&match args.status.json {
        true => json(&variables)?,
        false => render_variables(paint(&args.status.session), &variables),
    });
    Ok(0)
}

/// `cargo hotpatch set`.
///
/// # Errors
/// The session is gone.
pub fn set(args: &SetArgs) -> Result<u8> {
    let request = Request::Set {
        name: args.name.clone(),
        value: args.value.clone(),
    };
    tell(&args.session, &request, REFUSED)
}

/// `cargo hotpatch wait`.
///
/// # Errors
/// The session says what is not understood.
pub fn wait(args: &WaitArgs) -> Result<u8> {
    let report = report(&args.session);
    let request = Request::Wait { since: args.since };
    let limit = Duration::from_secs(args.timeout.max(1));
    let settled = match ask(&args.session, &report, &request, limit)? {
        Ok(Reply::Settled(settled)) => *settled,
        Ok(other) => return Err(unexpected(&other)),
        Err(status) => return Ok(status),
    };
    page::print(&match args.format.chosen() {
        SessionFormat::Json => format!("{}\n", serde_json::to_string(&settled)?),
        SessionFormat::Human => render_settled(paint(&args.session), &settled),
        SessionFormat::Short => short_judged(&settled.judged),
    });
    Ok(match &settled {
        Settled { paused: true, .. } => STILL_WORKING,
        Settled { pid: None, .. } => ENDED,
        Settled { judged, .. } => exit_of(judged.verdict),
    })
}

/// `cargo hotpatch try`.
///
/// # Errors
/// The session says what is not understood.
pub fn try_out(args: &TryArgs) -> Result<u8> {
    let report = report(&args.session);
    let judged = match ask(&args.session, &report, &Request::Try {}, PATIENCE)? {
        Ok(Reply::Tried(judged)) => *judged,
        Ok(Reply::Failed { message }) => {
            report.not_done(&message);
            return Ok(ENDED);
        }
        Ok(other) => return Err(unexpected(&other)),
        Err(status) => return Ok(status),
    };
    page::print(&match args.format.chosen() {
        SessionFormat::Json => format!("{}\n", serde_json::to_string(&judged)?),
        SessionFormat::Human => render_tried(paint(&args.session), &judged),
        SessionFormat::Short => short_judged(&judged),
    });
    Ok(exit_of(judged.verdict))
}

fn exit_of(verdict: Kind) -> u8 {
    match verdict {
        Kind::Patched | Kind::Restarted | Kind::Unchanged => 0,
        Kind::Undone => UNDONE,
        Kind::Refused => REFUSED,
        Kind::Broken => BROKEN,
    }
}

/// `cargo hotpatch restart`.
///
/// # Errors
/// The session is gone.
pub fn restart(args: &RestartArgs) -> Result<u8> {
    let request = Request::Restart {
        insist: args.force,
        clean: args.clean,
    };
    tell(&args.session, &request, REFUSED)
}

/// `cargo hotpatch undo` and `redo`.
///
/// # Errors
/// The session is gone.
pub fn step(args: &SessionArgs, is_redo: bool) -> Result<u8> {
    let request = match is_redo {
        true => Request::Redo {},
        false => Request::Undo {},
    };
    tell(args, &request, REFUSED)
}

/// `cargo hotpatch give-up`.
///
/// # Errors
/// The session is gone.
pub fn give_up(args: &SessionArgs) -> Result<u8> {
    tell(args, &Request::GiveUp {}, REFUSED)
}

/// `cargo hotpatch pause`.
///
/// # Errors
/// The session is gone.
pub fn pause(args: &PauseArgs) -> Result<u8> {
    let request = match args.off {
        true => Request::Resume {},
        false => Request::Pause {},
    };
    tell(&args.session, &request, REFUSED)
}

/// `cargo hotpatch quit`.
///
/// # Errors
/// The session is gone.
pub fn quit(args: &SessionArgs) -> Result<u8> {
    tell(args, &Request::Quit {}, REFUSED)
}

/// What `attach` waits for.
enum News {
    Said(String),
    Key(char),
    Ended,
}

/// `cargo hotpatch attach`.
///
/// # Errors
/// The session cannot be asked.
pub fn attach(args: &SessionArgs) -> Result<u8> {
    let report = report(args);
    let Some((status, mut connection)) = one(args, &report)? else {
        return Ok(NO_SESSION);
    };
    report.attached(&status);
    let (news, inbox) = channel();
    let asking = connection.asking()?;
    client::ask(&asking, &Request::Attach {})?;
    let ended = news.clone();
    let _interrupts = Interrupts::listen(move |_| {
        let _ = ended.send(News::Ended);
    })
    .context("failed to listen for signals")?;
    let typed = news.clone();
    // Without a terminal there is nobody to type.
    let _keys = Keys::read(report.screen(), move |key| {
        let _ = typed.send(News::Key(char::from(key)));
    });
    connection.endless()?;
    thread::spawn(move || {
        loop {
            match connection.hear() {
                Ok(Some(Reply::Said { text })) => drop(news.send(News::Said(text))),
                Ok(_) => {}
                Err(_) => {
                    let _ = news.send(News::Ended);
                    return;
                }
            }
        }
    });
    loop {
        match inbox.recv()? {
            News::Said(text) => report.text(&text),
            // Who watches leaves; the session goes on.
            News::Key('d') => return Ok(0),
            News::Key(key) => client::ask(&asking, &Request::Key { key })?,
            News::Ended => {
                report.detached();
                return Ok(0);
            }
        }
    }
}
