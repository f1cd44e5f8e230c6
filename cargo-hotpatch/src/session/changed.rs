//! What an edit changed, in the terms of the plan, and what the user should know beside the patch. Pure.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::make::refuse;
use super::world::{Told, World};
use crate::image::graph::{CallGraph, NodeId};
use crate::plan::classify;
use crate::plan::codes::Code;
use crate::plan::index::{Index, Vertex};
use crate::plan::reach::{self, Changed, Plan};
use crate::plan::verdict::{Note, Refusal};
use crate::source::diff::{Became, Changes, ItemChange};
use crate::source::file::{FnKey, Function, Kind, OtherItem, Owner, Place, Shape};
use crate::source::items::{CrateSource, SourceFile};

pub(super) fn changed_in(
    sources: &[CrateSource],
    changes: &[Changes],
    index: &Index,
    behind: &BTreeSet<(usize, FnKey)>,
) -> Changed {
    let mut out = Changed {
        behind: behind
            .iter()
            .filter_map(|(krate, key)| index.find(*krate, key))
            .collect(),
        ..Changed::default()
    };
    let names: BTreeSet<&String> = changes.iter().flat_map(|c| &c.names).collect();
    let values: BTreeSet<&String> = changes.iter().flat_map(|c| &c.values).collect();
    let types: BTreeSet<&String> = changes
        .iter()
        .flat_map(|changes| &changes.items)
        .filter(|change| change.item.kind == Kind::Type && !change.keeps_values())
        .flat_map(|change| &change.item.names)
        .collect();
    for (krate, changes) in changes.iter().enumerate() {
        let edited = changes.bodies.iter().chain(&changes.signatures);
        out.edited
            .extend(edited.filter_map(|key| index.find(krate, key)));
        let added: BTreeSet<Vertex> = changes
            .added
            .iter()
            .filter_map(|key| index.find(krate, key))
            .collect();
        // Code of the same name may be left from before it was last removed.
        out.behind.extend(&added);
        for change in changes.items.iter().filter(|change| change.rederives()) {
            let names = change.item.names.iter();
            out.suspected
                .extend(names.flat_map(|name| index.derived_for(name, &change.item.derives)));
        }
        if names.is_empty() && changes.modules.is_empty() {
            continue;
        }
        // What a glob import brings in, nobody need mention: its traits' methods, say.
        let globs: Vec<&[String]> = changes
            .items
            .iter()
            .filter(|change| {
                change.item.kind == Kind::Use && change.item.names.iter().any(|n| n == "*")
            })
            .map(|change| &*change.item.module)
            .collect();
        for (_, function) in sources[krate].functions() {
            let is_method =
                matches!(&function.owner, Owner::Impl(head) if types.contains(&head.self_name));
            let mentions = is_method
                || names.iter().any(|name| {
                    function.mentions.contains(*name)
                        && (**name != function.name || function.names_itself)
                });
            let near_a_glob = changes.modules.contains(&function.module)
                || globs
                    .iter()
                    .any(|module| function.module.starts_with(module));
            let vertex = index.find(krate, &function.key);
            if let Some(vertex) = vertex.filter(|v| (mentions || near_a_glob) && !added.contains(v))
            {
                out.suspected.insert(vertex);
                if function.mentions.iter().any(|name| values.contains(name)) {
                    out.revalued.insert(vertex);
                }
            }
        }
    }
    out
}

/// Functions whose code in the process is older than their text, once these are in a patch. Instances of
/// generic code that are in the program stay what they are, so those functions never catch up.
pub(super) fn behind(
    index: &Index,
    changed: &Changed,
    included: &BTreeSet<Vertex>,
) -> BTreeSet<(usize, FnKey)> {
    let all = changed
        .edited
        .iter()
        .chain(&changed.suspected)
        .chain(&changed.behind);
    all.filter_map(|vertex| Some((vertex, index.known(*vertex)?)))
        .filter(|(vertex, known)| known.shape != Shape::Plain || !included.contains(vertex))
        .flat_map(|(_, known)| known.keys.iter().map(|key| (known.krate, key.clone())))
        .collect()
}

/// New functions that the patch names go with it; whether they are the ones meant, binding will see.
pub(super) fn include_added(changes: &[Changes], index: &Index, plan: &mut Plan) {
    let mut added: Vec<Vertex> = changes
        .iter()
        .enumerate()
        .flat_map(|(krate, changes)| {
            changes
                .added
                .iter()
                .filter_map(move |key| index.find(krate, key))
        })
        .filter(|vertex| {
            index
                .known(*vertex)
                .is_some_and(|known| known.shape == Shape::Plain)
        })
        .collect();
    loop {
        let named = |vertex: &Vertex| {
            let Some(name) = index.known(*vertex).map(|known| &known.name) else {
                return false;
            };
            plan.include
                .iter()
                .filter_map(|user| index.known(*user))
                .any(|user| user.mentions.contains(name))
        };
        let (now, later): (Vec<_>, Vec<_>) = added.into_iter().partition(named);
        if now.is_empty() {
            return;
        }
        plan.include.extend(now);
        added = later;
    }
}

pub(super) fn notes(
    sources: &[CrateSource],
    index: &Index,
    graph: &CallGraph,
    plan: &Plan,
) -> Vec<Note> {
    let mut out = Vec::new();
    let mut note = |vertex: Vertex, code: Code, message: String| {
        let Some(refusal) = refuse(sources, index, vertex, code, |_| message) else {
            return;
        };
        let Refusal {
            code,
            message,
            file,
            place,
            ..
        } = refusal;
        out.push(Note {
            code,
            message,
            file,
            line: place.line,
        });
    };
    for vertex in &plan.unreached {
        let Some(known) = index.known(*vertex) else {
            continue;
        };
        note(
            *vertex,
            Code::HP0201,
            format!(
                "no hot function reaches `{}`; its edit takes effect at the next start",
                known.path
            ),
        );
    }
    for (vertex, callers) in &plan.outside {
        let Some(known) = index.known(*vertex) else {
            continue;
        };
        let mut names: Vec<String> = callers
            .iter()
            .map(|caller| caller_name(index, graph, *caller))
            .collect();
        names.sort();
        names.dedup();
        note(
            *vertex,
            Code::HP0202,
            format!("{} keep the old code of `{}`", names.join(", "), known.path),
        );
    }
    out
}

/// A function that is gone: what it was called, where it stood, and its symbols.
pub(super) struct Gone {
    path: String,
    file: PathBuf,
    line: usize,
    nodes: Vec<NodeId>,
}

/// It is what a trait provides for a type, and not an impl's.
fn is_provided(symbol: &str) -> bool {
    symbol.starts_with("_RNvY") || symbol.starts_with("_RINvY")
}

/// Functions that these changes take away.
pub(super) fn gone(world: &mut World, old: &[CrateSource], changes: &[Changes]) -> Vec<Gone> {
    if changes.iter().all(|changes| changes.removed.is_empty()) {
        return Vec::new();
    }
    let index = world.index(old, &[]);
    let mut out = Vec::new();
    for (krate, changes) in changes.iter().enumerate() {
        for key in &changes.removed {
            let known = index
                .find(krate, key)
                .and_then(|vertex| index.known(vertex));
            let place = classify::place(&old[krate], key);
            if let (Some(known), Some((file, place, path))) = (known, place) {
                let graph = &world.state().graph;
                let nodes = known.nodes.iter().copied();
                out.push(Gone {
                    path,
                    file,
                    line: place.line,
                    nodes: nodes
                        .filter(|node| !is_provided(graph.name(*node)))
                        .collect(),
                });
            }
        }
    }
    out
}

/// Notes about functions that are gone and that code outside the patch goes on to call.
pub(super) fn left_behind(
    gone: &[Gone],
    index: &Index,
    graph: &CallGraph,
    included: &BTreeSet<Vertex>,
) -> Vec<Note> {
    let mut out = Vec::new();
    for gone in gone {
        let callers = reach::callers_outside(graph, index, &gone.nodes, included);
        let names: BTreeSet<String> = callers
            .into_iter()
            .map(|caller| caller_name(index, graph, caller))
            .collect();
        if !names.is_empty() {
            let names: Vec<String> = names.into_iter().collect();
            out.push(Note {
                code: Code::HP0203,
                message: format!(
                    "{} keep the old code of `{}`, which is gone",
                    names.join(", "),
                    gone.path
                ),
                file: gone.file.clone(),
                line: gone.line,
            });
        }
    }
    out
}

/// Notes about statics that keep a value which a fresh start would make otherwise.
pub(super) fn kept_values(
    old: &[CrateSource],
    new: &[CrateSource],
    changes: &[Changes],
) -> Vec<Note> {
    let mut out = Vec::new();
    let note = |message: String, file: &Path, place: Place| Note {
        code: Code::HP0204,
        message,
        file: file.to_owned(),
        line: place.line,
    };
    let said = |title: &str, was: &str, is: &str| {
        format!(
            "{title} keeps its value; it was made from `{}`, which is now `{}`",
            one_line(was),
            one_line(is)
        )
    };
    let statics = changes.iter().flat_map(|changes| &changes.items);
    for change in statics.filter(|change| change.item.kind == Kind::Static && change.keeps_values())
    {
        let was = change.old.as_ref().map_or("", |old| old.value.as_str());
        let is = change.item.value.as_str();
        if one_line(was) != one_line(is) {
            out.push(note(
                said(&change.item.title, was, is),
                &change.file,
                change.place,
            ));
        }
    }
    // Those inside of functions.
    for (krate, file, function, before) in edited_statics(old, new, changes) {
        let (before_file, before) = before;
        for item in &function.statics {
            let was = before.statics.iter().find(|was| was.name == item.name);
            if let Some(was) = was.filter(|was| was.value != item.value) {
                let title = format!(
                    "static `{}` in `{}`",
                    item.name,
                    new[krate].path_of(function)
                );
                let text = |file: &SourceFile, init: &Range<usize>| {
                    file.parsed.text[init.clone()].to_owned()
                };
                let (was, is) = (text(before_file, &was.init), text(file, &item.init));
                out.push(note(said(&title, &was, &is), &file.path, function.place));
            }
        }
    }
    // And those that are made from constants which say something else now.
    let values = changes.iter().flat_map(|changes| &changes.values);
    let imports = changes.iter().flat_map(|changes| &changes.items);
    let imports = imports.filter(|change| change.item.kind == Kind::Use);
    let imported = imports.flat_map(|change| &change.item.names);
    let values: BTreeSet<&String> = values.chain(imported).collect();
    if values.is_empty() {
        return out;
    }
    for (krate, source) in new.iter().enumerate() {
        let is_edited = |item: &OtherItem| {
            let changes = changes[krate].items.iter();
            let mut same = changes.filter(|change| change.became != Became::Unclear);
            same.any(|change| change.item.name == item.name && change.item.module == item.module)
        };
        let items = source.files.iter().flat_map(|file| {
            let items = file.parsed.items.iter();
            items.map(move |item| (file, item))
        });
        for (file, item) in items.filter(|(_, item)| item.kind == Kind::Static && !is_edited(item))
        {
            if let Some(name) = item.mentions.iter().find(|name| values.contains(name)) {
                let message = format!(
                    "{} keeps its value; it was made with `{name}`, which says something else now",
                    item.title
                );
                out.push(note(message, &file.path, item.place));
            }
        }
    }
    out
}

/// Functions with statics whose text changed, with their text before.
fn edited_statics<'a>(
    old: &'a [CrateSource],
    new: &'a [CrateSource],
    changes: &'a [Changes],
) -> impl Iterator<
    Item = (
        usize,
        &'a SourceFile,
        &'a Function,
        (&'a SourceFile, &'a Function),
    ),
> {
    changes
        .iter()
        .enumerate()
        .flat_map(move |(krate, changes)| {
            let keys = changes.bodies.iter().chain(&changes.signatures);
            keys.filter_map(move |key| {
                let (file, function) = new[krate].function(key)?;
                let before = old[krate].function(key)?;
                (!function.statics.is_empty()).then_some((krate, file, function, before))
            })
        })
}

/// The crates in which the initialiser of a static inside a function changed: no patch holds it.
pub(super) fn with_new_initialisers(
    old: &[CrateSource],
    new: &[CrateSource],
    changes: &[Changes],
) -> BTreeSet<usize> {
    let edited = edited_statics(old, new, changes);
    edited
        .filter(|(_, _, function, (_, before))| {
            function.statics.iter().any(|item| {
                let was = before.statics.iter().find(|was| was.name == item.name);
                was.is_some_and(|was| was.value != item.value)
            })
        })
        .map(|(krate, ..)| krate)
        .collect()
}

/// `#[hot]` statics that have another value.
pub(super) fn revalued(changes: &[Changes]) -> BTreeSet<(usize, Vec<String>, String, u64)> {
    let mut out = BTreeSet::new();
    for (krate, changes) in changes.iter().enumerate() {
        for change in changes.items.iter().filter(|change| change.revalues()) {
            let item = &change.item;
            let name = item.names.first().cloned().unwrap_or_default();
            out.insert((krate, item.module.to_vec(), name, item.helpers));
        }
    }
    out
}

/// Notes about code that stays and keeps the old value of a `#[hot]` static.
pub(super) fn old_values(
    changes: &[Changes],
    index: &Index,
    included: &BTreeSet<Vertex>,
) -> Vec<Note> {
    let items = changes.iter().flat_map(|changes| &changes.items);
    let mut out = Vec::new();
    for change in items.filter(|change| change.revalues()) {
        let name = change.item.names.first().map_or("", String::as_str);
        let users = index
            .mentioning(name)
            .filter(|user| !included.contains(user));
        let names: BTreeSet<String> = users
            .filter_map(|user| index.known(user))
            .filter(|known| known.shape == Shape::Plain && !known.hot)
            .map(|known| format!("`{}`", known.path))
            .collect();
        if !names.is_empty() {
            let names: Vec<String> = names.into_iter().collect();
            out.push(Note {
                code: Code::HP0204,
                message: format!(
                    "{} keeps the old value of {}",
                    names.join(", "),
                    change.item.title
                ),
                file: change.file.clone(),
                line: change.place.line,
            });
        }
    }
    out
}

/// Notes about code that no hot function reaches and that was compiled with constants or macros as they were.
pub(super) fn old_constants(
    changes: &[Changes],
    index: &Index,
    reached: &BTreeSet<Vertex>,
) -> Vec<Note> {
    let values: BTreeSet<&String> = changes.iter().flat_map(|changes| &changes.values).collect();
    let is_value = |change: &&ItemChange| {
        change.became == Became::Changed
            && matches!(change.item.kind, Kind::Const | Kind::MacroRules)
    };
    let mut items = changes.iter().flat_map(|changes| &changes.items);
    let Some(change) = items.find(is_value) else {
        return Vec::new();
    };
    let users = values.iter().flat_map(|name| index.mentioning(name));
    let names: BTreeSet<String> = users
        .filter(|user| !reached.contains(user))
        .filter_map(|user| index.known(user))
        .map(|known| format!("`{}`", known.path))
        .collect();
    if names.is_empty() {
        return Vec::new();
    }
    let names: Vec<String> = names.into_iter().collect();
    let keep = if names.len() == 1 { "keeps" } else { "keep" };
    vec![Note {
        code: Code::HP0202,
        message: format!("{} {keep} what {} was", names.join(", "), change.item.title),
        file: change.file.clone(),
        line: change.place.line,
    }]
}

/// A text without its line breaks, and not longer than can be read at a glance.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 60;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

pub(super) fn caller_name(index: &Index, graph: &CallGraph, vertex: Vertex) -> String {
    use crate::image::graph::NodeKind;
    if let Some(known) = index.known(vertex) {
        return format!("calls from `{}`", known.path);
    }
    let Some(node) = index.nodes(vertex).first() else {
        return "other callers".to_owned();
    };
    if graph.kind(*node) == NodeKind::Data {
        return "trait objects and function pointers made earlier".to_owned();
    }
    format!(
        "calls from `{:#}`",
        rustc_demangle::demangle(graph.name(*node))
    )
}

/// What tells a version of a function that no hot function reaches from others.
pub(super) fn unreached<'a>(
    sources: &'a [CrateSource],
    index: &'a Index,
    vertex: Vertex,
) -> impl Iterator<Item = Told> + 'a {
    index.known(vertex).into_iter().flat_map(|known| {
        let functions = known
            .keys
            .iter()
            .filter_map(|key| sources[known.krate].function(key));
        functions.map(|(_, function)| Told {
            krate: known.krate,
            key: function.key.clone(),
            signature: function.signature,
            code: function.code,
        })
    })
}
