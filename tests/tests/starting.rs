//! How a session starts: flags and variables of the user, what the program is given, what is built.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};

use anyhow::{Context, Result, ensure};
use hotpatch_tests::programs::{
    FIRST_BUILD, Shim, expect_answer, expect_patch, host, program, wait_until, with_session,
};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::{BOTH_LANES, Options, Session};
use hotpatch_tests::workspace::{artifacts, cargo, command, hot_target, tool};

/// Runs the tool with an empty input, which ends a program that it starts, to its own end.
fn run_to_end(
    project: &Project,
    options: &[&str],
    env: &[(&str, &str)],
) -> Result<(ExitStatus, String)> {
    let options = Options {
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        env: env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.into()))
            .collect(),
        ..Options::default()
    };
    let mut end = None;
    with_session(project, &options, |session| {
        session.talk.close();
        end = Some(session.wait_for_words(FIRST_BUILD)?);
        Ok(())
    })?;
    end.context("the tool did not end")
}

/// A command's output. Its input is empty.
fn end_of(mut command: Command) -> Result<Output> {
    Ok(command.stdin(Stdio::null()).output()?)
}

#[test]
fn flags_that_cannot_work_are_refused_at_the_start() -> Result<()> {
    let project = program("server", "flags")?;
    let foreign = "aarch64-unknown-linux-gnu";
    for (env, named) in [
        (("RUSTFLAGS", "-Cprefer-dynamic"), "prefer-dynamic"),
        (("RUSTFLAGS", "-C prefer-dynamic=yes"), "prefer-dynamic"),
        (("CARGO_BUILD_TARGET", foreign), foreign),
    ] {
        let (status, stderr) = run_to_end(&project, &[], &[env])?;
        ensure!(
            !status.success(),
            "{env:?}: the tool says it went well\n{stderr}"
        );
        ensure!(stderr.contains(named), "{env:?}: no `{named}` in\n{stderr}");
        ensure!(
            !stderr.contains("panicked"),
            "{env:?}: the tool panicked\n{stderr}"
        );
    }
    Ok(())
}

#[test]
fn the_agent_is_compiled_once_for_all_projects() -> Result<()> {
    let projects = [
        program("server", "agent_one")?,
        program("server", "agent_two")?,
    ];
    let shim = Shim::new(&projects[0], Path::new(env!("CARGO_BIN_EXE_tool-shim")))?;
    let cache = projects[0].beside("cache");
    let compiled = || shim.log().matches("--crate-name hotpatch_live ").count();
    for project in &projects {
        let mut options = Options {
            env: shim.env(),
            target: project.beside("target"),
            ..Options::default()
        };
        let home = ("XDG_CACHE_HOME".to_owned(), cache.clone().into());
        options.env.push(home);
        with_session(project, &options, |session| {
            session.ready(FIRST_BUILD)?;
            expect_patch(session, project, "base", "one")?;
            expect_answer(session, "x", "one x")?;
            session.stop().map(drop)
        })?;
        ensure!(compiled() == 1, "{}", shim.log());
    }
    Ok(())
}

#[test]
fn unknown_flags_are_usage_errors() -> Result<()> {
    let project = program("server", "usage")?;
    for (options, named) in [
        (["--no-such-flag", ""], "--no-such-flag"),
        (["--on-refuse", "shrug"], "shrug"),
    ] {
        let options: Vec<&str> = options
            .into_iter()
            .filter(|option| !option.is_empty())
            .collect();
        let (status, stderr) = run_to_end(&project, &options, &[])?;
        ensure!(
            status.code() == Some(2),
            "{options:?} ended with {}",
            status
        );
        ensure!(stderr.contains(named), "no `{named}` in\n{stderr}");
    }
    // Both ways of calling a cargo subcommand.
    for words in [&["hotpatch", "run", "--help"][..], &["run", "--help"]] {
        let mut help = command(tool()?);
        help.args(words);
        let output = end_of(help)?;
        ensure!(
            output.status.success(),
            "{words:?} ended with {}",
            output.status
        );
        ensure!(
            String::from_utf8_lossy(&output.stdout).contains("--events"),
            "{words:?}"
        );
    }
    Ok(())
}

#[test]
fn a_program_that_does_not_compile_at_the_start() -> Result<()> {
    let project = program("server", "start")?;
    project.replace("src/main.rs", "format!(\"base {text}\")", "text")?;
    let (status, stderr) = run_to_end(&project, &[], &[])?;
    ensure!(!status.success(), "the tool says it went well\n{stderr}");
    ensure!(
        stderr.contains("mismatched types"),
        "no diagnostics in\n{stderr}"
    );
    ensure!(
        stderr.contains("src/main.rs:7:5"),
        "the place is not in\n{stderr}"
    );
    Ok(())
}

#[test]
fn an_agent_that_does_not_compile() -> Result<()> {
    let project = program("server", "agent")?;
    let shim = Shim::new(&project, Path::new(env!("CARGO_BIN_EXE_tool-shim")))?;
    shim.set("rustc fail-on hotpatch_live")?;
    let mut options = Options {
        env: shim.env(),
        target: project.beside("target"),
        ..Options::default()
    };
    // Where no agent is yet, as in the target folder.
    let home = ("XDG_CACHE_HOME".to_owned(), project.beside("cache").into());
    options.env.push(home);
    let mut end = None;
    with_session(&project, &options, |session| {
        end = Some(session.wait_for_words(FIRST_BUILD)?);
        Ok(())
    })?;
    let (status, said) = end.context("the tool did not end")?;
    ensure!(!status.success(), "the tool says it went well\n{said}");
    for part in [
        "failed to compile the agent",
        "rustc --crate-name hotpatch_live",
        "shim: told to fail on hotpatch_live",
        "could not compile `errors_agent`",
    ] {
        ensure!(said.contains(part), "no `{part}` in\n{said}");
    }
    shim.set("")?;
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        expect_patch(session, &project, "base", "one")?;
        expect_answer(session, "x", "one x")?;
        session.stop().map(drop)
    })
}

/// Variables that may differ from `cargo run`: the shell's note of the last command.
const MAY_DIFFER: [&str; 1] = ["_"];

#[test]
fn a_program_is_started_as_cargo_run_starts_it() -> Result<()> {
    use std::io::Write;
    let project = program("environment", "environment")?;
    let args = ["one", "two words", "--three", ""].map(str::to_owned);
    let mut run = command(cargo());
    run.arg("run")
        .arg("--manifest-path")
        .arg(project.root().join("Cargo.toml"))
        .arg("--")
        .args(&args);
    // `cargo` itself was started with these variables, so the tool is too.
    run.current_dir(project.root())
        .env("CARGO", cargo())
        .env("CARGO_TARGET_DIR", hot_target())
        .env(BOTH_LANES, "1");
    run.stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = run.spawn()?;
    child
        .stdin
        .take()
        .context("the input is piped")?
        .write_all(b"a line\n3\n")?;
    let plain = child.wait_with_output()?;
    ensure!(
        plain.status.code() == Some(3),
        "{}",
        String::from_utf8_lossy(&plain.stderr)
    );
    let plain = String::from_utf8(plain.stdout)?;
    let comparable = |lines: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        let excepted = |line: &str| {
            MAY_DIFFER
                .iter()
                .any(|name| line.starts_with(&format!("variable {name:?} ")))
        };
        lines
            .filter(|line| !excepted(line))
            .map(str::to_owned)
            .collect()
    };

    let options = Options {
        args: args.to_vec(),
        ..Options::default()
    };
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line| line != "end") {
            lines.push(session.talk.hear()?);
        }
        session.talk.say("a line")?;
        lines.push(session.talk.hear()?);
        let hot = comparable(&mut lines.iter().map(String::as_str));
        let plain = comparable(&mut plain.lines());
        let odd = plain
            .iter()
            .filter(|line| !hot.contains(line))
            .map(|line| format!("- {line}\n"));
        let odd: String = odd
            .chain(
                hot.iter()
                    .filter(|line| !plain.contains(line))
                    .map(|line| format!("+ {line}\n")),
            )
            .collect();
        ensure!(
            hot == plain,
            "`cargo run` (-) and the tool (+) differ:\n{odd}"
        );
        ensure!(
            session.stderr().contains("to the errors"),
            "the error output is lost"
        );
        session.talk.say("3")?;
        let exited = session.expect("exited")?;
        ensure!(exited.number("code")? == 3, "{exited}");
        session.stop().map(drop)
    })
}

#[test]
fn third_party_crates_are_built_once() -> Result<()> {
    let project = program("server", "shared_builds")?;
    let target = project.beside("target");
    let options = Options {
        target: target.clone(),
        ..Options::default()
    };
    let session = |edit: (&str, &str)| {
        with_session(&project, &options, |session| {
            session.ready(FIRST_BUILD)?;
            expect_patch(session, &project, edit.0, edit.1)?;
            session.stop().map(drop)
        })
    };
    session(("base", "one"))?;
    let built = third_party(&target)?;
    ensure!(!built.is_empty(), "the session built no third-party crate");

    let mut build = command(cargo());
    build
        .args(["build", "--manifest-path"])
        .arg(project.root().join("Cargo.toml"));
    build
        .current_dir(project.root())
        .env("CARGO_TARGET_DIR", &target);
    for message in artifacts(&mut build)? {
        let package = message["package_id"].as_str().unwrap_or_default();
        if package.starts_with("registry+") {
            ensure!(
                message["fresh"] == true,
                "a plain build after a session built {package} again"
            );
        }
    }
    ensure!(
        third_party(&target)? == built,
        "a plain build after a session built dependencies again"
    );
    session(("one", "two"))?;
    ensure!(
        third_party(&target)? == built,
        "a session after a plain build built dependencies again"
    );
    // And the program of the plain build is untouched by the session.
    let again = artifacts(&mut build)?;
    ensure!(
        again
            .iter()
            .all(|message| message["fresh"] == true || !message["executable"].is_null())
    );
    Ok(())
}

/// The libraries of the registry's crates in a target folder, with the time they were written.
fn third_party(target: &Path) -> Result<Vec<(String, std::time::SystemTime)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(target.join("debug/deps"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = [
            "libsyn-",
            "libquote-",
            "libproc_macro2-",
            "libunicode_ident-",
        ];
        if known.iter().any(|known| name.starts_with(known)) {
            found.push((name, entry.metadata()?.modified()?));
        }
    }
    found.sort();
    Ok(found)
}

#[test]
fn the_users_flags_wrapper_and_linker_keep_working() -> Result<()> {
    let project = program("flags", "user_flags")?;
    let shim = Shim::new(&project, Path::new(env!("CARGO_BIN_EXE_tool-shim")))?;
    let mut options = Options {
        env: shim.env(),
        // Empty, so that all crates are compiled and the wrapper is called.
        target: project.beside("target"),
        ..Options::default()
    };
    options.env.push((
        "RUSTC_WRAPPER".to_owned(),
        shim.folder().join("wrapper").into(),
    ));
    let flags = "--cfg from_rustflags -Clink-arg=-fuse-ld=bfd -Clink-self-contained=-linker";
    options.env.push(("RUSTFLAGS".to_owned(), flags.into()));
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        let log = shim.log();
        ensure!(
            log.lines().any(|line| line.starts_with("wrapper ")),
            "the wrapper was not called"
        );
        expect_answer(session, "x", "base flagged x")?;
        expect_patch(session, &project, "base", "new")?;
        expect_answer(session, "x", "new flagged x")?;
        session.stop().map(drop)
    })
}

#[test]
fn link_time_optimisation_from_a_variable_is_turned_off() -> Result<()> {
    let project = program("server", "lto")?;
    let mut options = Options::default();
    options.options.push("--release".to_owned());
    let variable = ("CARGO_PROFILE_RELEASE_LTO".to_owned(), "fat".into());
    options.env.push(variable);
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        let said = session.stderr();
        ensure!(
            said.contains("`lto` of profile `release` is off in this build"),
            "{said}"
        );
        expect_patch(session, &project, "base", "one")?;
        expect_answer(session, "x", "one x")?;
        session.stop().map(drop)
    })
}

#[test]
fn another_program_than_the_one_that_was_built() -> Result<()> {
    let project = program("server", "stranger")?;
    let other = project.beside("other");
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        fs::copy(format!("/proc/{}/exe", session.pid()?), &other)?;
        session.stop().map(drop)
    })?;
    project.replace("src/main.rs", "\"base ", "\"built ")?;
    let runner = project.beside("runner");
    fs::write(&runner, format!("#!/bin/sh\nexec '{}'\n", other.display()))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&runner, mode)?;
    let variable = format!(
        "CARGO_TARGET_{}_RUNNER",
        host()?.to_uppercase().replace('-', "_")
    );
    let options = Options {
        env: vec![(variable, runner.into())],
        ..Options::default()
    };
    with_session(&project, &options, |session| {
        let said = |session: &Session, words: &str| {
            wait_until(words, || Ok(session.stderr().ends_with(words)))
        };
        expect_answer(session, "x", "base x")?;
        said(
            session,
            "\
failed to make this run ready for edits: the running program is not the one this session built
   = the program runs on; its edits are refused until it restarts
",
        )?;
        project.replace("src/main.rs", "\"built ", "\"edited ")?;
        let refused = session.expect("refused")?;
        ensure!(refused.text("code") == "HP0403", "{refused}");
        said(
            session,
            "\
refused HP0403: the running program is not the one this session built
  --> src/main.rs
   = restart to use it; `cargo hotpatch explain HP0403`
",
        )?;
        expect_answer(session, "y", "base y")?;
        session.stop().map(drop)
    })
}

#[test]
fn a_program_without_an_agent_runs_and_its_edits_are_refused() -> Result<()> {
    let project = program("server", "no_agent")?;
    let runner = project.beside("runner");
    // Where the agent is to listen is a link to itself.
    let script = "#!/bin/sh\nat=${CARGO_HOTPATCH_AGENT#*:}\nln -s \"$at\" \"$at\"\nexec \"$@\"\n";
    fs::write(&runner, script)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&runner, mode)?;
    let variable = format!(
        "CARGO_TARGET_{}_RUNNER",
        host()?.to_uppercase().replace('-', "_")
    );
    let options = Options {
        env: vec![(variable, runner.into())],
        ..Options::default()
    };
    with_session(&project, &options, |session| {
        expect_answer(session, "x", "base x")?;
        wait_until("the setback", || {
            let said = session.stderr();
            Ok(said.contains("failed to make this run ready for edits: ")
                && said.contains("cargo-hotpatch: this run cannot be patched: "))
        })?;
        project.replace("src/main.rs", "\"base ", "\"edited ")?;
        let refused = session.expect("refused")?;
        ensure!(refused.text("code") == "HP0001", "{refused}");
        let said = "
refused HP0001: this run cannot be patched: failed to reach the agent in the program: ";
        wait_until("the refusal", || Ok(session.stderr().contains(said)))?;
        expect_answer(session, "y", "base y")?;
        session.stop().map(drop)
    })
}

#[test]
fn a_nightly_toolchain() -> Result<()> {
    let which = |tool: &str| -> Result<Option<OsString>> {
        let mut which = command("rustup");
        which.args(["which", "--toolchain", "nightly", tool]);
        let Ok(output) = end_of(which) else {
            return Ok(None);
        };
        let path = String::from_utf8(output.stdout)?;
        Ok(output.status.success().then(|| path.trim().into()))
    };
    let (Some(cargo), Some(rustc)) = (which("cargo")?, which("rustc")?) else {
        // Whether there is one is the machine's matter; nothing the project ships needs it.
        eprintln!("not run: no nightly toolchain is installed");
        return Ok(());
    };
    let project = program("server", "nightly")?;
    let mut options = Options::default();
    options.env.push(("CARGO".to_owned(), cargo));
    options.env.push(("RUSTC".to_owned(), rustc));
    options
        .env
        .push(("RUSTUP_TOOLCHAIN".to_owned(), "nightly".into()));
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        expect_patch(session, &project, "base", "nightly")?;
        expect_answer(session, "x", "nightly x")?;
        session.stop().map(drop)
    })
}
