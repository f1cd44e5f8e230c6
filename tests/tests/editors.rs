//! What `cargo hotpatch init` writes, used as editors use it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hotpatch_tests::programs::{FIRST_BUILD, program, wait_until, with_session};
use hotpatch_tests::project::Project;
use hotpatch_tests::session::{Options, Session};
use hotpatch_tests::skip;
use hotpatch_tests::workspace::{cargo, command, tool};
use regex::Regex;
use serde_json::Value;

/// Has the tool write the files of an editor, or those of agents.
fn init(project: &Project, args: &[&str]) -> Result<()> {
    let output = command(tool()?)
        .args(["hotpatch", "init"])
        .args(args)
        .env("CARGO", cargo())
        .current_dir(project.root())
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The problem matcher of a background task, as the documentation of Visual Studio Code has it: a line that begins forgets
/// what was found, one that ends shows it.
struct Matcher {
    begins: Regex,
    ends: Regex,
    problem: Regex,
    groups: Value,
}

impl Matcher {
    /// That of the task in a project.
    fn of(project: &Project) -> Result<Self> {
        let text = fs::read_to_string(project.root().join(".vscode/tasks.json"))?;
        let tasks: Value = serde_json::from_str(&text)?;
        let matcher = &tasks["tasks"][0]["problemMatcher"];
        let regex =
            |value: &Value| Ok::<_, anyhow::Error>(Regex::new(value.as_str().context("a text")?)?);
        Ok(Self {
            begins: regex(&matcher["background"]["beginsPattern"])?,
            ends: regex(&matcher["background"]["endsPattern"])?,
            problem: regex(&matcher["pattern"]["regexp"])?,
            groups: matcher["pattern"].clone(),
        })
    }

    /// What is shown after these lines, each as `FILE:LINE SEVERITY CODE`, and how often work has come to an end.
    fn shown(&self, lines: &str) -> (Vec<String>, usize) {
        let (mut found, mut shown, mut ends) = (Vec::new(), Vec::new(), 0);
        for line in lines.lines() {
            if self.begins.is_match(line) {
                found.clear();
            } else if self.ends.is_match(line) {
                shown.clone_from(&found);
                ends += 1;
            } else if let Some(problem) = self.problem.captures(line) {
                let group = |name: &str| {
                    let number = self.groups[name]
                        .as_u64()
                        .and_then(|n| usize::try_from(n).ok());
                    let text = number.and_then(|number| problem.get(number));
                    text.map_or("", |text| text.as_str()).to_owned()
                };
                let [file, line, severity, code] = ["file", "line", "severity", "code"].map(group);
                found.push(format!("{file}:{line} {severity} {code}"));
            }
        }
        (shown, ends)
    }

    /// Waits until work has come to an end so often, and gives what is shown then.
    fn after(&self, session: &Session, ends: usize) -> Result<Vec<String>> {
        wait_until(&format!("the end of work {ends}"), || {
            Ok(self.shown(&session.stderr()).1 >= ends)
        })?;
        Ok(self.shown(&session.stderr()).0)
    }
}

/// The number of the line that has a text.
fn line_of(project: &Project, text: &str) -> Result<usize> {
    let source = fs::read_to_string(project.root().join("src/main.rs"))?;
    let mut lines = source.lines();
    let at = lines
        .position(|line| line.contains(text))
        .context("no such line")?;
    Ok(at + 1)
}

#[test]
fn the_problems_of_visual_studio_code_come_and_go_with_the_edits() -> Result<()> {
    let project = program("server", "vscode")?;
    init(&project, &["--ide", "vscode"])?;
    let matcher = Matcher::of(&project)?;
    let options = Options {
        options: ["--message-format", "short"].map(str::to_owned).to_vec(),
        ..Options::default()
    };
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        ensure!(matcher.after(session, 1)?.is_empty());
        let edit = |from: &str, to: &str| project.replace("src/main.rs", from, to);

        edit("\"base ", "\"newer \" + 1 + \"")?;
        let at = line_of(&project, "\"newer ")?;
        let shown = matcher.after(session, 2)?;
        ensure!(!shown.is_empty(), "{}", session.stderr());
        let is_there = |one: &String| one.starts_with(&format!("src/main.rs:{at} error "));
        ensure!(shown.iter().any(is_there), "{shown:?}");

        edit("\"newer \" + 1 + \"", "\"base ")?;
        ensure!(matcher.after(session, 3)?.is_empty());

        edit("const SHAPE: usize = 1", "const SHAPE: usize = 2")?;
        let at = line_of(&project, "static SHAPED")?;
        let shown = matcher.after(session, 4)?;
        ensure!(
            shown == [format!("src/main.rs:{at} error HP0103")],
            "{shown:?}"
        );

        // A body of `main`, which a thread is in: live, with a note.
        edit("const SHAPE: usize = 2", "const SHAPE: usize = 1")?;
        ensure!(matcher.after(session, 5)?.is_empty());
        edit(
            "black_box(&SHAPED);",
            "black_box(&SHAPED); let _ = std::hint::black_box(1);",
        )?;
        let shown = matcher.after(session, 6)?;
        let is_note =
            |one: &String| one.starts_with("src/main.rs:") && one.ends_with(" note HP0201");
        ensure!(shown.len() == 1 && shown.iter().all(is_note), "{shown:?}");
        session.stop().map(drop)
    })
}

#[test]
fn events_are_said_where_they_are_asked_for() -> Result<()> {
    let project = program("server", "said")?;
    let options = Options {
        options: ["--message-format", "json"].map(str::to_owned).to_vec(),
        ..Options::default()
    };
    with_session(&project, &options, |session| {
        session.ready(FIRST_BUILD)?;
        project.replace("src/main.rs", "\"base ", "\"newer ")?;
        session.verdict()?;
        wait_until("it is said", || {
            Ok(session.stderr().contains("\"patched\""))
        })?;
        let said = session.stderr();
        for line in said.lines() {
            let event: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
            ensure!(event["event"].is_string(), "{line}");
        }
        session.stop().map(drop)
    })
}

#[test]
fn a_build_that_fails_is_said_in_the_form_that_is_asked_for() -> Result<()> {
    let project = program("server", "unbuilt")?;
    project.replace("src/main.rs", "\"base ", "\"base \" + 1 + \"")?;
    let run = |format: &str| -> Result<String> {
        let options = Options {
            options: ["--message-format", format].map(str::to_owned).to_vec(),
            ..Options::default()
        };
        let mut session = Session::start(&project, &options)?;
        let (status, words) = session.wait_for_words(FIRST_BUILD)?;
        ensure!(status.code() == Some(101), "{status}: {words}");
        Ok(words)
    };
    let at = line_of(&project, "\"base ")?;
    let short = run("short")?;
    ensure!(short.contains(&format!("src/main.rs:{at}:")), "{short}");
    ensure!(
        short.ends_with("hotpatch: broken the program does not build\n"),
        "{short}"
    );
    let json = run("json")?;
    let last: Value = serde_json::from_str(json.lines().last().context("no event")?)?;
    ensure!(last["event"] == "broken", "{json}");
    let rendered = last["rendered"].as_str().unwrap_or_default();
    ensure!(rendered.contains(&format!("src/main.rs:{at}:")), "{json}");
    Ok(())
}

#[test]
fn a_link_stays_one() -> Result<()> {
    let project = program("server", "link")?;
    let rules = project.root().join("RULES.md");
    fs::write(&rules, "# Rules\n")?;
    std::os::unix::fs::symlink("RULES.md", project.root().join("AGENTS.md"))?;
    init(&project, &["--agent"])?;
    ensure!(fs::symlink_metadata(project.root().join("AGENTS.md"))?.is_symlink());
    let text = fs::read_to_string(&rules)?;
    ensure!(
        text.starts_with("# Rules\n\n## The running program"),
        "{text}"
    );
    Ok(())
}

/// A folder with this tool, for `PATH`.
fn on_path(project: &Project) -> Result<PathBuf> {
    let folder = project.beside("bin");
    fs::create_dir_all(&folder)?;
    std::os::unix::fs::symlink(tool()?, folder.join("cargo-hotpatch"))?;
    Ok(folder)
}

/// Edits as a person would, saves, and waits for the quickfix list.
const SCRIPT: &str = r#"
local function edit(from, to)
  vim.cmd("%s/" .. from .. "/" .. to .. "/")
  vim.cmd("write")
end
local function expect(what, holds)
  local met = vim.wait(120000, function() return holds(vim.fn.getqflist()) end, 20)
  if not met then
    io.stderr:write(what .. ": " .. vim.inspect(vim.fn.getqflist()) .. "\n")
    vim.cmd("cquit")
  end
end
local function first(list) return list[1] or {} end
edit([["base ]], [["newer " + 1 + "]])
local at = vim.fn.search("newer")
expect("an error", function(list) return #list > 0 and first(list).lnum == at and first(list).type == "e" end)
assert(vim.fn.bufname(first(vim.fn.getqflist()).bufnr):match("src/main.rs$"))
edit([["newer " + 1 + "]], [["base ]])
expect("no error", function(list) return #list == 0 end)
edit("SHAPE: usize = 1", "SHAPE: usize = 2")
local at = vim.fn.search("static SHAPED")
expect("a refusal", function(list) return #list == 1 and first(list).lnum == at and first(list).text:match("type") end)
edit("SHAPE: usize = 2", "SHAPE: usize = 1")
expect("no refusal", function(list) return #list == 0 end)
vim.cmd("quitall")
"#;

#[test]
fn the_quickfix_list_of_neovim_is_filled_and_emptied() -> Result<()> {
    if Command::new("nvim").arg("--version").output().is_err() {
        return skip("neovim is not installed");
    }
    let project = program("server", "neovim")?;
    init(&project, &["--ide", "neovim"])?;
    let script = project.beside("script.lua");
    fs::write(&script, SCRIPT)?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(on_path(&project)?).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(path)?;
    with_session(&project, &Options::default(), |session| {
        session.ready(FIRST_BUILD)?;
        let output = command("nvim")
            .args(["--headless", "-u", "NONE", "-i", "NONE", "-n"])
            .args(["-c", "luafile .nvim.lua", "-c"])
            .arg(format!("luafile {}", script.display()))
            .arg("src/main.rs")
            .current_dir(project.root())
            .env("PATH", &path)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{said}");
        session.stop().map(drop)
    })
}
