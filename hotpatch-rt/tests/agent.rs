//! The agent in a real program: compiled by rustc from the embedded sources, spoken to over its socket.

#![cfg(all(feature = "wire", feature = "sources"))]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use hotpatch_rt::sources::SOURCES;
use hotpatch_rt::wire::{
    AGENT_ENV, BuildId, LibraryList, PROTOCOL, Place, Redirect, Request, Response,
};

/// A program that does not answer within this time has failed.
const LIMIT: Duration = Duration::from_secs(60);
const TOKEN: &str = "0123456789abcdef";

/// What all tests run, built once per process.
struct Built {
    launcher: PathBuf,
    patch: PathBuf,
}

fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agent");
        fs::create_dir_all(&dir).expect("the target directory is writable");
        for (name, text) in SOURCES {
            fs::write(dir.join(name), text).expect("the target directory is writable");
        }
        let live = dir.join("libhotpatch_live.rlib");
        let mut live_arg = std::ffi::OsString::from("hotpatch_live=");
        live_arg.push(&live);
        rustc(&dir.join("lib.rs"), &live, |rustc| {
            rustc.args([
                "--crate-name",
                "hotpatch_live",
                "--crate-type",
                "rlib",
                "-O",
                "-Dwarnings",
            ]);
            rustc.args(["--cfg", "feature=\"live\"", "--cfg", "feature=\"wire\""]);
        });
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agent");
        let launcher = dir.join("launcher");
        rustc(&samples.join("launcher.rs"), &launcher, |rustc| {
            rustc
                .args(["-C", "link-arg=-Wl,--build-id", "--extern"])
                .arg(&live_arg);
        });
        let patch = dir.join("libpatch.so");
        rustc(&samples.join("patch.rs"), &patch, |rustc| {
            rustc.args(["--crate-type", "cdylib"]);
        });
        Built { launcher, patch }
    })
}

fn rustc(source: &Path, output: &Path, arguments: impl FnOnce(&mut Command)) {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.args(["--edition", "2024"]);
    arguments(&mut command);
    let status = command
        .arg("-o")
        .arg(output)
        .arg(source)
        .status()
        .expect("rustc starts");
    assert!(status.success(), "rustc failed on {}", source.display());
}

/// A running launcher with its agent.
struct Running {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    cell: u64,
    body: u64,
    constant: u64,
    lock: u64,
    list: u64,
    dir: PathBuf,
}

impl Running {
    fn start(name: &str) -> Running {
        // A socket's path must be short, so it cannot lie in the target directory.
        let dir = std::env::temp_dir().join(format!("hotpatch-rt-{}-{name}", std::process::id()));
        fs::create_dir(&dir).expect("the directory is ours alone");
        let mut child = Command::new(&built().launcher)
            .env(
                AGENT_ENV,
                format!("{TOKEN}:{}", dir.join("socket").display()),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the launcher starts");
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut running = Running {
            child,
            stdin,
            stdout,
            cell: 0,
            body: 0,
            constant: 0,
            lock: 0,
            list: 0,
            dir,
        };
        let ready = running.read_line();
        let words: Vec<&str> = ready.split(' ').collect();
        let ["ready", cell, body, constant, threads, hidden, lock, list] = words[..] else {
            panic!("not the launcher's greeting: {ready}");
        };
        assert_eq!(
            (threads, hidden),
            ("2", "true"),
            "there is a thread, and the variable is gone"
        );
        running.cell = cell.parse().expect("an address");
        running.body = body.parse().expect("an address");
        running.constant = constant.parse().expect("an address");
        running.lock = lock.parse().expect("an address");
        running.list = list.parse().expect("an address");
        running
    }

    fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.stdout
            .read_line(&mut line)
            .expect("the launcher writes text");
        line.trim_end().to_owned()
    }

    /// What the hot function makes of `n`.
    fn call(&mut self, n: u32) -> String {
        self.ask(&n.to_string())
    }

    fn ask(&mut self, line: &str) -> String {
        writeln!(self.stdin, "{line}").expect("the launcher is alive");
        self.read_line()
    }

    fn connect(&self) -> Client {
        let stream = UnixStream::connect(self.dir.join("socket")).expect("the agent listens");
        stream
            .set_read_timeout(Some(LIMIT))
            .expect("the limit is not zero");
        Client { stream }
    }

    /// A client that said hello, the program's load bias, and its build id.
    fn greet(&self) -> (Client, u64, BuildId) {
        let mut client = self.connect();
        let hello = Request::Hello {
            protocol: PROTOCOL,
            token: TOKEN.to_owned(),
        };
        match client.ask(&hello) {
            Response::Hello { pid, bias, image } => {
                assert_eq!(pid, self.child.id());
                assert!(image.0.len() >= 8, "the launcher has a build id");
                (client, bias, image)
            }
            other => panic!("no hello: {other:?}"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

struct Client {
    stream: UnixStream,
}

impl Client {
    fn ask(&mut self, request: &Request) -> Response {
        request.write_to(&mut self.stream).expect("the agent reads");
        Response::read_from(&mut self.stream).expect("the agent answers")
    }

    #[track_caller]
    fn refused(&mut self, request: &Request, reason: &str) {
        match self.ask(request) {
            Response::Refused { reason: given } => {
                assert!(
                    given.contains(reason),
                    "refused for another reason: {given}"
                );
            }
            other => panic!("not refused: {other:?}"),
        }
    }

    fn is_closed(&mut self) -> bool {
        Response::read_from(&mut self.stream)
            .is_err_and(|error| error.kind() == std::io::ErrorKind::UnexpectedEof)
    }
}

/// Asks to lead a cell of the program to a function.
fn redirect(cell: u64, function: Place) -> Request {
    let cell = Place {
        generation: 0,
        offset: cell,
    };
    lead(vec![Redirect { cell, function }])
}

fn lead(redirects: Vec<Redirect>) -> Request {
    Request::Redirect {
        redirects,
        at_checkpoint: true,
    }
}

/// The address of a dynamic symbol in an ELF library, from its section headers.
fn symbol(library: &[u8], name: &str) -> u64 {
    let u16_at = |at: usize| u16::from_le_bytes(library[at..at + 2].try_into().expect("two bytes"));
    let u32_at =
        |at: usize| u32::from_le_bytes(library[at..at + 4].try_into().expect("four bytes"));
    let u64_at =
        |at: usize| u64::from_le_bytes(library[at..at + 8].try_into().expect("eight bytes"));
    let section = |index: usize| u64_at(40) as usize + index * 64;
    const SHT_DYNSYM: u32 = 11;
    let table = (0..usize::from(u16_at(60)))
        .map(section)
        .find(|&at| u32_at(at + 4) == SHT_DYNSYM)
        .expect("a library has dynamic symbols");
    let strings = u64_at(section(u32_at(table + 40) as usize) + 24) as usize;
    let (start, size) = (u64_at(table + 24) as usize, u64_at(table + 32) as usize);
    (start..start + size)
        .step_by(24)
        .find(|&at| {
            let text = &library[strings + u32_at(at) as usize..];
            text.starts_with(name.as_bytes()) && text[name.len()] == 0
        })
        .map(|at| u64_at(at + 8))
        .expect("the symbol is there")
}

#[test]
fn a_patch_goes_live_and_back() {
    let mut running = Running::start("live");
    let (mut client, bias, image) = running.greet();
    let cell = running.cell - bias;
    let offset = symbol(
        &fs::read(&built().patch).expect("it was built"),
        "newer_body",
    );
    let newer = Place {
        generation: 1,
        offset,
    };
    assert_eq!(running.call(1), "2");

    client.refused(&redirect(cell, newer), "generation 1 is not loaded");
    let load = Request::Load {
        generation: 1,
        path: built().patch.clone(),
        image: image.clone(),
    };
    let Response::Loaded { bias: patch_bias } = client.ask(&load) else {
        panic!("not loaded");
    };
    let maps = fs::read_to_string(format!("/proc/{}/maps", running.child.id())).expect("it runs");
    assert!(
        maps.contains(&format!("{patch_bias:x}-")),
        "{patch_bias:x} is not where it lies"
    );
    assert_eq!(running.call(1), "2", "loading alone changes nothing");

    assert_eq!(
        client.ask(&redirect(cell, newer)),
        Response::Redirected { count: 1 }
    );
    assert_eq!(running.call(1), "101");

    // A new conversation finds everything as the last one left it.
    drop(client);
    let (mut client, _, _) = running.greet();
    client.refused(&load, "generation 1 is loaded already");
    let again = Request::Load {
        generation: 2,
        path: built().patch.clone(),
        image,
    };
    client.refused(&again, "the file of the patch is loaded already");
    let base = Place {
        generation: 0,
        offset: running.body - bias,
    };
    assert_eq!(
        client.ask(&redirect(cell, base)),
        Response::Redirected { count: 1 }
    );
    assert_eq!(running.call(1), "2");
}

#[test]
fn one_bad_cell_keeps_all_others_where_they_lead() {
    let mut running = Running::start("cells");
    let (mut client, bias, image) = running.greet();
    let cell = Place {
        generation: 0,
        offset: running.cell - bias,
    };
    let offset = symbol(
        &fs::read(&built().patch).expect("it was built"),
        "newer_body",
    );
    let load = Request::Load {
        generation: 5,
        path: built().patch.clone(),
        image,
    };
    assert!(matches!(client.ask(&load), Response::Loaded { .. }));
    let function = Place {
        generation: 5,
        offset,
    };
    let good = Redirect { cell, function };
    let with = |bad| lead(vec![good, bad]);
    for offset in [cell.offset + 4, running.constant - bias, 0, u64::MAX] {
        let cell = Place { offset, ..cell };
        client.refused(&with(Redirect { cell, function }), "no slot can lie at");
    }
    let code = |generation, offset| Redirect {
        cell,
        function: Place { generation, offset },
    };
    client.refused(&with(code(5, 0)), "is not in the code of generation 5");
    client.refused(
        &with(code(0, cell.offset)),
        "is not in the code of generation 0",
    );
    client.refused(&with(code(6, offset)), "generation 6");
    assert_eq!(running.call(1), "2", "no cell was led elsewhere");
    assert_eq!(client.ask(&with(good)), Response::Redirected { count: 2 });
    assert_eq!(running.call(1), "101");
    assert_eq!(
        client.ask(&lead(Vec::new())),
        Response::Redirected { count: 0 }
    );
}

#[test]
fn who_does_not_know_the_secret_gets_nothing() {
    let mut running = Running::start("secret");
    let hello = |protocol, token: &str| Request::Hello {
        protocol,
        token: token.to_owned(),
    };
    let requests = [
        (hello(PROTOCOL, "0123456789abcdee"), "the token is wrong"),
        (hello(PROTOCOL, ""), "the token is wrong"),
        (
            hello(PROTOCOL + 1, TOKEN),
            &format!(
                "the tool speaks protocol {}, the program {PROTOCOL}",
                PROTOCOL + 1
            ),
        ),
        (lead(Vec::new()), "does not begin with a hello"),
    ];
    for (request, reason) in requests {
        let mut client = running.connect();
        client.refused(&request, reason);
        assert!(client.is_closed());
    }
    // Bytes that are no message end a conversation, and nothing else.
    for garbage in [&[0xff; 8][..], &[1, 0, 0, 0, 9], &[0; 4]] {
        let mut client = running.connect();
        client.stream.write_all(garbage).expect("the agent reads");
        assert!(Response::read_from(&mut client.stream).is_err());
    }
    drop(running.connect());
    let (mut client, _, _) = running.greet();
    client.refused(&hello(PROTOCOL, TOKEN), "a second hello");
    assert_eq!(running.call(1), "2");
}

#[test]
fn a_file_that_is_no_patch_for_this_program_is_refused() {
    let mut running = Running::start("files");
    let (mut client, _, image) = running.greet();
    let load = |path: &Path, image: &BuildId| Request::Load {
        generation: 1,
        path: path.to_owned(),
        image: image.clone(),
    };
    let patch = &built().patch;
    client.refused(
        &load(patch, &BuildId(vec![1; 20])),
        "made for another build",
    );
    client.refused(&load(patch, &BuildId(Vec::new())), "made for another build");
    client.refused(&load(Path::new("libpatch.so"), &image), "not absolute");
    client.refused(&load(&running.dir, &image), "not a regular file");
    client.refused(&load(Path::new("/dev/null"), &image), "not a regular file");
    client.refused(
        &load(&running.dir.join("missing"), &image),
        "failed to read the patch",
    );
    let base = Request::Load {
        generation: 0,
        path: patch.clone(),
        image: image.clone(),
    };
    client.refused(&base, "generation 0 is loaded already");

    let library = fs::read(patch).expect("it was built");
    let cut = running.dir.join("cut.so");
    for length in [0, 63, 64, 1000, library.len() / 2, library.len() - 1] {
        fs::write(&cut, &library[..length]).expect("the directory is ours");
        client.refused(&load(&cut, &image), "not a whole library");
    }
    // Whole as to its headers, yet nothing the loader can use: it is up to `dlopen` to say so.
    let mut damaged = library.clone();
    let dynamic = damaged
        .windows(10)
        .position(|bytes| bytes == b"libc.so.6\0");
    if let Some(at) = dynamic {
        damaged[at..at + 9].copy_from_slice(b"missing.x");
        fs::write(&cut, &damaged).expect("the directory is ours");
        client.refused(&load(&cut, &image), "dlopen failed: missing.x");
    }
    assert_eq!(running.call(1), "2", "the program goes on");
    assert!(matches!(
        client.ask(&load(patch, &image)),
        Response::Loaded { .. }
    ));
}

#[test]
fn the_list_of_libraries_is_emptied_under_its_lock() {
    let mut running = Running::start("list");
    let (mut client, bias, _) = running.greet();
    let list = LibraryList {
        lock: running.lock - bias,
        lock_size: 8,
        list: running.list - bias,
        empty: 1_u64.to_le_bytes().to_vec(),
    };
    let relist = |list: &LibraryList| Request::Relist { list: list.clone() };
    assert_eq!(running.ask("lock"), "locked");
    client.refused(&relist(&list), "a backtrace is being taken");
    assert_eq!(running.ask("list"), "2", "somebody has the lock");
    assert_eq!(running.ask("unlock"), "unlocked");
    let not_there = "not where it was looked for";
    let with = |change: &dyn Fn(&mut LibraryList)| {
        let mut list = list.clone();
        change(&mut list);
        relist(&list)
    };
    let constant = running.constant - bias;
    client.refused(&with(&|list| list.lock_size = 16), not_there);
    client.refused(&with(&|list| list.lock += 2), not_there);
    client.refused(&with(&|list| list.lock = constant), not_there);
    client.refused(&with(&|list| list.list = constant), not_there);
    client.refused(&with(&|list| list.list = u64::MAX - 3), not_there);
    client.refused(&with(&|list| list.empty = vec![0; 1 << 19]), not_there);
    assert_eq!(running.ask("list"), "2", "nothing was written");
    assert_eq!(client.ask(&relist(&list)), Response::Relisted);
    assert_eq!(running.ask("list"), "1");
    // The lock is free again.
    assert_eq!(running.ask("lock"), "locked");
}

#[test]
fn without_the_variable_there_is_no_agent() {
    let output = Command::new(&built().launcher)
        .env_remove(AGENT_ENV)
        .stdin(Stdio::null())
        .output()
        .expect("the launcher starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains(" 1 true "), "one thread: {stdout}");
    assert!(output.stderr.is_empty());
}

#[test]
fn a_program_whose_agent_cannot_start_runs_all_the_same() {
    let output = Command::new(&built().launcher)
        .env(AGENT_ENV, format!("{TOKEN}:/nonexistent/socket"))
        .stdin(Stdio::null())
        .output()
        .expect("the launcher starts");
    assert!(output.status.success());
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains(" 1 true "), "one thread: {stdout}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.starts_with("cargo-hotpatch: this run cannot be patched: "),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1);
}
