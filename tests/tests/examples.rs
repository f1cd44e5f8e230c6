//! The programs of `examples/`, and the demo, as a person meets them first.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
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
