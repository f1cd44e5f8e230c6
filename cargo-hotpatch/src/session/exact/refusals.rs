//! The words of refusals and notes of the exact lane, with the places they are about.

use std::path::{Path, PathBuf};

use crate::image::layouts::is_environment;
use crate::object::facts::StaticFacts;
use crate::object::fingerprint::{Definition, Kind};
use crate::plan::codes::Code;
use crate::plan::disguises::TYPE_ID;
use crate::plan::verdict::Refusal;
use crate::plan::worlds::{Alive, Worlds};
use crate::source::file::Place;

/// A symbol as people read it.
pub(super) fn shown(symbol: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol))
}

/// What follows the name of a thread-local in the path of what `thread_local!` makes for it.
const THREAD_LOCAL: &str = "::{K#0}";

/// What a symbol is of, a static or a thread-local, and its path.
pub(super) fn variable(symbol: &str) -> (&'static str, String) {
    let path = shown(symbol);
    match path.split_once(THREAD_LOCAL) {
        Some((of, _)) => ("thread-local", of.to_owned()),
        None => ("static", path),
    }
}

/// A type of a variable as its declaration has it: without what a thread-local keeps it in, and without the allocator that
/// nobody writes.
pub(super) fn declared(ty: &str) -> String {
    let inner = ty
        .strip_prefix("std::sys::thread_local::native::eager::Storage<")
        .or_else(|| ty.strip_prefix("std::sys::thread_local::native::lazy::Storage<"));
    let ty = match inner.and_then(|inner| inner.strip_suffix('>')) {
        // The second argument tells whether there is something to drop.
        Some(inner) => inner
            .strip_suffix(", ()")
            .or(inner.strip_suffix(", !"))
            .unwrap_or(inner),
        None => ty,
    };
    ty.replace(", alloc::alloc::Global>", ">")
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
    let mut places: Vec<String> = Vec::new();
    for place in alive.iter().map(place) {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    if places.len() > MOST {
        let more = places.len() - MOST;
        places.truncate(MOST);
        places.push(format!("{more} places more"));
    }
    refusal = refusal.because(format!("alive in: {}", places.join(", ")));
    refusal
}

/// A static or thread-local is of another type.
pub(super) fn is_retyped(symbol: &str, was: &StaticFacts, is: &StaticFacts) -> Refusal {
    let (what, path) = variable(symbol);
    let message = format!(
        "type of {what} `{}` changed from `{}` to `{}`",
        last(&path),
        declared(&was.ty),
        declared(&is.ty)
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
    let (variable, path) = variable(symbol);
    let name = last(&path);
    let message = format!("{variable} `{name}` {what} {was} bytes, where {is} are needed now");
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
            let (what, path) = variable(symbol);
            format!("{what} `{}`{}", last(&path), at(file, *line))
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
        Alive::TraitObject { ty, of } => {
            format!("a `{}` that is kept as `dyn {}`", shortened(ty), last(of))
        }
        Alive::Disguised(disguise) if disguise.to == TYPE_ID => format!(
            "whatever is found by its type id, as by `{}` (`{}`)",
            shown(&disguise.function),
            disguise.from
        ),
        Alive::Disguised(disguise) => format!(
            "whatever `{}` takes for another type (`{}`{})",
            shown(&disguise.function),
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

/// Beyond so many characters nobody reads the arguments of a type.
const READABLE: usize = 80;

/// A type as people can read it.
fn shortened(ty: &str) -> String {
    match ty.split_once('<').filter(|_| ty.len() > READABLE) {
        Some((path, _)) if !path.is_empty() => format!("{path}<…>"),
        _ => ty.to_owned(),
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
            // Examples in documentation declare types, too.
            if line.trim_start().starts_with("//") {
                return false;
            }
            let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            words
                .position(|word| KINDS.contains(&word))
                .is_some_and(|_| words.next() == Some(name))
        })?;
        Some((file.clone(), line + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::declaration;

    #[test]
    fn an_example_in_documentation_declares_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["a.rs", "b.rs"].map(|name| folder.path().join(name));
        std::fs::write(&files[0], "/// struct World;\nfn f() {}\n").unwrap();
        std::fs::write(&files[1], "\npub(crate) struct World {\n").unwrap();
        assert_eq!(declaration("World", &files), Some((files[1].clone(), 2)));
        assert_eq!(declaration("Other", &files), None);
    }
}
