//! What users put around rustc keeps working: their linker, sccache, a wrapper for the workspace's crates.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use hotpatch_tests::programs::{
    FIRST_BUILD, Shim, expect_answer, expect_confirmed_patch, expect_patch, program, with_session,
};
use hotpatch_tests::session::Options;
use hotpatch_tests::skip;
use hotpatch_tests::workspace::{artifacts, cargo, command};
use serde_json::Value;

fn is_installed(tool: &str) -> bool {
    let mut question = command(tool);
    question.arg("--version").stdin(Stdio::null());
    question
        .output()
        .is_ok_and(|output| output.status.success())
}

#[test]
fn mold_as_the_users_linker() -> Result<()> {
    if !is_installed("mold") {
        return skip("mold is not installed");
    }
    let project = program("server", "mold")?;
    let mut options = Options::default();
    let flags = "-C link-arg=-fuse-ld=mold";
    options.env.push(("RUSTFLAGS".to_owned(), flags.into()));
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        // Linkers leave their names.
        let linked = fs::read(format!("/proc/{}/exe", session.pid()?))?;
        let names_mold = linked.windows(5).any(|bytes| bytes == b"mold ");
        ensure!(names_mold, "the program was not linked by mold");
        expect_answer(session, "x", "base x")?;
        expect_patch(session, &project, "base", "one")?;
        expect_answer(session, "x", "one x")?;
        // A function that nothing called when the program was linked.
        let (old, new) = (
            "format!(\"one {text}\")",
            "format!(\"two {}\", u32::from_str_radix(text, 16).unwrap_or(7) % 1000)",
        );
        project.replace("src/main.rs", old, new)?;
        let verdict = session.verdict()?;
        ensure!(verdict.name() == "patched", "{verdict}");
        expect_answer(session, "ff", "two 255")?;
        session.stop().map(drop)
    })
}

/// An sccache server of our own, with its own cache; it ends with this.
struct Sccache(Vec<(String, std::ffi::OsString)>);

impl Sccache {
    fn start(folder: &Path) -> Result<Sccache> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let variables = [
            ("SCCACHE_DIR", folder.into()),
            ("SCCACHE_SERVER_PORT", port.to_string().into()),
            // Should nobody end it.
            ("SCCACHE_IDLE_TIMEOUT", "600".into()),
            // cargo turns it on for development builds, and sccache does not take such calls.
            ("CARGO_INCREMENTAL", "0".into()),
        ];
        let server = Sccache(
            variables
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
        );
        let status = server
            .command(&["--start-server"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        ensure!(status.success(), "sccache does not start: {status}");
        Ok(server)
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = command("sccache");
        command.args(args).envs(self.0.iter().cloned());
        command.stdin(Stdio::null());
        command
    }

    /// How many Rust compiles it took from its cache, and how many not.
    fn hits_and_misses(&self) -> Result<(u64, u64)> {
        let output = self
            .command(&["--show-stats", "--stats-format=json"])
            .output()?;
        let said: Value = serde_json::from_slice(&output.stdout).context("sccache's numbers")?;
        let count = |name: &str| said["stats"][name]["counts"]["Rust"].as_u64().unwrap_or(0);
        Ok((count("cache_hits"), count("cache_misses")))
    }
}

impl Drop for Sccache {
    fn drop(&mut self) {
        let _ = self
            .command(&["--stop-server"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

#[test]
fn sccache_in_cargos_configuration() -> Result<()> {
    if !is_installed("sccache") {
        return skip("sccache is not installed");
    }
    let project = program("server", "sccache")?;
    let sccache = Sccache::start(&project.beside("cache"))?;
    let config = project.root().join(".cargo/config.toml");
    fs::create_dir_all(config.parent().context("a file")?)?;
    fs::write(&config, "[build]\nrustc-wrapper = \"sccache\"\n")?;
    let options = Options {
        env: sccache.0.clone(),
        target: project.beside("target"),
        ..Options::default()
    };
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        expect_patch(session, &project, "base", "one")?;
        expect_answer(session, "x", "one x")?;
        session.stop().map(drop)
    })?;
    let (hits, misses) = sccache.hits_and_misses()?;
    // The three libraries under the macros, at least; none was there before.
    ensure!(misses >= 3, "{misses} compiles went through sccache");
    ensure!(
        hits == 0,
        "{hits} of the workspace's crates came from a cache"
    );

    // A plain build finds the third-party crates, as they were compiled the same way. It has the same target folder,
    // as sccache minds variables of that name.
    fs::remove_dir_all(&options.target)?;
    let mut build = command(cargo());
    build.arg("build").current_dir(project.root());
    build
        .envs(sccache.0.iter().cloned())
        .env("CARGO", cargo())
        .env("CARGO_TARGET_DIR", &options.target);
    artifacts(&mut build)?;
    let (hits, _) = sccache.hits_and_misses()?;
    ensure!(hits >= 3, "a plain build took {hits} crates from the cache");

    // And with a plain build's crates in the cache a session compiles the workspace's own.
    fs::remove_dir_all(&options.target)?;
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        expect_patch(session, &project, "one", "two")?;
        expect_answer(session, "x", "two x")?;
        session.stop().map(drop)
    })
}

#[test]
fn a_wrapper_of_the_workspaces_crates() -> Result<()> {
    let project = program("server", "workspace_wrapper")?;
    let shim = Shim::new(&project, Path::new(env!("CARGO_BIN_EXE_tool-shim")))?;
    let mut options = Options {
        env: shim.env(),
        target: project.beside("target"),
        ..Options::default()
    };
    options.env.push((
        "RUSTC_WORKSPACE_WRAPPER".to_owned(),
        shim.folder().join("wrapper").into(),
    ));
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        let log = shim.log();
        let called = |role: &str, krate: &str| {
            let krate = format!("--crate-name {krate} ");
            log.lines()
                .any(|line| line.starts_with(role) && line.contains(&krate))
        };
        ensure!(called("wrapper ", "errors_workspace_wrapper"), "{log}");
        ensure!(called("rustc ", "unicode_ident"), "{log}");
        ensure!(!called("wrapper ", "unicode_ident"), "{log}");
        expect_patch(session, &project, "base", "one")?;
        expect_answer(session, "x", "one x")?;
        session.stop().map(drop)
    })
}

#[test]
fn a_program_is_compiled_with_its_library_at_one_path() -> Result<()> {
    let project = program("server", "one_path")?;
    let library = project.root().join("src/lib.rs");
    fs::write(&library, "pub fn one() -> u32 {\n    1\n}\n")?;
    let shim = Shim::new(&project, Path::new(env!("CARGO_BIN_EXE_tool-shim")))?;
    let options = Options {
        env: shim.env(),
        target: project.beside("target"),
        ..Options::default()
    };
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        // The program sees more of it now, and is compiled while it is.
        fs::write(
            &library,
            "pub fn one() -> u32 {\n    1\n}\n\npub fn two() {}\n",
        )?;
        let verdict = session.verdict()?;
        ensure!(verdict.name() == "unchanged", "{verdict}");
        expect_confirmed_patch(session, &project, "base", "one")?;
        let log = shim.log();
        let programs = log
            .lines()
            .filter(|line| line.contains("--crate-type bin "));
        let paths: Vec<&str> = programs
            .flat_map(|line| line.split(' '))
            .filter(|word| word.starts_with("errors_one_path="))
            .collect();
        // At first, with the library, and alone: rustc keeps what it knows as long as the path is the same.
        ensure!(paths.len() >= 3, "{paths:?}");
        ensure!(paths.iter().all(|path| *path == paths[0]), "{paths:?}");
        session.stop().map(drop)
    })
}
