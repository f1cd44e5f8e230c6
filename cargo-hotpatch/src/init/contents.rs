//! What stands in the files of editors and agents, merged with what is there. Pure: text in, text out.

use anyhow::{Context, Result};
use jsonc_parser::cst::{CstArray, CstInputValue, CstRootNode};
use jsonc_parser::{ParseOptions, json};

/// The name of the task, by which it is found again.
pub const TASK: &str = "cargo hotpatch run";
/// The name of the configuration that attaches a debugger.
const ATTACH: &str = "Attach to the program of cargo hotpatch";
/// By what a text file is known to have its part.
const MARK: &str = "cargo hotpatch wait";

/// What `hotpatch: ` lines mean for an editor: work begins.
pub const BEGINS: &str = "^hotpatch: began ";
/// It ends, and what was found is all of it.
pub const ENDS: &str = "^hotpatch: (ready|patched|unchanged|refused|broken|restarted|not restarted|exited|killed|failed)\\b";
/// A problem: file, line, column, severity, code, message. See `ui::short`.
pub const PROBLEM: &str = "^(.+?):(\\d+):(\\d+): (error|warning|note)(?:\\[(\\w+)\\])?: (.*)$";

/// What becomes of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Merged {
    /// It has all that is needed.
    Same,
    /// It is to be this text.
    Text(String),
}

fn parse(text: Option<&str>, empty: &str) -> Result<CstRootNode> {
    let text = text.filter(|text| !text.trim().is_empty()).unwrap_or(empty);
    CstRootNode::parse(text, &ParseOptions::default()).context("it is no JSON with comments")
}

/// Appends an object to a list, unless one has the same name there. Whoever changed it keeps it.
fn append(list: &CstArray, key: &str, name: &str, value: CstInputValue) -> bool {
    let mut elements = list.elements().into_iter();
    let is_there = elements.any(|element| {
        let value = element
            .as_object()
            .and_then(|object| object.get(key)?.value());
        let text = value.and_then(|value| value.as_string_lit()?.decoded_value().ok());
        text.as_deref() == Some(name)
    });
    if !is_there {
        list.ensure_multiline();
        list.append(value);
    }
    !is_there
}

fn merged(root: &CstRootNode, is_changed: bool) -> Merged {
    if !is_changed {
        return Merged::Same;
    }
    let mut text = root.to_string();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Merged::Text(text)
}

/// `.vscode/tasks.json`, see "Background / watching tasks" in the documentation of Visual Studio Code.
pub fn vscode_tasks(text: Option<&str>) -> Result<Merged> {
    let root = parse(text, "{\n  \"version\": \"2.0.0\",\n  \"tasks\": []\n}\n")?;
    let tasks = root
        .object_value_or_create()
        .and_then(|object| object.array_value_or_create("tasks"));
    let tasks = tasks.context("it has no list `tasks`")?;
    let task = json!({
        "label": TASK,
        "type": "process",
        "command": "cargo",
        "args": ["hotpatch", "run", "--message-format", "short"],
        "options": { "cwd": "${workspaceFolder}" },
        "isBackground": true,
        "presentation": { "reveal": "always", "panel": "dedicated" },
        "problemMatcher": {
            "owner": "cargo-hotpatch",
            "source": "hotpatch",
            "fileLocation": ["autoDetect", "${workspaceFolder}"],
            "pattern": {
                "regexp": PROBLEM,
                "file": 1,
                "line": 2,
                "column": 3,
                "severity": 4,
                "code": 5,
                "message": 6
            },
            "background": {
                "activeOnStart": true,
                "beginsPattern": BEGINS,
                "endsPattern": ENDS
            }
        }
    });
    let is_changed = append(&tasks, "label", TASK, task);
    Ok(merged(&root, is_changed))
}

/// `.vscode/launch.json`: CodeLLDB attached to the program.
pub fn vscode_launch(text: Option<&str>) -> Result<Merged> {
    let root = parse(
        text,
        "{\n  \"version\": \"0.2.0\",\n  \"configurations\": []\n}\n",
    )?;
    let list = root
        .object_value_or_create()
        .and_then(|object| object.array_value_or_create("configurations"));
    let list = list.context("it has no list `configurations`")?;
    let attach = json!({
        "name": ATTACH,
        "type": "lldb",
        "request": "attach",
        "pid": "${command:pickMyProcess}"
    });
    let is_changed = append(&list, "name", ATTACH, attach);
    Ok(merged(&root, is_changed))
}

/// `.zed/tasks.json`.
pub fn zed(text: Option<&str>) -> Result<Merged> {
    let root = parse(text, "[]\n")?;
    let tasks = root.array_value_or_create().context("it is no list")?;
    let task = json!({
        "label": TASK,
        "command": "cargo",
        "args": ["hotpatch", "run"],
        "use_new_terminal": false,
        "allow_concurrent_runs": false,
        "reveal": "always"
    });
    let is_changed = append(&tasks, "label", TASK, task);
    Ok(merged(&root, is_changed))
}

/// `.mcp.json`, where clients of the Model Context Protocol look for a project's servers.
pub fn mcp(text: Option<&str>) -> Result<Merged> {
    let root = parse(text, "{\n  \"mcpServers\": {}\n}\n")?;
    let servers = root
        .object_value_or_create()
        .and_then(|object| object.object_value_or_create("mcpServers"));
    let servers = servers.context("it has no object `mcpServers`")?;
    let is_changed = servers.get("cargo-hotpatch").is_none();
    if is_changed {
        servers.ensure_multiline();
        servers.append(
            "cargo-hotpatch",
            json!({ "command": "cargo", "args": ["hotpatch", "mcp"] }),
        );
    }
    Ok(merged(&root, is_changed))
}

/// A run configuration of JetBrains' Rust plugin. A file of that name is the user's.
pub fn jetbrains(text: Option<&str>) -> Result<Merged> {
    Ok(match text {
        Some(_) => Merged::Same,
        None => Merged::Text(JETBRAINS.to_owned()),
    })
}

const JETBRAINS: &str = r#"<component name="ProjectRunConfigurationManager">
  <configuration default="false" name="cargo hotpatch run" type="CargoCommandRunConfiguration" factoryName="Cargo Command">
    <option name="command" value="hotpatch run" />
    <option name="workingDirectory" value="file://$PROJECT_DIR$" />
    <option name="emulateTerminal" value="true" />
    <method v="2" />
  </configuration>
</component>
"#;

/// `.nvim.lua`, which Neovim reads with the option 'exrc'.
pub fn neovim(text: Option<&str>) -> Result<Merged> {
    Ok(appended(text, NEOVIM))
}

const NEOVIM: &str = r#"-- After each save the quickfix list has what stands against it: `cargo hotpatch wait` asks the session of this folder.
vim.api.nvim_create_autocmd("BufWritePost", {
  group = vim.api.nvim_create_augroup("cargo_hotpatch", { clear = true }),
  pattern = { "*.rs", "Cargo.toml" },
  callback = function()
    vim.fn.jobstart({ "cargo", "hotpatch", "wait", "--message-format", "short" }, {
      stdout_buffered = true,
      on_stdout = function(_, lines)
        local problems = vim.tbl_filter(function(line)
          return line ~= "" and not line:match("^hotpatch: ")
        end, lines)
        local list = vim.fn.getqflist({ lines = problems, efm = "%f:%l:%c: %t%*[^:]: %m" })
        vim.fn.setqflist({}, "r", { title = "cargo hotpatch", items = list.items })
      end,
    })
  end,
})
"#;

/// `AGENTS.md`, which programs that edit code read first.
pub fn agents(text: Option<&str>) -> Result<Merged> {
    Ok(appended(text, AGENTS))
}

const AGENTS: &str = "\
## The running program

The program runs under `cargo hotpatch run`: a saved edit goes into the running process, with all its state.

- After editing files run `cargo hotpatch wait --json`, or call the tool `wait` of the MCP server `cargo-hotpatch`. It ends by
  itself and says what became of exactly the bytes on disk. Do not build or start the program to find out.
- Exit status 0: they are what runs. 3, `refused`: a living value stands against the edit; `cargo hotpatch restart` brings it in.
  4, `broken`: `diagnostics` has rustc's errors. 5: the program has ended; the next save starts it. 6: no session; ask the user
  for `cargo hotpatch run`. 7: no verdict yet.
- `not_live` names functions that go on with older code, such as `main`; `cargo hotpatch explain CODE` says what a code means.
- `cargo hotpatch pause`, several edits, `cargo hotpatch pause --off`: they go live together.
";

/// A text with a part behind it, unless it has it.
fn appended(text: Option<&str>, part: &str) -> Merged {
    let text = text.unwrap_or_default();
    if text.contains(MARK) {
        return Merged::Same;
    }
    let between = match text {
        "" => "",
        text if text.ends_with("\n\n") => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    Merged::Text(format!("{text}{between}{part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(merged: Merged) -> String {
        match merged {
            Merged::Text(text) => text,
            Merged::Same => panic!("nothing changes"),
        }
    }

    #[test]
    fn a_second_time_nothing_changes() {
        for merge in [
            vscode_tasks,
            vscode_launch,
            zed,
            mcp,
            jetbrains,
            neovim,
            agents,
        ] {
            let once = text(merge(None).unwrap());
            assert_eq!(merge(Some(&once)).unwrap(), Merged::Same, "{once}");
            assert!(once.ends_with('\n') && !once.ends_with("\n\n"), "{once}");
        }
    }

    #[test]
    fn comments_and_other_tasks_stay() {
        let before = "{\n    // mine\n    \"version\": \"2.0.0\",\n    \"tasks\": [\n        { \"label\": \"x\" }, // the first\n    ],\n}\n";
        let after = text(vscode_tasks(Some(before)).unwrap());
        for kept in ["// mine", "{ \"label\": \"x\" }", "// the first"] {
            assert!(after.contains(kept), "{after}");
        }
        assert!(
            after.contains("\"label\": \"cargo hotpatch run\""),
            "{after}"
        );
        assert_eq!(vscode_tasks(Some(&after)).unwrap(), Merged::Same);
        // Whoever changed the task keeps it.
        let changed = after.replace("\"dedicated\"", "\"shared\"");
        assert_eq!(vscode_tasks(Some(&changed)).unwrap(), Merged::Same);
        let rules = text(agents(Some("# Rules\n\nBe kind.")).unwrap());
        assert!(
            rules.starts_with("# Rules\n\nBe kind.\n\n## The running program\n"),
            "{rules}"
        );
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        for damaged in ["{", "[1, 2", "{ \"tasks\": 3 }"] {
            assert!(vscode_tasks(Some(damaged)).is_err(), "{damaged}");
        }
        assert!(zed(Some("{}")).is_err());
        assert!(mcp(Some("{ \"mcpServers\": [] }")).is_err());
    }
}
