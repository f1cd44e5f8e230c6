//! What a program holds, seen and set from outside: `cargo hotpatch list`, `get`, `set`.

use anyhow::{Context, Result, ensure};
use hotpatch_tests::programs::{FIRST_BUILD, ask_tool, expect_answer, program, with_session};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::Options;
use serde_json::Value;

/// What the session answers on standard output, or as words where it does not.
fn ask(project: &Project, args: &[&str], status: i32) -> Result<(Value, String)> {
    let output = ask_tool(project, args)?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let ended = output.status.code();
    ensure!(
        ended == Some(status),
        "{args:?} ended with {ended:?}: {words}"
    );
    let said = serde_json::from_slice(&output.stdout).unwrap_or_default();
    Ok((said, words))
}

/// The one variable of this name.
fn variable(project: &Project, name: &str) -> Result<Value> {
    let (found, _) = ask(project, &["get", name, "--json"], 0)?;
    let all = found.as_array().context("no list")?;
    let ends = |of: &&Value| {
        let path = of["name"].as_str().unwrap_or_default();
        path.rsplit("::").next() == Some(name)
    };
    let found = all.iter().find(ends);
    found
        .cloned()
        .with_context(|| format!("no `{name}` among {all:?}"))
}

#[test]
fn variables_are_seen_and_set_through_what_guards_them() -> Result<()> {
    let project = program("viewed", "state")?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        for name in ["ann", "bob", "eve"] {
            session.ask(name)?;
        }
        let values = [
            ("COUNT", "3"),
            ("BALANCE", "-5"),
            ("OPEN", "true"),
            ("LIMIT", "10"),
            ("GREETING", "\"\""),
            ("MOTTO", "\"take your time\""),
            ("LETTER", "'x'"),
            ("RATIO", "0.5"),
            ("PLAIN", "7"),
            ("RAW", "9"),
            (
                "PLAYERS",
                "[Player { name: \"ann\", at: (0, -1), hand: Empty }, \
                 Player { name: \"bob\", at: (1, -1), hand: Coin(2) }, \
                 Player { name: \"eve\", at: (2, -1), hand: Card { suit: 's', rank: Some(2) } }]",
            ),
        ];
        for (name, value) in values {
            let of = variable(&project, name)?;
            ensure!(of["value"] == value, "{of}");
            ensure!(
                of["file"]
                    .as_str()
                    .is_some_and(|file| file.ends_with("src/main.rs")),
                "{of}"
            );
        }
        // What has no value yet, and what cannot be told.
        for name in ["NAME", "TABLE", "DEPTH"] {
            let of = variable(&project, name)?;
            ensure!(of["value"].is_null(), "{of}");
        }

        let set = [
            ("COUNT", "40", "count", "40"),
            ("BALANCE", "-77", "balance", "-77"),
            ("OPEN", "false", "open", "false"),
            ("LIMIT", "11", "limit", "11"),
            ("GREETING", "good day", "greeting", "good day"),
            ("MOTTO", "\"be quick\"", "motto", "be quick"),
            ("LETTER", "é", "letter", "é"),
            ("RATIO", "2.25", "ratio", "2.25"),
            ("NAME", "you", "name", "you"),
            ("RAW", "5", "raw", "6"),
        ];
        for (name, value, question, answer) in set {
            ask(&project, &["set", name, value], 0)?;
            expect_answer(session, question, answer)?;
        }

        let refused = [
            ("NAME", "me", "has its value already"),
            ("PLAIN", "3", "nothing writes it"),
            ("DEPTH", "2", "each thread has its own"),
            ("PLAYERS", "3", "no type that can be set"),
            ("TABLE", "3", "no type that can be set"),
            ("NOPE", "1", "has no variable `NOPE`"),
            ("COUNT", "x", "no value of"),
            ("COUNT", "-1", "no value of"),
        ];
        for (name, value, why) in refused {
            let (_, words) = ask(&project, &["set", name, value], 3)?;
            ensure!(words.contains(why), "{words}");
        }
        expect_answer(session, "plain", "7")?;
        expect_answer(session, "name", "you")?;

        // What is locked is not waited for without end, and can still be seen.
        session.ask("hold")?;
        let (_, words) = ask(&project, &["set", "LIMIT", "12"], 3)?;
        ensure!(words.contains("its lock is held"), "{words}");
        ensure!(variable(&project, "LIMIT")?["value"] == "11");
        session.stop().map(drop)
    })
}

#[test]
fn functions_are_listed_with_what_became_of_them() -> Result<()> {
    let project = program("viewed", "listed")?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        let list = |filter: &str| -> Result<Vec<Value>> {
            let (found, _) = ask(&project, &["list", filter, "--json"], 0)?;
            Ok(found.as_array().cloned().unwrap_or_default())
        };
        let [add] = &list("game::add")?[..] else {
            anyhow::bail!("not one function");
        };
        ensure!(add["generation"] == 0 && add["patches"] == 0, "{add}");
        ensure!(
            add["signature"]
                .as_str()
                .is_some_and(|text| text.ends_with("&str) -> alloc::string::String")),
            "{add}"
        );
        ensure!(add["line"] == 16, "{add}");
        ensure!(list("no such function")?.is_empty());
        ensure!(list("main")?.len() == 1);

        // A static more, and a function that uses it.
        project.replace(
            "src/main.rs",
            "fn answer(",
            "static MORE: AtomicU32 = AtomicU32::new(70);\n\nfn answer(",
        )?;
        project.replace(
            "src/main.rs",
            "\"count\" =>",
            "\"more\" => MORE.load(Ordering::Relaxed).to_string(),\n        \"count\" =>",
        )?;
        ask(&project, &["wait"], 0)?;
        expect_answer(session, "more", "70")?;
        let [answer] = &list("::answer")?[..] else {
            anyhow::bail!("not one function");
        };
        ensure!(
            answer["generation"].as_u64() > Some(0) && answer["patches"].as_u64() > Some(0),
            "{answer}"
        );
        ask(&project, &["set", "MORE", "71"], 0)?;
        expect_answer(session, "more", "71")?;
        session.stop().map(drop)
    })
}
