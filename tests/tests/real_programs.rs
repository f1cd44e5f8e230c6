//! Two servers that nobody here wrote: edited while a client's connection is open.
//!
//! Their sources come from the registry at the versions below and are built with the dependencies they were
//! published with, unmodified.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::{Options, Session};
use hotpatch_tests::workspace::{cargo, command, root, shown};
use hotpatch_tests::{LIMIT, skip};
use serde_json::Value;

const DUFS: &str = "0.47.0";
const STATIC_WEB_SERVER: &str = "2.44.1";

/// How long the first build of a server may take.
const FIRST_BUILD: Duration = Duration::from_secs(900);

/// One server, and edits of one of its functions.
struct Server {
    package: &'static str,
    version: &'static str,
    /// The program's arguments that make it serve an empty folder on a port.
    args: fn(port: u16, folder: &str) -> Vec<String>,
    file: &'static str,
    /// The function's full path.
    function: &'static str,
    /// What is asked, what stands in the answer, and the place in the source that says so.
    path: &'static str,
    answer: &'static str,
    code: &'static str,
    /// New code with the new answer, twice.
    edits: [(&'static str, &'static str); 2],
}

#[test]
fn dufs() -> Result<()> {
    edit_while_connected(&Server {
        package: "dufs",
        version: DUFS,
        args: |port, folder| {
            ["--bind", "127.0.0.1", "--port", &port.to_string(), folder]
                .map(str::to_owned)
                .to_vec()
        },
        file: "src/server.rs",
        function: "dufs::server::status_not_found",
        path: "/missing",
        answer: "Not Found",
        code: "body_full(\"Not Found\")",
        edits: [
            ("body_full(\"No such thing\")", "No such thing"),
            (
                "body_full(format!(\"{} at all\", res.status().as_u16()))",
                "404 at all",
            ),
        ],
    })
}

#[test]
fn static_web_server() -> Result<()> {
    edit_while_connected(&Server {
        package: "static-web-server",
        version: STATIC_WEB_SERVER,
        args: |port, folder| {
            [
                "--host",
                "127.0.0.1",
                "--port",
                &port.to_string(),
                "--root",
                folder,
            ]
            .map(str::to_owned)
            .to_vec()
        },
        file: "src/error_page.rs",
        function: "static_web_server::error_page::error_response_inner",
        path: "/missing",
        answer: "<h1>404 Not Found</h1>",
        code: "[status_code.as_str(), \" \", reason].concat()",
        edits: [
            (
                "[reason, \" \", status_code.as_str()].concat()",
                "<h1>Not Found 404</h1>",
            ),
            (
                "format!(\"{reason} ({})\", status_code.as_u16())",
                "<h1>Not Found (404)</h1>",
            ),
        ],
    })
}

fn edit_while_connected(server: &Server) -> Result<()> {
    let Some(source) = published(server)? else {
        return skip("the registry cannot be reached");
    };
    let project = Project::copy_published(&source, &format!("real_{}", server.package))?;
    let served = project.beside("served");
    fs::create_dir_all(&served)?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port();
    let served = served.to_str().context("the folder's name is no text")?;
    let options = Options {
        options: vec!["--no-default-features".to_owned()],
        args: (server.args)(port, served),
        target: root().join("target/real-programs"),
        ..Options::default()
    };
    let mut session = Session::start(&project, &options)?;
    test(server, &project, &mut session, port)
        .map_err(|error| error.context(format!("{}\n", session.report())))
}

fn test(server: &Server, project: &Project, session: &mut Session, port: u16) -> Result<()> {
    session.ready(FIRST_BUILD)?;
    let mut connection = connect(port)?;
    let mut expect = |answer: &str| -> Result<()> {
        let given = get(&mut connection, server.path)?;
        ensure!(
            given.contains(answer),
            "`{answer}` is not in the answer `{given}`"
        );
        Ok(())
    };
    expect(server.answer)?;
    let mut code = server.code;
    for (new_code, answer) in server
        .edits
        .into_iter()
        .chain([(server.code, server.answer)])
    {
        project.replace(server.file, code, new_code)?;
        let verdict = session.verdict()?;
        ensure!(
            verdict.name() == "patched",
            "`{new_code}` was not patched: {verdict}"
        );
        let functions = verdict.list("functions", None)?;
        let is_named = functions.iter().any(|name| name == server.function);
        ensure!(is_named, "{verdict}");
        expect(answer)?;
        code = new_code;
    }
    session.check_alive()?;
    session.stop().map(drop)
}

/// The source of a server in cargo's own store, if cargo can get it.
fn published(server: &Server) -> Result<Option<PathBuf>> {
    static STORE: OnceLock<Result<Option<PathBuf>, String>> = OnceLock::new();
    let store = STORE.get_or_init(|| fetch().map_err(|error| format!("{error:#}")));
    match store {
        Ok(store) => Ok(store
            .as_ref()
            .map(|store| store.join(format!("{}-{}", server.package, server.version)))),
        Err(error) => anyhow::bail!("failed to fetch the servers: {error}"),
    }
}

/// Has cargo fetch both servers and returns the folder into which it unpacked them.
fn fetch() -> Result<Option<PathBuf>> {
    let project = Project::empty("real_fetching")?;
    let manifest = project.root().join("Cargo.toml");
    fs::create_dir_all(project.root().join("src"))?;
    fs::write(project.root().join("src/lib.rs"), "")?;
    let text = format!(
        "[package]\nname = \"real_fetching\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
         [dependencies]\ndufs = \"={DUFS}\"\nstatic-web-server = \"={STATIC_WEB_SERVER}\"\n"
    );
    fs::write(&manifest, text)?;
    let fetched = ["--config=net.offline=false", "--offline"]
        .iter()
        .any(|how| {
            let mut fetch = command(cargo());
            fetch
                .args(["fetch", "--manifest-path"])
                .arg(&manifest)
                .arg(how);
            fetch.output().is_ok_and(|output| output.status.success())
        });
    if !fetched {
        return Ok(None);
    }
    let mut metadata = command(cargo());
    metadata
        .args([
            "metadata",
            "--format-version=1",
            "--offline",
            "--manifest-path",
        ])
        .arg(&manifest);
    let output = metadata.output()?;
    ensure!(
        output.status.success(),
        "{} ended with {}",
        shown(&metadata),
        output.status
    );
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    // Cargo does not list a dependency that has no library, but its source is where the others' are.
    let packages = metadata["packages"].as_array().context("no packages")?;
    let found = packages
        .iter()
        .find(|package| package["name"] == "static-web-server");
    let manifest = found.and_then(|package| package["manifest_path"].as_str());
    let manifest = Path::new(manifest.context("static-web-server was not fetched")?);
    let store = manifest
        .parent()
        .and_then(Path::parent)
        .context("an odd place for a package")?;
    Ok(Some(store.to_owned()))
}

/// Connects once the server listens.
fn connect(port: u16) -> Result<BufReader<TcpStream>> {
    let start = Instant::now();
    loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(stream) => {
                stream.set_read_timeout(Some(LIMIT))?;
                return Ok(BufReader::new(stream));
            }
            Err(error) => ensure!(
                start.elapsed() < LIMIT,
                "the server does not listen: {error}"
            ),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Asks over an open connection and returns the answer's body.
fn get(connection: &mut BufReader<TcpStream>, path: &str) -> Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    connection.get_mut().write_all(request.as_bytes())?;
    let mut length = None;
    loop {
        let mut line = String::new();
        ensure!(
            connection.read_line(&mut line)? > 0,
            "the server closed the connection"
        );
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = Some(value.trim().parse()?);
        }
    }
    let mut body = vec![0; length.context("an answer without a length")?];
    connection.read_exact(&mut body)?;
    Ok(String::from_utf8(body)?)
}
