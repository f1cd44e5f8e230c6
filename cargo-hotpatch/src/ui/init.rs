//! What `cargo hotpatch init` says and asks.

use std::io::{self, IsTerminal, Write};

use anyhow::{Result, bail};
use clap::ValueEnum;
use similar::TextDiff;

use super::page;
use super::paint::{Hue, Paint};
use super::terminal::Terminal;
use crate::args::Ide;

/// Says it, on standard output.
#[derive(Debug)]
pub struct Said {
    paint: Paint,
}

impl Said {
    /// In colours where standard output can show them.
    #[must_use]
    pub fn new() -> Self {
        Self {
            paint: Paint {
                color: Terminal::of_stdout(None).color,
            },
        }
    }

    /// Asks for the editor.
    ///
    /// # Errors
    /// There is nobody to ask.
    pub fn which_editor(&self) -> Result<Ide> {
        let names: Vec<String> = Ide::value_variants()
            .iter()
            .filter_map(|ide| Some(ide.to_possible_value()?.get_name().to_owned()))
            .collect();
        let names = names.join(", ");
        if !io::stdin().is_terminal() {
            bail!("name the editor with `--ide`: {names}");
        }
        loop {
            print_now(&format!("Which editor? [{names}] "));
            let mut line = String::new();
            if io::stdin().read_line(&mut line)? == 0 {
                bail!("name the editor with `--ide`: {names}");
            }
            if let Ok(ide) = Ide::from_str(line.trim(), true) {
                return Ok(ide);
            }
        }
    }

    /// A file has all that is needed.
    pub fn is_there(&self, path: &str) {
        page::print(&self.paint.verb(Hue::Green, "Unchanged", path));
    }

    /// A file was written.
    pub fn written(&self, path: &str) {
        page::print(&self.paint.verb(Hue::Green, "Written", path));
    }

    /// What would be written, as a diff.
    pub fn would_write(&self, path: &str, before: &str, after: &str) {
        let diff = TextDiff::from_lines(before, after);
        let mut diff = diff.unified_diff();
        page::print(&diff.header(path, path).to_string());
    }

    /// What to do with it.
    pub fn next(&self, ide: Ide) {
        let text = match ide {
            Ide::Vscode => "Terminal > Run Task > cargo hotpatch run",
            Ide::Zed => "task: spawn > cargo hotpatch run",
            Ide::Jetbrains => "choose the run configuration `cargo hotpatch run`",
            Ide::Neovim => "`:set exrc` reads .nvim.lua; start `cargo hotpatch run` in a terminal",
            Ide::Helix => {
                "Helix has no tasks: start `cargo hotpatch run` in a terminal, `:sh cargo hotpatch wait` asks it"
            }
            Ide::None => return,
        };
        page::print(&self.paint.verb(Hue::Cyan, "Next", text));
    }
}

fn print_now(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}
