//! The programs of `examples/`, and the demo, as a person meets them first.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use hotpatch_tests::programs::{FIRST_BUILD, ask_tool, wait_until, with_session};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::Options;
use hotpatch_tests::workspace::{cargo, command, executables, root, tool};

/// The program of this name, built as `cargo build` in `examples/` does.
fn example(name: &str) -> Result<PathBuf> {
    let built = executables(
        command(cargo())
            .current_dir(root().join("examples"))
            .args(["build", "--locked", "--package", name, "--target-dir"])
            .arg(root().join("target/examples-plain")),
    )?;
    built.into_iter().next().context("no program was built")
}

/// A program that is ended with the test.
struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(mut command: Command) -> Result<Running> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("no standard output")?;
        let output = BufReader::new(output);
        Ok(Running { child, output })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_counter_counts() -> Result<()> {
    let mut counter = Running::start(command(example("counter")?))?;
    ensure!(counter.line()? == "tick   1: total 1\n");
    ensure!(counter.line()? == "tick   2: total 2\n");
    Ok(())
}

#[test]
fn the_cells_live() -> Result<()> {
    let mut life = Running::start(command(example("life")?))?;
    loop {
        let line = life.line()?;
        ensure!(!line.is_empty(), "it ended");
        if line.starts_with("generation 1,") {
            return Ok(());
        }
    }
}

#[test]
fn the_server_answers_on_one_connection() -> Result<()> {
    let mut server = command(example("server")?);
    // Any port that is free.
    server.arg("0");
    let mut server = Running::start(server)?;
    let line = server.line()?;
    let address = line
        .trim()
        .strip_prefix("serving http://")
        .context("no address")?;
    let mut stream = TcpStream::connect(address)?;
    for visit in 1..=2 {
        stream.write_all(b"GET /here HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let body = format!("<h1>Hello from /here</h1><p>Visit number {visit}</p>\n");
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: ";
        let expected = format!("{head}{}\r\n\r\n{body}", body.len());
        let mut answer = vec![0; expected.len()];
        stream.read_exact(&mut answer)?;
        ensure!(String::from_utf8_lossy(&answer) == expected);
    }
    Ok(())
}

#[test]
fn the_demo_shows_three_edits_and_cleans_up() -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let mut demo = command(tool()?);
    demo.args(["hotpatch", "demo", "--auto"])
        .env("TMPDIR", temporary.path())
        .stdin(Stdio::null());
    let output = demo.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "it ended with {}\n{said}",
        output.status
    );
    for (generation, function) in [(1, "step"), (2, "points"), (3, "step")] {
        let verdict = format!("Patched {function} (gen {generation}) in ");
        ensure!(said.contains(&verdict), "no `{verdict}` in\n{said}");
    }
    ensure!(said.matches("Kept its state: tick ").count() == 3, "{said}");
    ensure!(said.contains("Done 3 edits went live"), "{said}");
    let left: Vec<_> = fs::read_dir(temporary.path())?.collect();
    ensure!(left.is_empty(), "it left {left:?}");
    Ok(())
}

#[test]
fn the_demo_keeps_its_copy_when_asked_to() -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let mut demo = command(tool()?);
    demo.args(["hotpatch", "demo", "--auto", "--keep"])
        .env("TMPDIR", temporary.path())
        .stdin(Stdio::null());
    let output = demo.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    let entry = fs::read_dir(temporary.path())?
        .find(|entry| {
            entry
                .as_ref()
                .is_ok_and(|entry| entry.path().join("Cargo.toml").is_file())
        })
        .context("the copy is gone")??;
    let text = fs::read_to_string(entry.path().join(Path::new("src/main.rs")))?;
    ensure!(
        text.contains("fn bar(ticks: u64)"),
        "the edits are not in it"
    );
    Ok(())
}

/// A copy of an example as a project of its own, to be edited.
fn copied(name: &str) -> Result<Project> {
    let project = Project::empty(&format!("example_{name}"))?;
    let source = root().join("examples").join(name);
    fs::create_dir_all(project.root().join("src"))?;
    fs::copy(
        source.join("src/main.rs"),
        project.root().join("src/main.rs"),
    )?;
    let runtime = format!("\"{}\"", root().join("hotpatch-rt").display());
    let manifest = fs::read_to_string(source.join("Cargo.toml"))?;
    let manifest = manifest.replace("\"../../hotpatch-rt\"", &runtime) + "\n[workspace]\n";
    fs::write(project.root().join("Cargo.toml"), manifest)?;
    fs::copy(
        root().join("examples/Cargo.lock"),
        project.root().join("Cargo.lock"),
    )?;
    Ok(project)
}

/// Status and body of an answer.
fn http(port: u16, method: &str, path: &str, body: &str) -> Result<(String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    let status = head.split(' ').nth(1).context("no status")?;
    Ok((status.to_owned(), body.to_owned()))
}

#[test]
fn routes_come_change_and_go_while_the_server_runs() -> Result<()> {
    let project = copied("routes")?;
    let port = std::net::TcpListener::bind(("127.0.0.1", 0))?
        .local_addr()?
        .port();
    let options = Options {
        args: vec![port.to_string()],
        ..Options::default()
    };
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        wait_until("it serves", || Ok(http(port, "GET", "/", "").is_ok()))?;
        // The hook is called when the verdict is out already.
        let becomes = |method: &str, path: &str, body: &str, status: &str, wanted: &str| {
            let mut given = (String::new(), String::new());
            wait_until("the answer is the new one", || {
                given = http(port, method, path, body)?;
                Ok(given.0 == status && given.1.contains(wanted))
            })
            .with_context(|| format!("{method} {path}: {given:?}"))
        };
        let save = |from: &str, to: &str| -> Result<()> {
            project.replace("src/main.rs", from, to)?;
            let output = ask_tool(&project, &["wait"])?;
            let words = String::from_utf8_lossy(&output.stdout).into_owned();
            ensure!(output.status.code() == Some(0), "{from}: {words}");
            Ok(())
        };
        let visits = || -> Result<u64> {
            let (_, body) = http(port, "GET", "/", "")?;
            let count = body.split_whitespace().last().context("no count")?;
            Ok(count.parse()?)
        };
        let question = "{\"number\": 4}";
        becomes("POST", "/double", question, "200", "{\"doubled\":8}")?;
        becomes("GET", "/greet/you", "", "404", "")?;
        let before = visits()?;

        // A route more.
        save(
            ".route(\"/\", get(index))",
            ".route(\"/\", get(index))\n        .route(\"/greet/{name}\", get(greet))",
        )?;
        becomes("GET", "/greet/you", "", "200", "hello you")?;
        // The body of its handler.
        save("\"hello {name}\\n\"", "\"good day {name}\\n\"")?;
        becomes("GET", "/greet/you", "", "200", "good day you")?;
        // What is sent: a field more.
        project.replace_all(
            "src/main.rs",
            &[
                ("    doubled: i64,", "    of: i64,\n    doubled: i64,"),
                (
                    "    Json(Answer {",
                    "    Json(Answer {\n        of: question.number,",
                ),
            ],
        )?;
        let output = ask_tool(&project, &["wait"])?;
        ensure!(output.status.code() == Some(0));
        becomes(
            "POST",
            "/double",
            question,
            "200",
            "{\"of\":4,\"doubled\":8}",
        )?;
        // What is taken: another extractor.
        save(
            "async fn index() -> String {",
            "async fn index(request: Request) -> String {\n    let _ = request.uri();",
        )?;
        // One that goes.
        save("\n        .route(\"/double\", post(double))", "")?;
        becomes("POST", "/double", question, "404", "")?;
        // The process is the same one, with its state.
        ensure!(visits()? > before);
        session.check_alive()?;
        session.stop().map(drop)
    })
}
