//! Examples on frameworks that keep what was made with older code, edited while they run.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU16;

use anyhow::{Context, Result, ensure};
use hotpatch_tests::LIMIT;
use hotpatch_tests::programs::{FIRST_BUILD, ask_tool, expect_answer, wait_until, with_session};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::{At, Options, Session};

/// Saves an edit, and waits for its verdict: the command that waits has to end with this status. Gives back its words.
fn save_in(project: &Project, file: &str, edits: &[(&str, &str)], status: i32) -> Result<String> {
    project.replace_all(file, edits)?;
    let output = ask_tool(project, &["wait"])?;
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    let ended = output.status.code();
    ensure!(ended == Some(status), "{edits:?}: {ended:?} {words}");
    Ok(words)
}

/// Saves an edit of the program's file, which has to go live.
fn save(project: &Project, edits: &[(&str, &str)]) -> Result<()> {
    save_in(project, "src/main.rs", edits, 0).map(drop)
}

#[test]
fn systems_of_bevy_change_and_their_world_stays() -> Result<()> {
    let project = Project::example("world")?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        // The positions after a tick, and whether the others are as they were.
        let tick = |session: &mut Session| -> Result<Vec<String>> {
            let line = session.ask("")?;
            let (_, positions) = line.split_once(": ").context("no positions")?;
            let mut positions: Vec<String> = positions.split(", ").map(str::to_owned).collect();
            positions.sort();
            Ok(positions)
        };
        // Hooks are called when the verdict is out already, and a tick is what shows it.
        let walks_to = |session: &mut Session, wanted: &[&str]| {
            let now = tick(session)?;
            ensure!(
                now.iter()
                    .zip(wanted)
                    .all(|(now, wanted)| now.ends_with(wanted)),
                "{now:?}"
            );
            Ok(now)
        };
        let first = walks_to(session, &["at 1", "at 11"])?;
        // A body.
        save(
            &project,
            &[("position.0 += speed.0;", "position.0 += speed.0 * 10.0;")],
        )?;
        walks_to(session, &["at 11", "at 21"])?;
        let is_hooked = |session: &mut Session| {
            wait_until("the hook was called", || {
                Ok(session.ask("patched?")? == "patched")
            })
        };
        // A parameter, and with it another type of system.
        save(
            &project,
            &[
                ("fn walk(", "fn walk(ticks: Res<Ticks>, "),
                (
                    "position.0 += speed.0 * 10.0;",
                    "position.0 += ticks.0 as f32;",
                ),
            ],
        )?;
        is_hooked(session)?;
        walks_to(session, &["at 14", "at 24"])?;
        // A filter.
        save(&project, &[("&Speed)>", "&Speed), Without<Asleep>>")])?;
        is_hooked(session)?;
        walks_to(session, &["at 18", "at 24"])?;
        // A system more, then one that uses a component that is new.
        save(
            &project,
            &[
                ("(count, walk)", "(count, walk, rest)"),
                ("fn tire(", "fn rest("),
            ],
        )?;
        is_hooked(session)?;
        walks_to(session, &["at 23", "at 24"])?;
        let named = "#[derive(Component)]
struct Jumped;

fn jump(mut commands: Commands, mut all: Query<(Entity, &mut Position), Without<Jumped>>) {
    for (entity, mut position) in &mut all {
        position.0 += 100.0;
        commands.entity(entity).insert(Jumped);
    }
}

fn count(";
        save(
            &project,
            &[
                ("(count, walk, rest)", "(count, walk, rest, jump)"),
                ("fn count(", named),
            ],
        )?;
        is_hooked(session)?;
        walks_to(session, &["at 129", "at 124"])?;
        let last = walks_to(session, &["at 136", "at 124"])?;
        // The entities are the same ones.
        let entities = |of: &[String]| -> Vec<String> {
            let names = of
                .iter()
                .map(|one| one.split(' ').next().unwrap_or_default());
            names.map(str::to_owned).collect()
        };
        ensure!(entities(&first) == entities(&last), "{first:?} {last:?}");
        // Of a component there are values: whoever finds them by their type must not find another one.
        let words = save_in(
            &project,
            "src/main.rs",
            &[
                ("struct Speed(f32);", "struct Speed(f32, u8);"),
                ("Speed(1.0)));", "Speed(1.0, 2)));"),
                ("Speed(1.0), Asleep", "Speed(1.0, 2), Asleep"),
            ],
            3,
        )?;
        ensure!(words.contains("HP0101"), "{words}");
        walks_to(session, &["at 144", "at 124"])?;
        session.stop().map(drop)
    })
}

#[test]
fn a_board_of_ratatui_is_drawn_anew_by_itself() -> Result<()> {
    let project = Project::example("board")?;
    let script = "stty rows 24 cols 80; exec \"$@\" >/dev/tty";
    let options = Options {
        terminal: At::Terminal,
        before: ["sh", "-c", script, "sh"].map(Into::into).to_vec(),
        ..Options::default()
    };
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        let shows = |session: &Session, text: &str| {
            wait_until(text, || {
                let rows = NonZeroU16::new(24).context("rows")?;
                let columns = NonZeroU16::new(80).context("columns")?;
                let mut screen = vt100::Parser::new(rows, columns, 0);
                screen.process(session.stderr().as_bytes());
                let is_whole = screen.screen().alternate_screen();
                Ok(is_whole && screen.screen().contents().contains(text))
            })
        };
        shows(session, "little")?;
        session.type_keys("\u{1b}[A")?;
        shows(session, "10%")?;
        // No key is needed.
        save(&project, &[("\"little\"", "\"NOTHING\"")])?;
        shows(session, "NOTHING")?;
        save(&project, &[(".title(\"count\")", ".title(\"TALLY\")")])?;
        shows(session, "TALLY")?;
        save(
            &project,
            &[
                (
                    "    fn advice(",
                    "    fn praise(&self) -> String {\n        format!(\"<{}>\", self.count)\n    }\n\n    fn advice(",
                ),
                ("self.advice());", "self.praise());"),
            ],
        )?;
        // What was counted is.
        shows(session, "<10>")?;
        let words = save_in(
            &project,
            "src/main.rs",
            &[
                ("    frames: u64,", "    frames: u64,\n    pad: u64,"),
                ("        frames: 0,", "        frames: 0,\n        pad: 0,"),
            ],
            3,
        )?;
        ensure!(words.contains("HP0101"), "{words}");
        session.type_keys("\u{1b}[A")?;
        shows(session, "20%")?;
        session.check_alive()?;
        session.stop().map(drop)
    })
}

#[test]
fn an_actor_that_never_ends_takes_its_next_turn_in_new_code() -> Result<()> {
    let project = Project::example("actor")?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        expect_answer(session, "a", "turn 1 said a")?;
        // What is called from there.
        save(&project, &[("\"turn {}\"", "\"number {}\"")])?;
        // The turn that waits for its message has begun.
        expect_answer(session, "b", "number 2 said b")?;
        // A future inside the turn that is another one now: the turn under way ends in its own.
        save(
            &project,
            &[
                (
                    "tokio::task::yield_now().await;",
                    "let begun = std::time::Instant::now();\n        tokio::task::yield_now().await;\n        assert!(begun.elapsed().as_secs() < 60);",
                ),
                ("{} said {text}", "{} says {text}"),
            ],
        )?;
        expect_answer(session, "c", "number 3 said c")?;
        expect_answer(session, "d", "number 4 says d")?;
        // The turn itself.
        save(
            &project,
            &[(
                "self.turns += 1;",
                "let before = self.turns;\n        tokio::task::yield_now().await;\n        self.turns = before + 10;",
            )],
        )?;
        expect_answer(session, "e", "number 5 says e")?;
        expect_answer(session, "f", "number 15 says f")?;
        session.check_alive()?;
        session.stop().map(drop)
    })
}

#[test]
fn plugins_of_a_workspace_change_and_keep_their_states() -> Result<()> {
    let project = Project::example("plugins")?;
    let options = Options {
        options: vec!["--package".to_owned(), "plugins-host".to_owned()],
        ..Options::default()
    };
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        expect_answer(session, "upper a b", "A B")?;
        expect_answer(session, "count a bb", "1+2 of 2")?;
        let words = "words/src/lib.rs";
        // On the threads of rayon.
        save_in(
            &project,
            words,
            &[(
                "word.to_uppercase()",
                "format!(\"{}!\", word.to_uppercase())",
            )],
            0,
        )?;
        expect_answer(session, "upper a b", "A! B!")?;
        // Behind async-trait, with a state behind `dyn Any`.
        save_in(
            &project,
            words,
            &[("format!(\"{} of {seen}\"", "format!(\"{} in all {seen}\"")],
            0,
        )?;
        expect_answer(session, "count c", "1 in all 3")?;
        // A default method, in another crate than those that have it.
        save_in(
            &project,
            "api/src/lib.rs",
            &[("\"the plugin {}\"", "\"plugin {}\"")],
            0,
        )?;
        expect_answer(session, "reload", "plugin upper, plugin count")?;
        // A plugin more, and what a helper on the way to it does.
        save_in(
            &project,
            words,
            &[
                (
                    "/// Edit me",
                    "fn turn(word: &str) -> String {
    word.chars().rev().collect()
}

struct Turned;

#[async_trait::async_trait]
impl Plugin for Turned {
    fn name(&self) -> &'static str {
        \"turned\"
    }

    fn state(&self) -> State {
        Box::new(())
    }

    fn word(&self, word: &str) -> String {
        turn(word)
    }

    async fn line(&self, words: &[String], _state: &mut State) -> String {
        words.join(\"/\")
    }
}

/// Edit me",
                ),
                ("Box::new(Count)]", "Box::new(Count), Box::new(Turned)]"),
            ],
            0,
        )?;
        expect_answer(session, "turned abc", "no plugin turned")?;
        expect_answer(
            session,
            "reload",
            "plugin upper, plugin count, plugin turned",
        )?;
        expect_answer(session, "turned abc de", "cba/ed")?;
        save_in(
            &project,
            words,
            &[("word.chars().rev()", "word.chars().skip(1)")],
            0,
        )?;
        expect_answer(session, "turned abc de", "bc/e")?;
        // A state that is kept has a type, and the other crate asks for it by its id.
        let edits = [
            ("struct Seen(usize);", "struct Seen(usize, u8);"),
            ("Seen(0)", "Seen(0, 1)"),
            ("Some(Seen(seen))", "Some(Seen(seen, _))"),
        ];
        let words = save_in(&project, words, &edits, 3)?;
        ensure!(words.contains("HP0101"), "{words}");
        expect_answer(session, "count c", "1 in all 4")?;
        session.check_alive()?;
        session.stop().map(drop)
    })
}

/// Runs a test on the example with axum, which serves at the port.
fn while_it_serves(test: impl FnOnce(&Project, &mut Session, u16) -> Result<()>) -> Result<()> {
    let project = Project::example("routes")?;
    let free = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let port = free.local_addr()?.port();
    drop(free);
    let options = Options {
        args: vec![port.to_string()],
        ..Options::default()
    };
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        wait_until("it serves", || Ok(http(port, "GET", "/", "").is_ok()))?;
        test(&project, session, port)?;
        session.stop().map(drop)
    })
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
    while_it_serves(|project, session, port| {
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
            let output = ask_tool(project, &["wait"])?;
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
        let output = ask_tool(project, &["wait"])?;
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
        session.check_alive()
    })
}

/// Reads on until that was said.
fn hears(stream: &mut TcpStream, wanted: &str) -> Result<()> {
    let mut heard = Vec::new();
    let mut room = [0; 4096];
    while !String::from_utf8_lossy(&heard).contains(wanted) {
        let read = stream.read(&mut room)?;
        let so_far = String::from_utf8_lossy(&heard);
        ensure!(read > 0, "no `{wanted}` in `{so_far}`");
        heard.extend(&room[..read]);
    }
    Ok(())
}

/// Sends a short text through a websocket, as clients do: masked, here by nothing.
fn send(stream: &mut TcpStream, text: &str) -> Result<()> {
    let length = u8::try_from(text.len())?;
    let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
    frame.extend(text.as_bytes());
    Ok(stream.write_all(&frame)?)
}

#[test]
fn a_stream_and_a_socket_stay_open_and_carry_what_is_newest() -> Result<()> {
    while_it_serves(|project, session, port| {
        let opened = |head: &str| -> Result<TcpStream> {
            let mut stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_read_timeout(Some(LIMIT))?;
            write!(stream, "GET {head}\r\n\r\n")?;
            Ok(stream)
        };
        let mut events = opened("/events HTTP/1.1\r\nHost: localhost")?;
        hears(&mut events, "event 1")?;
        let mut socket = opened(
            "/socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        )?;
        hears(&mut socket, "101 Switching Protocols")?;
        send(&mut socket, "a")?;
        hears(&mut socket, "you said a")?;

        save(project, &[("\"event {number}\"", "\"news {number}\"")])?;
        hears(&mut events, "news ")?;
        save(project, &[("\"you said {text}\"", "\"so {text}\"")])?;
        send(&mut socket, "b")?;
        hears(&mut socket, "so b")?;
        // A function more on the way, and another signature.
        save(
            project,
            &[
                (
                    "fn reply(text: &str) -> String {",
                    "fn loud(text: &str) -> String {\n    text.to_uppercase()\n}\n\nfn reply(text: &str, end: char) -> String {",
                ),
                ("\"so {text}\"", "\"{}{end}\", loud(text)"),
                ("reply(&text)", "reply(&text, '!')"),
            ],
        )?;
        // The loop of this socket has begun, and calls the function that there was: with the arguments that that one had.
        send(&mut socket, "c")?;
        hears(&mut socket, "so c")?;
        let mut other = opened(
            "/socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        )?;
        hears(&mut other, "101 Switching Protocols")?;
        send(&mut other, "d")?;
        hears(&mut other, "D!")?;
        // Both streams are the ones that were opened first.
        hears(&mut events, "news ")?;
        session.check_alive()
    })
}
