//! `--listen`: a server that is restarted under load fails no request and loses no visit.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use hotpatch_tests::LIMIT;
use hotpatch_tests::programs::{
    FIRST_BUILD, add_shape, edit_and_be_refused, program, wait_until, with_session,
};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::{Options, Session};
use hotpatch_tests::workspace::{root, runtime};

/// How often the server is restarted.
const RESTARTS: usize = 10;

/// Clients that use one connection for as long as the server lets them, and clients with a new one each time.
const CLIENTS: [bool; 6] = [true, true, true, false, false, false];

/// A copy of `examples/web`, with the versions that the examples are locked to.
fn web(name: &str) -> Result<Project> {
    let project = Project::empty(name)?;
    let examples = root().join("examples");
    let manifest = fs::read_to_string(examples.join("web/Cargo.toml"))?;
    let runtime = format!("path = \"{}\"", runtime().display());
    // All share a target folder, where packages are told apart by their names.
    let manifest = manifest.replace("name = \"web\"", &format!("name = \"{name}\""));
    let manifest = manifest.replace("path = \"../../hotpatch-rt\"", &runtime) + "\n[workspace]\n";
    fs::create_dir_all(project.root().join("src"))?;
    fs::write(project.root().join("Cargo.toml"), manifest)?;
    let main = project.root().join("src/main.rs");
    fs::copy(examples.join("web/src/main.rs"), main)?;
    fs::copy(
        examples.join("Cargo.lock"),
        project.root().join("Cargo.lock"),
    )?;
    add_shape(&project)?;
    Ok(project)
}

fn listening(on_refuse: &str) -> Options {
    let options = ["--listen", "127.0.0.1:0", "--on-refuse", on_refuse];
    Options {
        options: options.map(str::to_owned).to_vec(),
        ..Options::default()
    }
}

/// Where the tool listens, as `ready` says.
fn address(session: &mut Session) -> Result<SocketAddr> {
    let ready = session.ready(FIRST_BUILD)?;
    let addresses = ready.list("listen", None)?;
    let address = addresses.first().context("it listens nowhere")?;
    Ok(address.parse()?)
}

/// A client's connection.
struct Connection {
    stream: BufReader<TcpStream>,
    /// Whether a request was answered on it.
    used: bool,
}

impl Connection {
    fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address).context("connecting")?;
        stream.set_read_timeout(Some(LIMIT))?;
        Ok(Connection {
            stream: BufReader::new(stream),
            used: false,
        })
    }

    /// Asks for a page. Nothing if the server closed the connection, which was used before, without a word:
    /// as HTTP allows it to (RFC 9112, 9.3.1), and as every client expects.
    fn get(&mut self) -> Result<Option<String>> {
        let request = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";
        let mut line = String::new();
        let began = self
            .stream
            .get_mut()
            .write_all(request)
            .and_then(|()| self.stream.read_line(&mut line));
        match began {
            Ok(count) if count > 0 => {}
            Ok(_) if self.used => return Ok(None),
            Ok(_) => bail!("a new connection was closed without an answer"),
            Err(error) if self.used && line.is_empty() && is_reset(&error) => return Ok(None),
            Err(error) => return Err(error).context("a request failed"),
        }
        ensure!(line == "HTTP/1.1 200 OK\r\n", "the answer is {line:?}");
        let mut length = 0;
        loop {
            let mut header = String::new();
            ensure!(
                self.stream.read_line(&mut header)? > 0,
                "the answer ends early"
            );
            let header = header.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).context("the body")?;
        self.used = true;
        Ok(Some(String::from_utf8(body)?))
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

/// The number in `… Visit number 7</p>`.
fn visit(page: &str) -> Result<u64> {
    let number = page.split_once("Visit number ").context("no number")?.1;
    Ok(number.split('<').next().unwrap_or_default().parse()?)
}

/// Asks until `enough`; gives back the visits.
fn visit_often(
    address: SocketAddr,
    keep_alive: bool,
    enough: &AtomicBool,
    answered: &AtomicUsize,
) -> Result<Vec<u64>> {
    let mut visits = Vec::new();
    let mut connection = Connection::open(address)?;
    while !enough.load(Ordering::Relaxed) {
        match connection.get()? {
            Some(page) => {
                visits.push(visit(&page)?);
                answered.fetch_add(1, Ordering::Relaxed);
            }
            None => connection = Connection::open(address)?,
        }
        if !keep_alive {
            connection = Connection::open(address)?;
        }
    }
    Ok(visits)
}

#[test]
fn ten_restarts_under_load_fail_no_request_and_lose_no_visit() -> Result<()> {
    let project = web("listen_web")?;
    with_session(&project, &listening("restart"), |session| {
        let address = address(session)?;
        let (enough, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        let failure: Mutex<Option<anyhow::Error>> = Mutex::new(None);
        let visits = thread::scope(|scope| -> Result<Vec<u64>> {
            let clients: Vec<_> = CLIENTS
                .iter()
                .map(|keep_alive| {
                    let (enough, answered) = (&enough, &answered);
                    scope.spawn(move || visit_often(address, *keep_alive, enough, answered))
                })
                .collect();
            let restarted = restart_often(session, &project, &answered, &clients);
            enough.store(true, Ordering::Relaxed);
            let mut visits = Vec::new();
            for client in clients {
                match client.join().expect("a client does not panic") {
                    Ok(more) => visits.extend(more),
                    Err(error) => *failure.lock().expect("no client panicked") = Some(error),
                }
            }
            if let Some(error) = failure.lock().expect("no client panicked").take() {
                return Err(error.context("a request failed"));
            }
            restarted.map(|()| visits)
        })?;
        let distinct: BTreeSet<u64> = visits.iter().copied().collect();
        ensure!(distinct.len() == visits.len(), "a visit was counted twice");
        let last = distinct.last().copied().unwrap_or_default();
        ensure!(
            u64::try_from(visits.len())? == last,
            "{} visits were answered, but the last one is number {last}",
            visits.len()
        );
        session.stop().map(drop)
    })
}

/// Restarts the server under the clients' load: each time there are answers before and after.
fn restart_often<T>(
    session: &mut Session,
    project: &Project,
    answered: &AtomicUsize,
    clients: &[thread::ScopedJoinHandle<'_, T>],
) -> Result<()> {
    let more_answers = || {
        let before = answered.load(Ordering::Relaxed);
        wait_until("answers", || {
            let failed = clients.iter().any(thread::ScopedJoinHandle::is_finished);
            Ok(failed || answered.load(Ordering::Relaxed) > before + CLIENTS.len())
        })
    };
    for _ in 0..RESTARTS {
        more_answers()?;
        edit_and_be_refused(session, project, &[])?;
        let (restarted, between) = session.restarted()?;
        ensure!(restarted.list("kept", None)? == ["visits"], "{restarted}");
        ensure!(between.is_empty(), "{between:?}");
    }
    more_answers()
}

#[test]
fn what_cannot_be_saved_at_the_end_is_as_it_was_before() -> Result<()> {
    let project = web("listen_stale")?;
    let with_guard = "    std::mem::forget(VISITS.lock());\n    Ok(())\n}\n\n/// Answers";
    project.replace("src/main.rs", "    Ok(())\n}\n\n/// Answers", with_guard)?;
    with_session(&project, &listening("restart"), |session| {
        let address = address(session)?;
        let visits = |number: u64| -> Result<()> {
            let page = Connection::open(address)?.get()?.context("no answer")?;
            ensure!(visit(&page)? == number, "{page}");
            Ok(())
        };
        visits(1)?;
        visits(2)?;
        let edit = ("\"serving http", "\"serving: http");
        edit_and_be_refused(session, &project, &[edit])?;
        // The next process is told of the old one's end before it is there.
        let (lost, events) = session.wait_for("lost")?;
        ensure!(lost.list("names", None)? == ["visits"], "{lost}");
        let message = lost.text("message");
        let end = " is still held; it is as it was when the program was asked to end";
        ensure!(message.ends_with(end), "{message}");
        let restarted = events.into_iter().find(|event| event.name() == "restarted");
        let restarted = match restarted {
            Some(restarted) => restarted,
            None => session.wait_for("restarted")?.0,
        };
        ensure!(restarted.list("kept", None)? == ["visits"], "{restarted}");
        visits(3)?;
        session.stop().map(drop)
    })
}

#[test]
fn the_environment_is_cargo_runs_but_for_the_convention() -> Result<()> {
    let project = program("environment", "listen_environment")?;
    let lines = |options: Options| -> Result<(u32, Vec<String>)> {
        let mut lines = Vec::new();
        let mut pid = 0;
        with_session(&project, &options, |session| {
            session.ready(FIRST_BUILD)?;
            pid = session.pid()?;
            while lines.last().is_none_or(|line| line != "end") {
                lines.push(session.talk.hear()?);
            }
            session.stop().map(drop)
        })?;
        Ok((pid, lines))
    };
    let (_, plain) = lines(Options::default())?;
    let mut options = listening("stay");
    options
        .options
        .extend(["--listen", "[::1]:0"].map(str::to_owned));
    let (pid, given) = lines(options)?;
    let more: Vec<&String> = given.iter().filter(|line| !plain.contains(line)).collect();
    let expected = [("LISTEN_FDS", "2"), ("LISTEN_PID", &pid.to_string())].map(|(name, value)| {
        // As the program hides values.
        let mut hasher = DefaultHasher::new();
        OsString::from(value).hash(&mut hasher);
        format!("variable {name:?} {:016x}", hasher.finish())
    });
    ensure!(more == expected.iter().collect::<Vec<_>>(), "{more:?}");
    let missing: Vec<&String> = plain.iter().filter(|line| !given.contains(line)).collect();
    ensure!(missing.is_empty(), "{missing:?}");
    Ok(())
}

#[test]
fn an_address_that_cannot_be_had_is_said_at_the_start() -> Result<()> {
    let project = program("server", "listen_taken")?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let taken = taken.local_addr()?.to_string();
    for address in [taken.as_str(), "nonsense"] {
        let options = Options {
            options: vec!["--listen".to_owned(), address.to_owned()],
            ..Options::default()
        };
        with_session(&project, &options, |session| {
            let (status, said) = session.wait_for_words(FIRST_BUILD)?;
            ensure!(status.code() == Some(101), "{status}");
            let expected = format!("failed to listen on `{address}`");
            ensure!(said.contains(&expected), "{said}");
            Ok(())
        })?;
    }
    Ok(())
}
