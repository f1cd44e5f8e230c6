//! What is asked of a session from outside: `cargo hotpatch status`, `wait`, `restart` and their like, and `attach`.

use std::fs;
use std::path::Path;
use std::process::Child;

use anyhow::{Context, Result, ensure};
use hotpatch_tests::LIMIT;
use hotpatch_tests::lines::Text;
use hotpatch_tests::programs::{
    FIRST_BUILD, Shim, ask_tool, edit_and_be_refused, expect_answer, program, wait_until,
    with_session,
};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::{At, Options, Session};
use hotpatch_tests::terminal::Terminal;
use hotpatch_tests::workspace::{command, tool};
use serde_json::Value;

/// Runs a command that has to end with this status, and gives back what it wrote to its standard output.
fn expect(project: &Project, args: &[&str], status: i32) -> Result<String> {
    let output = ask_tool(project, args)?;
    let words = String::from_utf8_lossy(&output.stderr);
    let said = String::from_utf8(output.stdout)?;
    let ended = output.status.code();
    ensure!(
        ended == Some(status),
        "{args:?} ended with {ended:?}: {said}{words}"
    );
    Ok(said)
}

/// What became of the sources as they are on disk.
fn settled(project: &Project, status: i32) -> Result<Value> {
    let said = expect(project, &["wait", "--json"], status)?;
    serde_json::from_str(&said).context(said)
}

fn status(project: &Project) -> Result<Value> {
    let said = expect(project, &["status", "--json"], 0)?;
    serde_json::from_str(&said).context(said)
}

fn save(project: &Project, from: &str, to: &str) -> Result<()> {
    project.replace("src/main.rs", from, to)
}

#[test]
fn whoever_saves_can_ask_what_became_of_exactly_that() -> Result<()> {
    let project = program("server", "asked")?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        let pid = session.pid()?;
        let first = settled(&project, 0)?;
        ensure!(
            first["verdict"] == "unchanged" && first["pid"] == pid,
            "{first}"
        );
        ensure!(first["session"] == session.tool_pid(), "{first}");

        // Asked at once: the verdict is that of these bytes, and no older one.
        save(&project, "\"base ", "\"newer ")?;
        let patched = settled(&project, 0)?;
        ensure!(
            patched["verdict"] == "patched" && patched["generation"] == 1,
            "{patched}"
        );
        ensure!(
            patched["confirmed"] == true && patched["fix"].is_null(),
            "{patched}"
        );
        ensure!(
            patched["live"]
                .as_array()
                .is_some_and(|live| live.len() == 1),
            "{patched}"
        );
        ensure!(patched["revision"] != first["revision"], "{patched}");
        expect_answer(session, "x", "newer x")?;
        let now = status(&project)?;
        ensure!(
            now["running"] == patched["revision"] && now["pending"] == false,
            "{now}"
        );

        save(&project, "\"newer ", "\"newest \" + 1 + \"")?;
        let broken = settled(&project, 4)?;
        ensure!(
            broken["verdict"] == "broken" && broken["generation"] == 1,
            "{broken}"
        );
        let rendered = broken["rendered"].as_str().unwrap_or_default();
        ensure!(rendered.contains("error"), "{broken}");
        ensure!(broken["fix"]["kind"] == "edit", "{broken}");
        let now = status(&project)?;
        ensure!(now["standing"]["verdict"] == "broken", "{now}");
        ensure!(now["running"] == patched["revision"], "{now}");
        ensure!(now["revision"] == broken["revision"], "{now}");

        // A file that nobody knew of.
        save(&project, "\"newest \" + 1 + \"", "\"newer ")?;
        save(&project, "fn main() ", "mod other;\n\nfn main() ")?;
        ensure!(settled(&project, 4)?["verdict"] == "broken");
        fs::write(project.root().join("src/other.rs"), "")?;
        ensure!(settled(&project, 0)?["verdict"] == "unchanged");
        fs::remove_file(project.root().join("src/other.rs"))?;
        ensure!(settled(&project, 4)?["verdict"] == "broken");
        save(&project, "mod other;\n\nfn main() ", "fn main() ")?;
        save(&project, "\"newer ", "\"newest \" + 1 + \"")?;

        // Back: the same bytes have the same hash.
        save(&project, "\"newest \" + 1 + \"", "\"newer ")?;
        let back = settled(&project, 0)?;
        ensure!(
            back["verdict"] == "unchanged" && back["revision"] == patched["revision"],
            "{back}"
        );
        ensure!(status(&project)?["standing"].is_null());

        save(&project, "const SHAPE: usize = 1", "const SHAPE: usize = 2")?;
        let refused = settled(&project, 3)?;
        ensure!(refused["refusal"]["code"] == "HP0103", "{refused}");
        ensure!(refused["fix"]["kind"] == "restart", "{refused}");
        ensure!(
            refused["live"].as_array().is_some_and(Vec::is_empty),
            "{refused}"
        );

        // Since an earlier generation, everything that is new counts.
        let said = expect(&project, &["wait", "--json", "--since", "0"], 3)?;
        let since: Value = serde_json::from_str(&said)?;
        ensure!(
            since["functions"]
                .as_array()
                .is_some_and(|all| all.len() == 1),
            "{since}"
        );

        expect(&project, &["restart"], 0)?;
        let restarted = settled(&project, 0)?;
        ensure!(
            restarted["verdict"] == "restarted" && restarted["generation"] == 0,
            "{restarted}"
        );
        ensure!(restarted["revision"] == refused["revision"], "{restarted}");
        ensure!(restarted["pid"] != pid, "{restarted}");
        let now = status(&project)?;
        ensure!(
            now["standing"].is_null() && now["running"] == now["revision"],
            "{now}"
        );

        let (ready, _) = session.wait_for("ready")?;
        session.adopt(&ready)?;
        session.talk.say("exit 3")?;
        session.wait_for("exited")?;
        let ended = settled(&project, 5)?;
        ensure!(
            ended["exited"]["code"] == 3 && ended["pid"].is_null(),
            "{ended}"
        );
        session.stop().map(drop)
    })?;
    expect(&project, &["wait", "--json"], 6)?;
    expect(&project, &["status"], 6)?;
    Ok(())
}

#[test]
fn a_wait_ends_while_the_work_goes_on() -> Result<()> {
    let project = program("server", "patience")?;
    let shim = Shim::new(&project, Path::new(env!("CARGO_BIN_EXE_tool-shim")))?;
    let mut options = Options::default();
    options.env.extend(shim.env());
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        shim.set("rustc hang")?;
        save(&project, "\"base ", "\"older ")?;
        let hanging = shim.folder().join("hanging");
        wait_until("the compiler hangs", || {
            Ok(fs::read_to_string(&hanging).is_ok_and(|pid| !pid.is_empty()))
        })?;
        expect(&project, &["wait", "--timeout", "1"], 7)?;
        let now = status(&project)?;
        ensure!(
            now["pending"] == true && now["running"] == now["revision"],
            "{now}"
        );
        // What comes next ends what hangs, and whoever waits hears of that.
        shim.set("")?;
        save(&project, "\"older ", "\"newer ")?;
        let patched = settled(&project, 0)?;
        ensure!(patched["verdict"] == "patched", "{patched}");
        expect_answer(session, "x", "newer x")?;
        session.stop().map(drop)
    })
}

#[test]
fn saves_are_left_alone_while_a_session_is_paused() -> Result<()> {
    let project = program("server", "paused")?;
    let options = Options {
        options: vec!["--timings".to_owned()],
        ..Options::default()
    };
    let timings = options.target.join("hotpatch/timings/errors_paused.html");
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        expect(&project, &["pause"], 0)?;
        save(&project, "\"base ", "\"newer ")?;
        ensure!(settled(&project, 7)?["paused"] == true);
        ensure!(expect(&project, &["status"], 0)?.contains("paused: saves are left alone"));

        // What would become of it, without touching the program.
        let tried = |status| -> Result<Value> {
            let said = expect(&project, &["try", "--json"], status)?;
            serde_json::from_str(&said).context(said)
        };
        for _ in 0..2 {
            let patched = tried(0)?;
            ensure!(patched["verdict"] == "patched", "{patched}");
            ensure!(
                patched["functions"]
                    .as_array()
                    .is_some_and(|all| all.len() == 1)
            );
        }
        save(&project, "const SHAPE: usize = 1", "const SHAPE: usize = 2")?;
        ensure!(tried(3)?["refusal"]["code"] == "HP0103");
        save(&project, "const SHAPE: usize = 2", "const SHAPE: usize = ")?;
        ensure!(tried(4)?["diagnostics"][0]["severity"] == "error");
        save(
            &project,
            "const SHAPE: usize = ;",
            "const SHAPE: usize = 1;",
        )?;
        ensure!(tried(0)?["verdict"] == "patched");
        expect_answer(session, "x", "base x")?;
        expect(&project, &["pause", "--off"], 0)?;
        ensure!(settled(&project, 0)?["verdict"] == "patched");
        expect_answer(session, "x", "newer x")?;
        ensure!(tried(0)?["verdict"] == "unchanged");

        // What a thread is in goes on with its older code, and nothing else does.
        save(
            &project,
            "black_box(&SHAPED);",
            "black_box(&SHAPED); let _ = std::hint::black_box(1);",
        )?;
        let patched = settled(&project, 0)?;
        let main = &patched["not_live"][0];
        ensure!(main["function"] == "errors_paused::main", "{patched}");
        ensure!(
            main["on_stack_of"] == "errors_paused" && patched["fix"]["kind"] == "restart",
            "{patched}"
        );
        ensure!(
            patched["live"].as_array().is_some_and(Vec::is_empty),
            "{patched}"
        );
        let functions = expect(&project, &["list"], 0)?;
        ensure!(functions.contains("gen 1 "), "{functions}");
        let output = ask_tool(&project, &["quit"])?;
        ensure!(output.status.success());
        ensure!(session.wait(LIMIT)?.success());
        let page = fs::read_to_string(&timings)?;
        ensure!(
            page.contains("errors_paused::") && page.contains("title=\"compile "),
            "{page}"
        );
        Ok(())
    })
}

#[test]
fn sessions_are_told_apart() -> Result<()> {
    let project = program("server", "two")?;
    let other = program("server", "other")?;
    with_session(&project, &Options::default(), |first| {
        first.ready(FIRST_BUILD)?;
        let second = Options {
            events: "second".to_owned(),
            ..Options::default()
        };
        with_session(&project, &second, |second| {
            second.ready(FIRST_BUILD)?;
            let both = expect(&project, &["status", "--json"], 0)?;
            ensure!(both.lines().count() == 2, "{both}");
            // Which one?
            let output = ask_tool(&project, &["quit"])?;
            ensure!(output.status.code() == Some(6));
            let words = String::from_utf8(output.stderr)?;
            ensure!(
                words.contains("more than one session may be meant"),
                "{words}"
            );
            // From elsewhere only its number names one.
            let pid = second.tool_pid().to_string();
            expect(&other, &["quit"], 6)?;
            expect(&other, &["quit", "--pid", &pid], 0)?;
            ensure!(second.wait(LIMIT)?.success());
            Ok(())
        })?;
        ensure!(status(&project)?["session"] == first.tool_pid());
        first.check_alive()?;
        first.stop().map(drop)
    })
}

/// Another terminal at which a session is attached.
struct Attached {
    tool: Child,
    terminal: Terminal,
    screen: Text,
}

impl Attached {
    fn to(project: &Project) -> Result<Self> {
        let terminal = Terminal::open()?;
        let mut attach = command(tool()?);
        attach
            .args(["hotpatch", "attach"])
            .current_dir(project.root())
            .env("TERM", "xterm")
            .env("CARGO_TERM_COLOR", "never");
        let tool = terminal.login(&attach, None)?.spawn()?;
        let screen = terminal.screen();
        Ok(Self {
            tool,
            terminal,
            screen,
        })
    }

    fn shows(&self, text: &str) -> Result<()> {
        wait_until(&format!("`{text}` at the other terminal"), || {
            Ok(self.screen.so_far().contains(text))
        })
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = self.tool.kill();
        let _ = self.tool.wait();
    }
}

#[test]
fn another_terminal_shows_everything_and_takes_the_keys() -> Result<()> {
    let project = program("painter", "attached")?;
    let options = Options {
        terminal: At::Terminal,
        env: vec![
            ("TERM".to_owned(), "xterm".into()),
            ("CARGO_TERM_COLOR".to_owned(), "never".into()),
        ],
        ..Options::default()
    };
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        painted(session, 1)?;
        let mut attached = Attached::to(&project)?;
        attached.shows("Attached to session")?;
        // What was said before is not lost.
        attached.shows("Ready to patch any of ")?;
        attached.terminal.type_keys("?")?;
        attached.shows("? this list")?;

        edit_and_be_refused(session, &project, &[("\"base ", "\"newer ")])?;
        attached.shows("refused HP0103: ")?;
        attached.shows("restart? [y]es [n]o ")?;
        session.type_keys("y")?;
        ensure!(session.talk.hear()? == "base y");
        let old = session.pid()?;
        attached.terminal.type_keys("y")?;
        session.restarted()?;
        ensure!(session.pid()? != old);
        painted(session, 2)?;
        attached.shows("Restarted with the new source")?;
        session.type_keys("x")?;
        ensure!(session.talk.hear()? == "newer x");

        // Nothing of it went into the program's picture.
        let screen = session.stderr();
        let pictures: Vec<&str> = screen.split("<<painted>>").skip(1).collect();
        let first = pictures.first().context("a picture")?;
        let (first, _) = first.split_once("\x1b[?1047l").context("it was put back")?;
        ensure!(
            !first.contains("Compiling") && !first.contains("refused HP0103: layout"),
            "{first:?}"
        );

        attached.terminal.type_keys("q")?;
        attached.shows("Detached")?;
        session.wait(LIMIT)?;
        Ok(())
    })
}

fn painted(session: &Session, times: usize) -> Result<()> {
    wait_until("the program draws", || {
        Ok(session.stderr().matches("<<painted>>").count() >= times)
    })
}
