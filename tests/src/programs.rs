//! The small programs of `programs/` under the tool, and `tool-shim`, for tests of what goes wrong.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::LIMIT;
use crate::project::Project;
use crate::session::{Options, Session};
use crate::workspace::{command, rustc, tool};

/// Runs a command of the tool in a project's folder.
pub fn ask_tool(project: &Project, words: &[&str]) -> Result<Output> {
    let output = command(tool()?)
        .arg("hotpatch")
        .args(words)
        .current_dir(project.root())
        .stdin(Stdio::null())
        .output()?;
    Ok(output)
}

/// How long a first build may take, dependencies included.
pub const FIRST_BUILD: Duration = Duration::from_secs(300);

/// A copy of one of the programs, in a folder of its own.
pub fn program(kind: &str, name: &str) -> Result<Project> {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
    let name = format!("errors_{name}");
    let project = Project::copy(&programs.join(kind), &name)?;
    // All share a target folder, where packages are told apart by their names.
    project.replace(
        "Cargo.toml",
        &format!("\"errors_{kind}\""),
        &format!("\"{name}\""),
    )?;
    add_shape(&project)?;
    Ok(project)
}

/// A copy of one of the programs in a session with these options, with this behind its manifest.
pub fn with_program(
    (kind, name, manifest): (&str, &str, &str),
    options: &Options,
    test: impl FnOnce(&Project, &mut Session) -> Result<()>,
) -> Result<()> {
    let project = program(kind, name)?;
    let path = project.root().join("Cargo.toml");
    let text = fs::read_to_string(&path)?;
    fs::write(path, text + manifest)?;
    with_session(&project, options, |session| {
        session.ready(FIRST_BUILD)?;
        test(&project, session)?;
        session.stop().map(drop)
    })
}

/// The number that decides the type of a static.
const SHAPE: &str = "const SHAPE: usize = ";

/// Gives a program a static whose type can be changed: no running program can follow that.
pub fn add_shape(project: &Project) -> Result<()> {
    let path = project.root().join("src/main.rs");
    let text = fs::read_to_string(&path)?;
    let (before, after) = text.split_once("fn main() ").context("no `main`")?;
    let (returns, body) = after.split_once('{').context("no body")?;
    let text = format!("{before}fn main() {returns}{{ std::hint::black_box(&SHAPED);{body}");
    let of = "std::sync::Mutex";
    let shape = format!("\n{SHAPE}1;\nstatic SHAPED: {of}<[u8; SHAPE]> = {of}::new([0; SHAPE]);\n");
    Ok(fs::write(path, text + &shape)?)
}

/// Makes these edits in one save, and one that is refused as HP0103.
pub fn edit_and_be_refused(
    session: &mut Session,
    project: &Project,
    edits: &[(&str, &str)],
) -> Result<()> {
    let path = project.root().join("src/main.rs");
    let mut text = fs::read_to_string(&path)?;
    for (from, to) in edits {
        ensure!(
            text.matches(from).count() == 1,
            "`{from}` stands there once"
        );
        text = text.replace(from, to);
    }
    let (before, after) = text.split_once(SHAPE).context("no shape")?;
    let (number, after) = after.split_once(';').context("no end")?;
    let number: usize = number.parse()?;
    fs::write(&path, format!("{before}{SHAPE}{};{after}", number + 1))?;
    expect_refusal(session, "HP0103")
}

/// The code of the refusal that answers the last save.
pub fn expect_refusal(session: &mut Session, code: &str) -> Result<()> {
    let verdict = session.expect("refused")?;
    ensure!(verdict.text("code") == code, "{verdict}");
    Ok(())
}

/// Runs a test on a session and shows the session when the test fails.
pub fn with_session(
    project: &Project,
    options: &Options,
    test: impl FnOnce(&mut Session) -> Result<()>,
) -> Result<()> {
    let mut session = Session::start(project, options)?;
    test(&mut session).map_err(|error| error.context(format!("{}\n", session.report())))
}

/// Asks the program and compares its answer.
pub fn expect_answer(session: &mut Session, question: &str, answer: &str) -> Result<()> {
    let given = session.ask(question)?;
    ensure!(
        given == answer,
        "`{question}` was answered `{given}`, not `{answer}`"
    );
    Ok(())
}

/// Edits the answer's first word and expects the edit to go live.
pub fn expect_patch(session: &mut Session, project: &Project, from: &str, to: &str) -> Result<()> {
    project.replace("src/main.rs", &format!("\"{from} "), &format!("\"{to} "))?;
    let verdict = session.verdict()?;
    ensure!(
        verdict.name() == "patched",
        "the edit to `{to}` was not patched: {verdict}"
    );
    Ok(())
}

/// The same, and waits until the exact lane has confirmed what the fast one made of it.
pub fn expect_confirmed_patch(
    session: &mut Session,
    project: &Project,
    from: &str,
    to: &str,
) -> Result<()> {
    project.replace("src/main.rs", &format!("\"{from} "), &format!("\"{to} "))?;
    let verdict = session.verdict()?;
    ensure!(verdict.name() == "patched", "{verdict}");
    if verdict.text("lane") == "fast" {
        session.expect("confirmed")?;
    }
    Ok(())
}

/// The folder through which `tool-shim` is told what to do, with a link for each of its roles.
pub struct Shim(PathBuf);

impl Shim {
    /// A folder beside `project`; `shim` is the binary.
    pub fn new(project: &Project, shim: &Path) -> Result<Shim> {
        let folder = project.beside("shim");
        fs::create_dir_all(&folder)?;
        for role in ["rustc", "cc", "wrapper"] {
            std::os::unix::fs::symlink(shim, folder.join(role))?;
        }
        Ok(Shim(folder))
    }

    /// The folder, where `tool-shim` leaves and finds its files.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Variables that put `rustc` in the compiler's place.
    pub fn env(&self) -> Vec<(String, OsString)> {
        vec![
            ("SHIM_DIR".to_owned(), self.0.clone().into()),
            ("SHIM_RUSTC".to_owned(), rustc()),
            ("RUSTC".to_owned(), self.0.join("rustc").into()),
        ]
    }

    /// Says which role shall fail from now on, and how.
    pub fn set(&self, mode: &str) -> Result<()> {
        Ok(fs::write(self.0.join("mode"), mode)?)
    }

    /// The calls so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.0.join("log")).unwrap_or_default()
    }
}

/// The toolchain's folder as it is, without `rust-lld`.
pub fn sysroot_without_lld(project: &Project) -> Result<PathBuf> {
    let output = command(rustc()).args(["--print", "sysroot"]).output()?;
    let real = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    let fake = project.beside("sysroot");
    let mut folder = PathBuf::new();
    for part in ["lib", "rustlib", &host()?, "bin"] {
        fs::create_dir_all(fake.join(&folder))?;
        for entry in fs::read_dir(real.join(&folder))? {
            let entry = entry?;
            if entry.file_name() != *part {
                let link = fake.join(&folder).join(entry.file_name());
                std::os::unix::fs::symlink(entry.path(), link)?;
            }
        }
        folder.push(part);
    }
    Ok(fake)
}

/// The triple of this machine.
pub fn host() -> Result<String> {
    let output = command(rustc()).arg("-vV").output()?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

/// Waits for something that is no event.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !holds()? {
        ensure!(
            start.elapsed() < LIMIT,
            "it did not happen within {LIMIT:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Waits until the tool has said this: an event may be read before the words that were written ahead of it.
pub fn expect_words(session: &Session, words: &str) -> Result<()> {
    let said = wait_until(words, || Ok(session.stderr().contains(words)));
    said.with_context(|| session.stderr())
}

/// Whether a process is there and not just waiting to be reaped.
pub fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}
