//! The words of refusals and notes of the exact lane, with the places they are about.

use std::path::{Path, PathBuf};

use crate::image::layouts::is_environment;
use crate::object::facts::StaticFacts;
use crate::object::fingerprint::{Definition, Kind};
use crate::plan::codes::Code;
use crate::plan::verdict::Refusal;
use crate::plan::worlds::{Alive, Worlds};
use crate::source::file::Place;

/// A symbol as people read it.
pub(super) fn shown(symbol: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol))
}

/// How many of the places where a value is alive are told.
const MOST: usize = 4;

/// Values of a type that differs are alive.
pub(super) fn values_are_alive(worlds: &Worlds, alive: &[Alive], files: &[PathBuf]) -> Refusal {
    let named = worlds.types.roots().find(|root| !is_environment(root));
    let root = named.unwrap_or("a type");
    let (code, message) = match root.strip_prefix("dyn ") {
        Some(of) => (Code::HP0102, format!("methods of `{}` changed", last(of))),
        None => (Code::HP0101, format!("layout of `{}` changed", last(root))),
    };
    let (file, line) = declaration(last(root), files).unwrap_or_default();
    let mut refusal = Refusal::new(code, message, file, Place { line, column: 1 });
    let mut places: Vec<String> = alive.iter().take(MOST).map(place).collect();
    if alive.len() > MOST {
        places.push(format!("{} places more", alive.len() - MOST));
    }
    refusal = refusal.because(format!("alive in: {}", places.join(", ")));
    refusal
}

/// A static or thread-local is of another type.
pub(super) fn is_retyped(symbol: &str, was: &StaticFacts, is: &StaticFacts) -> Refusal {
    let text = shown(symbol);
    let message = format!(
        "type of static `{}` changed from `{}` to `{}`",
        last(&text),
        was.ty,
        is.ty
    );
    about_static(message, Some(is))
}

/// What had this symbol lies where it cannot serve as what has it now.
pub(super) fn is_of_another_kind(
    symbol: &str,
    kind: Option<Kind>,
    facts: Option<&StaticFacts>,
) -> Refusal {
    let text = shown(symbol);
    let is = match kind {
        Some(Kind::Constant) => "is not written any more",
        Some(Kind::Mutable) => "can be written now",
        Some(Kind::ThreadLocal) => "is one for each thread now",
        Some(Kind::Function) | None => "is a function now",
    };
    let message = format!("`{}` {is}", last(&text));
    about_static(message, facts)
}

/// A static or thread-local has no room any more where it lies.
pub(super) fn is_outgrown(
    symbol: &str,
    was: &Definition,
    is: &Definition,
    facts: Option<&StaticFacts>,
) -> Refusal {
    let (what, was, is) = match is.align > was.align {
        true => ("is aligned to", was.align, is.align),
        false => ("takes", was.size, is.size),
    };
    let text = shown(symbol);
    let name = last(&text);
    let message = format!("static `{name}` {what} {was} bytes, where {is} are needed now");
    about_static(message, facts)
}

fn about_static(message: String, facts: Option<&StaticFacts>) -> Refusal {
    let file = facts.and_then(|of| of.file.as_deref());
    let file = file.map(PathBuf::from).unwrap_or_default();
    let line = facts.map_or(0, |of| of.line);
    let line = usize::try_from(line).unwrap_or_default();
    Refusal::new(Code::HP0103, message, file, Place { line, column: 1 })
}

fn place(alive: &Alive) -> String {
    match alive {
        Alive::Static { symbol, file, line } => {
            format!("static `{}`{}", last(&shown(symbol)), at(file, *line))
        }
        Alive::Variable {
            function,
            variable,
            thread,
            file,
            line,
        } => format!(
            "variable `{variable}` of `{}`, which thread `{thread}` runs{}",
            shown(function),
            at(file, *line)
        ),
        Alive::Unseen { what } => what.clone(),
        Alive::Disguised(disguise) => format!(
            "whatever `{}` takes for another type (`{}`{})",
            disguise.function,
            disguise.from,
            match disguise.to.as_str() {
                "" => String::new(),
                to => format!(" as `{to}`"),
            }
        ),
        Alive::Erased { function } => {
            format!(
                "whatever is found by its type id, as by `{}`",
                shown(function)
            )
        }
    }
}

fn at(file: &Option<String>, line: u32) -> String {
    match file {
        Some(file) if line > 0 => {
            let here = std::env::current_dir().unwrap_or_default();
            let path = Path::new(file);
            let file = path.strip_prefix(&here).unwrap_or(path).display();
            format!(" ({file}:{line})")
        }
        _ => String::new(),
    }
}

/// The last part of a path, without generic arguments.
pub(super) fn last(path: &str) -> &str {
    let end = path.find('<').unwrap_or(path.len());
    let plain = if end == 0 { path } else { &path[..end] };
    plain.rsplit("::").next().unwrap_or(plain)
}

/// Where an item of this name is declared. Only for showing: debug information does not say it.
fn declaration(name: &str, files: &[PathBuf]) -> Option<(PathBuf, usize)> {
    const KINDS: &[&str] = &["struct", "enum", "union", "trait"];
    files.iter().find_map(|file| {
        let text = std::fs::read_to_string(file).ok()?;
        let line = text.lines().position(|line| {
            let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            words
                .position(|word| KINDS.contains(&word))
                .is_some_and(|_| words.next() == Some(name))
        })?;
        Some((file.clone(), line + 1))
    })
}
