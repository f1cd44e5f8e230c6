//! A session at a terminal: questions, answers, keys, and whose the keyboard is.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hotpatch_tests::LIMIT;
use hotpatch_tests::events::Event;
use hotpatch_tests::programs::{
    FIRST_BUILD, Shim, edit_and_be_refused, expect_answer, expect_confirmed_patch, expect_patch,
    expect_refusal, is_running, program, wait_until, with_session,
};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::{At, Options, Session};

fn at(terminal: At, options: &[&str]) -> Options {
    Options {
        terminal,
        env: vec![("CARGO_TERM_COLOR".to_owned(), "never".into())],
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        ..Options::default()
    }
}

/// Changes texts that stand in `src/main.rs` once, in one save.
fn edit(project: &Project, edits: &[(&str, &str)]) -> Result<()> {
    let path = project.root().join("src/main.rs");
    let mut text = fs::read_to_string(&path)?;
    for (from, to) in edits {
        ensure!(text.matches(from).count() == 1, "`{from}` in {text}");
        text = text.replace(from, to);
    }
    Ok(fs::write(path, text)?)
}

/// Waits until the screen shows `text` for the `count`th time.
fn shows(session: &Session, text: &str, count: usize) -> Result<()> {
    wait_until(&format!("`{text}`, {count} times"), || {
        Ok(session.stderr().matches(text).count() >= count)
    })
}

fn kept(restarted: &Event) -> Result<Vec<String>> {
    restarted.list("kept", None)
}

const ELSEWHERE: &str = "restart to use it: `cargo hotpatch restart` in another terminal";
const KEYS: &str = "restart? [y]es [n]o [a]lways ne[v]er ";
const INSIST: &str = "restart all the same? [y]es [n]o ";

#[test]
fn answers_are_remembered_for_each_code() -> Result<()> {
    let project = program("idle", "answers")?;
    with_session(&project, &at(At::Terminal, &[]), |session| {
        session.ready(FIRST_BUILD)?;
        let old = session.pid()?;
        edit_and_be_refused(
            session,
            &project,
            &[("fn boot() {", "fn boot() { let _ = 1;")],
        )?;
        shows(session, KEYS, 1)?;
        session.type_keys("y")?;
        session.restarted()?;
        ensure!(session.pid()? != old, "it is the old program");

        edit_and_be_refused(session, &project, &[("let _ = 1;", "let _ = 2;")])?;
        shows(session, KEYS, 2)?;
        session.type_keys("n")?;

        // For good: no more questions about this code,
        edit_and_be_refused(session, &project, &[("let _ = 2;", "let _ = 3;")])?;
        shows(session, KEYS, 3)?;
        session.type_keys("a")?;
        session.restarted()?;
        edit_and_be_refused(session, &project, &[("let _ = 3;", "let _ = 4;")])?;
        session.restarted()?;

        // but about another one, whose answer is another one, too.
        let old = session.pid()?;
        let field = [
            ("left: u8,", "left: u8, right: u8,"),
            ("left: 1", "left: 1, right: 2"),
        ];
        edit(&project, &field)?;
        expect_refusal(session, "HP0101")?;
        shows(session, KEYS, 4)?;
        session.type_keys("v")?;
        edit(
            &project,
            &[("right: 2", "right: 3"), ("right: u8", "right: u16")],
        )?;
        expect_refusal(session, "HP0101")?;
        shows(
            session,
            "   = restart to use it; `cargo hotpatch explain HP0101`",
            1,
        )?;
        ensure!(session.pid()? == old);
        session.check_alive()?;
        ensure!(
            session.stderr().matches(KEYS).count() == 4,
            "it asked again"
        );
        session.stop().map(drop)
    })
}

#[test]
fn a_program_that_reads_the_terminal_gets_all_that_is_typed() -> Result<()> {
    let project = program("server", "lines")?;
    with_session(&project, &at(At::Terminal, &[]), |session| {
        session.ready(FIRST_BUILD)?;
        let old = session.pid()?;
        edit_and_be_refused(session, &project, &[])?;
        shows(session, ELSEWHERE, 1)?;
        ensure!(!session.stderr().contains("[y]es"), "it asked");
        let terminal = session.terminal.as_ref().context("a terminal")?;
        ensure!(terminal.is_as_it_was()?, "keys are read one by one");
        for word in ["y", "n", "r", "always"] {
            session.type_keys(&format!("{word}\n"))?;
            ensure!(session.talk.hear()? == format!("base {word}"));
        }
        ensure!(session.pid()? == old);
        session.stop().map(drop)
    })
}

#[test]
fn a_program_that_begins_to_read_gets_the_keyboard_back() -> Result<()> {
    let project = program("idle", "late")?;
    project.replace(
        "src/main.rs",
        "std::thread::park();",
        "std::thread::park_timeout(std::time::Duration::from_millis(20));
        if std::fs::exists(\"now\").is_ok_and(|now| now) {
            println!(\"{}\", std::io::stdin().lines().next().unwrap().unwrap());
        }",
    )?;
    with_session(&project, &at(At::Terminal, &[]), |session| {
        session.ready(FIRST_BUILD)?;
        edit_and_be_refused(
            session,
            &project,
            &[("fn boot() {", "fn boot() { let _ = 1;")],
        )?;
        shows(session, KEYS, 1)?;
        fs::write(project.root().join("now"), "")?;
        shows(session, "the program reads the keyboard now", 1)?;
        let terminal = session.terminal.as_ref().context("a terminal")?;
        ensure!(terminal.is_as_it_was()?, "keys are read one by one");
        ensure!(session.talk.hear()? == "1");
        session.type_keys("y\n")?;
        ensure!(session.talk.hear()? == "y");
        session.stop().map(drop)
    })
}

/// A session at a terminal whose program draws on all of it.
fn painting(name: &str, test: impl FnOnce(&mut Session, &Project) -> Result<()>) -> Result<()> {
    let project = program("painter", name)?;
    let mut options = at(At::Terminal, &[]);
    options.env.push(("TERM".to_owned(), "xterm".into()));
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        shows(session, "<<painted>>", 1)?;
        test(session, &project)
    })
}

/// What was written to the terminal since the program had it to itself, without titles.
fn painted_over(session: &Session) -> String {
    let screen = session.stderr();
    let (_, since) = screen.rsplit_once("<<painted>>").unwrap_or_default();
    let mut left = String::new();
    let mut rest = since;
    while let Some((before, title)) = rest.split_once("\x1b]2;") {
        left += &before.replace("\x1b[22;2t", "");
        rest = title.split_once('\x07').map_or("", |(_, after)| after);
    }
    left + rest
}

#[test]
fn a_program_that_draws_is_not_written_over_and_loses_no_key() -> Result<()> {
    painting("painted", |session, project| {
        expect_confirmed_patch(session, project, "base", "patched")?;
        shows(session, "\x1b]2;Confirmed gen 1 in ", 1)?;
        session.type_keys("x")?;
        ensure!(session.talk.hear()? == "patched x");

        edit(project, &[("fn told(", "fn tod(")])?;
        session.expect("broken")?;
        shows(session, "\x1b]2;Broken src/main.rs does not compile", 1)?;
        edit(project, &[("fn tod(", "fn told(")])?;
        session.expect("unchanged")?;
        edit_and_be_refused(session, project, &[])?;
        shows(session, "\x1b]2;refused HP0103: ", 1)?;
        // None of them answers a question, ends the session or restarts anything.
        for key in ["y", "n", "r", "\x03", "\r"] {
            session.type_keys(key)?;
            let heard = format!("patched {}", key.escape_debug());
            ensure!(session.talk.hear()? == heard);
        }
        let over = painted_over(session);
        ensure!(over.is_empty(), "written over it: {over:?}");

        // What waited comes once the screen is free, and the title that was there before.
        session.type_keys("q")?;
        session.expect("exited")?;
        shows(session, "Keys r restarts the program", 1)?;
        let screen = session.stderr();
        let (_, after) = screen.split_once("<<left>>").context("it left")?;
        for text in [
            "\x1b[23;2t",
            "Patched told (gen 1) in ",
            "Confirmed gen 1 in ",
            "Broken src/main.rs does not compile",
            "refused HP0103: ",
            ELSEWHERE,
            "Exited with status 0",
        ] {
            ensure!(after.contains(text), "`{text}` is not in {after}");
        }
        session.stop().map(drop)
    })
}

#[test]
fn what_cargo_says_of_a_manifest_waits_as_well() -> Result<()> {
    painting("painted_manifest", |session, project| {
        let manifest = fs::read_to_string(project.root().join("Cargo.toml"))?;
        let broken = manifest.replace(
            "[dependencies]",
            "[dependencies]\nno-such-library = { path = \"nowhere\" }",
        );
        fs::write(project.root().join("Cargo.toml"), broken)?;
        let event = session.expect("broken")?;
        ensure!(
            event.text("rendered").contains("no-such-library"),
            "{event}"
        );
        fs::write(project.root().join("Cargo.toml"), manifest)?;
        session.expect("unchanged")?;
        session.type_keys("x")?;
        ensure!(session.talk.hear()? == "base x");
        let over = painted_over(session);
        ensure!(over.is_empty(), "written over it: {over:?}");
        session.stop().map(drop)
    })
}

#[test]
fn a_program_that_dies_leaves_a_terminal_that_can_be_used() -> Result<()> {
    painting("painted_death", |session, _| {
        session.type_keys("a")?;
        ensure!(session.talk.hear()? == "base a");
        session.expect("exited")?;
        // Back from the alternate screen, with a cursor.
        shows(session, "\x1b[?1047l\x1b[?25h", 1)?;
        shows(session, "Keys r restarts the program", 1)?;
        let old = session.pid()?;
        session.type_keys("r")?;
        session.restarted()?;
        ensure!(session.pid()? != old);
        shows(session, "<<painted>>", 2)?;
        session.type_keys("q")?;
        ensure!(session.talk.hear()? == "base q");
        session.expect("exited")?;
        session.type_keys("q")?;
        session.wait(LIMIT)?;
        let terminal = session.terminal.as_ref().context("a terminal")?;
        ensure!(terminal.is_as_it_was()?, "the terminal was not put back");
        Ok(())
    })
}

#[test]
fn a_changed_layout_costs_one_key_and_no_state() -> Result<()> {
    let project = program("keeper", "one_key")?;
    with_session(&project, &at(At::TerminalWithInput, &[]), |session| {
        session.ready(FIRST_BUILD)?;
        shows(session, "Keys r restarts the program", 1)?;
        expect_answer(session, "step", "base 1")?;
        expect_answer(session, "hit", "101")?;
        let field = "    ticks: u64,\n    #[serde(default)]\n    name: String,\n";
        let value = "{ ticks: 0, name: String::new() }";
        edit(
            &project,
            &[("    ticks: u64,\n", field), ("{ ticks: 0 }", value)],
        )?;
        expect_refusal(session, "HP0101")?;
        shows(session, KEYS, 1)?;
        session.type_keys("y")?;
        let (restarted, _) = session.restarted()?;
        ensure!(kept(&restarted)? == ["hits", "world"], "{restarted}");
        expect_answer(session, "step", "base 2")?;

        // At any time, without any edit.
        let old = session.pid()?;
        session.type_keys("xr")?;
        let (restarted, _) = session.restarted()?;
        ensure!(kept(&restarted)? == ["world"], "{restarted}");
        ensure!(session.pid()? != old);
        expect_answer(session, "step", "base 3")?;
        expect_answer(session, "hit", "102")?;

        let terminal = session.terminal.as_ref().context("a terminal")?;
        ensure!(!terminal.is_as_it_was()?, "keys are read line by line");
        session.stop()?;
        let terminal = session.terminal.as_ref().context("a terminal")?;
        ensure!(terminal.is_as_it_was()?, "the terminal was not put back");
        Ok(())
    })
}

#[test]
fn state_is_lost_only_if_somebody_insists() -> Result<()> {
    let project = program("keeper", "insist")?;
    with_session(&project, &at(At::TerminalWithInput, &[]), |session| {
        session.ready(FIRST_BUILD)?;
        expect_answer(session, "step", "base 1")?;
        expect_answer(session, "hit", "101")?;
        expect_answer(session, "hold", "held")?;
        let old = session.pid()?;
        for (count, answer) in [(1, "n"), (2, "y")] {
            session.type_keys("r")?;
            let put_off = session.expect("not_restarted")?;
            ensure!(put_off.list("names", None)? == ["world"], "{put_off}");
            shows(session, INSIST, count)?;
            session.check_alive()?;
            expect_answer(session, "hit", &format!("{}", 101 + count))?;
            session.type_keys(answer)?;
        }
        let (restarted, _) = session.restarted()?;
        ensure!(session.pid()? != old);
        ensure!(kept(&restarted)? == ["hits"], "{restarted}");
        expect_answer(session, "step", "base 1")?;
        expect_answer(session, "hit", "104")?;
        session.stop().map(drop)
    })
}

#[test]
fn what_is_typed_is_the_programs_while_it_runs() -> Result<()> {
    let project = program("server", "typed")?;
    with_session(&project, &at(At::Terminal, &[]), |session| {
        session.ready(FIRST_BUILD)?;
        let old = session.pid()?;
        session.type_keys("r\n")?;
        ensure!(session.talk.hear()? == "base r");
        ensure!(
            session
                .terminal
                .as_ref()
                .context("a terminal")?
                .is_as_it_was()?
        );
        // And the tool's while it does not.
        session.type_keys("exit 3\n")?;
        session.expect("exited")?;
        shows(session, "Keys r restarts the program", 1)?;
        session.type_keys("r")?;
        session.restarted()?;
        ensure!(session.pid()? != old);
        session.type_keys("r\n")?;
        ensure!(session.talk.hear()? == "base r");
        session.stop().map(drop)
    })
}

#[test]
fn without_standard_input_the_keyboard_is_the_tools() -> Result<()> {
    let project = program("idle", "no_stdin")?;
    with_session(&project, &at(At::Terminal, &["--no-stdin"]), |session| {
        session.ready(FIRST_BUILD)?;
        let old = session.pid()?;
        let input = fs::read_link(format!("/proc/{old}/fd/0"))?;
        ensure!(input.as_os_str() == "/dev/null", "{}", input.display());
        session.type_keys("r")?;
        session.restarted()?;
        ensure!(session.pid()? != old);
        session.stop().map(drop)
    })
}

/// A session whose compiler hangs over an edit, and the compiler's process id.
fn hanging(
    name: &str,
    test: impl FnOnce(&mut Session, &Project, &Shim, u32) -> Result<()>,
) -> Result<()> {
    let project = program("server", name)?;
    let shim = Shim::new(&project, Path::new(env!("CARGO_BIN_EXE_tool-shim")))?;
    let mut options = at(At::TerminalWithInput, &[]);
    options.env.extend(shim.env());
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        shim.set("rustc hang")?;
        project.replace("src/main.rs", "\"base ", "\"older ")?;
        let hanging = shim.folder().join("hanging");
        wait_until("the compiler hangs", || {
            Ok(fs::read_to_string(&hanging).is_ok_and(|pid| !pid.is_empty()))
        })?;
        let compiler = fs::read_to_string(&hanging)?.parse()?;
        test(session, &project, &shim, compiler)
    })
}

#[test]
fn a_restart_ends_the_work_on_a_patch() -> Result<()> {
    hanging("restart_hanging", |session, project, shim, compiler| {
        shim.set("")?;
        session.type_keys("r")?;
        session.restarted()?;
        wait_until("the compiler is gone", || Ok(!is_running(compiler)))?;
        expect_answer(session, "x", "older x")?;
        expect_patch(session, project, "older", "newer")?;
        session.stop().map(drop)
    })
}

#[test]
fn a_restart_that_fails_leaves_the_work_on_a_patch_to_be_done() -> Result<()> {
    hanging("restart_failing", |session, project, shim, compiler| {
        let old = session.pid()?;
        shim.set("rustc fail")?;
        session.type_keys("r")?;
        // cargo's build, and then the patch after all.
        let words = "cargo build failed, see its output";
        ensure!(session.expect("broken")?.text("rendered") == words);
        let verdict = session.verdict()?;
        ensure!(verdict.name() == "refused", "{verdict}");
        wait_until("the compiler is gone", || Ok(!is_running(compiler)))?;
        ensure!(session.pid()? == old);
        expect_answer(session, "x", "base x")?;
        shim.set("")?;
        expect_patch(session, project, "older", "newer")?;
        expect_answer(session, "x", "newer x")?;
        session.stop().map(drop)
    })
}
