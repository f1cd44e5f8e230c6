//! What a compiled patch must not be: looked at before anything is linked or loaded.

use std::collections::{BTreeMap, BTreeSet};

use super::compose::Part;
use super::locals::{is_copy, variable_in};
use super::make::{CALL_SITE, Maker, refuse};
use super::storage::NewStatic;
use crate::image::demangle::demangle;
use crate::image::elf::Elf;
use crate::image::graph::CallGraph;
use crate::image::symbols::Kind as SymbolKind;
use crate::patch::compile::shown;
use crate::plan::codes::Code;
use crate::plan::index::{Index, Vertex};
use crate::plan::reach::Plan;
use crate::plan::verdict::Refusal;
use crate::source::fields::can_be_in_place;
use crate::source::file::{FnKey, Kind, Shape};
use crate::source::items::CrateSource;
use crate::source::locals::Brought;
use crate::source::widen::BLANK_MARK;

/// What a compiled patch lacks.
#[derive(Default)]
pub(super) struct Needs {
    /// Functions that must be in it, too.
    pub(super) functions: BTreeSet<Vertex>,
    /// Those of them that are as they were, and for which nothing but a slot that is empty speaks.
    pub(super) with_empty_slot: BTreeSet<Vertex>,
    /// Statics that need storage.
    pub(super) statics: BTreeSet<NewStatic>,
    /// Symbols by which functions of the patch are called that it gives another one: the number of an `impl` among those of
    /// its module is part of it.
    pub(super) called: BTreeMap<Vertex, String>,
    /// Functions with statics of which only code in its place finds the program's.
    pub(super) in_place: BTreeSet<Vertex>,
    /// Why it cannot be had; with instances of its own it may be another matter.
    pub(super) refusal: Option<Refusal>,
    /// It is for the program's instances of generic code and nothing else that it cannot be had.
    pub(super) only_instances: bool,
    /// It cannot be had for functions that the program lacks and no source has: macros made them.
    pub(super) only_made: bool,
}

impl Needs {
    /// It cannot be had, because of an instance of generic code in the program or for another reason.
    pub(super) fn refuse(&mut self, why: Option<Refusal>, of_instance: bool) {
        self.only_instances = of_instance && (self.refusal.is_none() || self.only_instances);
        self.only_made = false;
        self.refusal = why;
    }

    /// It cannot be had, because the program lacks this.
    fn refuse_lacking(&mut self, why: Option<Refusal>, may_be_instance: bool, is_made: bool) {
        let only_made = is_made && (self.refusal.is_none() || self.only_made);
        self.refuse(why, may_be_instance);
        self.only_made = only_made;
    }
}

impl Maker<'_> {
    /// Looks at what was compiled: which functions it needs besides, and what cannot be had.
    pub(super) fn check(
        &self,
        sources: &[CrateSource],
        index: &Index,
        graph: &CallGraph,
        plan: &Plan,
        include: &BTreeSet<Vertex>,
        round: &[Part],
    ) -> Needs {
        let mut needs = Needs::default();
        let replaced: BTreeSet<&str> = round
            .iter()
            .flat_map(|part| &part.compiled.object.pairs)
            .map(|pair| pair.old.as_str())
            .chain(
                round
                    .iter()
                    .flat_map(|part| &part.added)
                    .map(|item| item.symbol.as_str()),
            )
            .collect();
        let inner: BTreeSet<String> = round
            .iter()
            .flat_map(|part| &part.added)
            .map(|item| Brought::inner(&item.export()))
            .collect();
        for part in round {
            let first = part.vertices.first().or_else(|| include.first()).copied();
            let Some(first) = first else {
                continue;
            };
            let refuse = |why: String| {
                refuse(sources, index, first, Code::HP0001, |path| {
                    format!("the edit of `{path}` is not supported yet")
                })
                .map(|refusal| refusal.because(why))
            };
            for symbol in &part.compiled.object.undefined {
                if !symbol.used
                    || symbol.weak
                    || replaced.contains(symbol.name.as_str())
                    || inner.contains(&symbol.name)
                {
                    continue;
                }
                let vertex = graph
                    .nodes_named(&symbol.name)
                    .find_map(|node| index.vertex(node))
                    .or_else(|| index.by_symbol(&symbol.name));
                let known = vertex.and_then(|vertex| index.known(vertex));
                let is_hot = known.is_some_and(|known| known.hot);
                let is_outdated = |vertex| {
                    plan.outdated.contains(&vertex)
                        && !self.world.state().symbols.contains_key(&symbol.name)
                };
                let is_stale = vertex
                    .is_some_and(|vertex| plan.stale.contains(&vertex) || is_outdated(vertex))
                    && !is_hot
                    && !symbol.tls
                    && is_code(graph, &symbol.name);
                let there = self.address(&symbol.name).is_some()
                    || (symbol.tls && self.world.image.tls_offset_of(&symbol.name).is_some())
                    || self.world.image.imports(&symbol.name);
                if let Some(item) = self.revalued(sources, plan, &symbol.name) {
                    needs.statics.insert(item);
                    continue;
                }
                let of_data = self.world.image.symbols.get(&symbol.name);
                let is_doubtful = of_data.is_some_and(|found| found.kind != SymbolKind::Function)
                    && self.is_doubtful(sources, index, &symbol.name);
                if there && is_doubtful {
                    let name = shown(&symbol.name);
                    needs.refuse(
                        refuse(format!(
                            "`{name}`, which a macro made, may be another one in the program"
                        )),
                        false,
                    );
                    continue;
                }
                if there && !is_stale {
                    continue;
                }
                match (vertex, known) {
                    (Some(vertex), Some(known))
                        if known.shape == Shape::Plain && !include.contains(&vertex) =>
                    {
                        needs.functions.insert(vertex);
                    }
                    (Some(vertex), _) if is_called_otherwise(part, vertex, &symbol.name) => {
                        needs.called.insert(vertex, symbol.name.clone());
                    }
                    _ => {
                        let item = if symbol.tls {
                            self.new_local(sources, &symbol.name)
                        } else {
                            self.new_static(sources, &symbol.name)
                        };
                        if let Some(item) = item {
                            needs.statics.insert(item);
                            continue;
                        }
                        let name = shown(&symbol.name);
                        let why = refuse(if is_stale {
                            format!("it goes through `{name}`, which cannot be patched yet")
                        } else {
                            format!("the program has no `{name}`")
                        });
                        let is_unwritten = known.is_none();
                        let is_made =
                            is_unwritten && !is_stale && !symbol.tls && !name.contains("::<");
                        needs.refuse_lacking(why, is_unwritten && name.contains('<'), is_made);
                    }
                }
            }
            needs
                .with_empty_slot
                .extend(self.with_empty_slot(index, include, part));
            for item in part.added.iter().filter(|item| item.value.is_some()) {
                let export = item.export();
                let mut defined = part.compiled.object.defined.iter();
                if defined.any(|symbol| symbol.name == export && symbol.writable) {
                    needs.refuse(refuse(format!(
                        "`#[hot]` static `{}` may change while the program runs: it has one value for all",
                        item.name
                    )), false);
                }
            }
            let mut locals = part.added.iter().filter(|item| item.is_thread_local);
            if let Some(item) =
                locals.find(|item| variable_in(&part.compiled.object, item).is_none())
            {
                needs.refuse(
                    no_room(sources, item, "its variable is not found in the patch"),
                    false,
                );
            }
            if let Some(section) = starts_by_itself(&part.compiled.data) {
                needs.refuse(
                    refuse(format!("code in section {section} would run by itself")),
                    false,
                );
            }
            for symbol in &part.compiled.object.defined {
                // A macro may have made a static inside a function, which would begin anew with each patch.
                let is_own_state = symbol.writable
                    && !symbol.name.contains(CALL_SITE)
                    && !part.added.iter().any(|item| is_copy(&symbol.name, item));
                let copies_state = matches!(symbol.kind, SymbolKind::Data | SymbolKind::Tls)
                    && symbol.name.starts_with("_R")
                    && (is_own_state || self.world.image.symbols.get(&symbol.name).is_some());
                if copies_state {
                    if let Some(vertex) = self.movable(sources, index, part, &symbol.name) {
                        needs.in_place.insert(vertex);
                        continue;
                    }
                    let name = shown(&symbol.name);
                    needs.refuse(refuse(format!("it would make a second `{name}`")), false);
                }
            }
        }
        needs
    }

    /// The function of a patch that this static is in, if its code can be left in its place: compiled through the scope it
    /// has the one that the program has.
    fn movable(
        &self,
        sources: &[CrateSource],
        index: &Index,
        part: &Part,
        symbol: &str,
    ) -> Option<Vertex> {
        let text = demangle(symbol)?.text;
        let mut found = part.vertices.iter().copied().filter(|vertex| {
            let known = index.known(*vertex);
            known.is_some_and(|known| text.split("::").any(|name| name == known.name))
        });
        let vertex = found.next().filter(|_| found.next().is_none())?;
        let known = index.known(vertex)?;
        let source = &sources[known.krate];
        let can_move = |key: &FnKey| {
            let found = source.function(key);
            !source.in_place.contains(key)
                && found.is_some_and(|(_, function)| can_be_in_place(source, function))
        };
        known.keys.iter().all(can_move).then_some(vertex)
    }
}

/// A function in this part that stands there for another symbol, which differs in numbers alone.
fn is_called_otherwise(part: &Part, vertex: Vertex, symbol: &str) -> bool {
    let text = |symbol: &str| demangle(symbol).map(|found| found.text);
    let mut pairs = part.compiled.object.pairs.iter();
    pairs.any(|pair| {
        let at = usize::try_from(pair.index).unwrap_or(usize::MAX);
        part.vertices.get(at) == Some(&vertex)
            && pair.old != symbol
            && text(&pair.old) == text(symbol)
    })
}

/// Why a thread-local cannot be had.
pub(super) fn no_room(sources: &[CrateSource], item: &NewStatic, why: &str) -> Option<Refusal> {
    let source = sources.get(item.krate)?;
    let (file, found) = source.files.iter().find_map(|file| {
        let mut items = file.parsed.items.iter();
        let found = items.find(|other| {
            other.kind == Kind::ThreadLocal
                && *other.module == *item.module
                && other.names.first() == Some(&item.name)
        })?;
        Some((file, found))
    })?;
    let message = format!("{} cannot be given storage", found.title);
    Some(Refusal::new(Code::HP0104, message, &file.path, found.place).because(why))
}

/// A function that would be understood otherwise in a patch than in its crate.
pub(super) fn misread(
    sources: &[CrateSource],
    index: &Index,
    vertex: Vertex,
    why: String,
) -> Option<Refusal> {
    let refusal = refuse(sources, index, vertex, Code::HP0001, |path| {
        format!("names in `{path}` would not mean what they mean in the crate")
    })?;
    Some(refusal.because(why))
}

/// A patch with a body that is blank in a scope: an attribute macro may have made another function of what is written.
pub(super) fn with_blank_body(
    sources: &[CrateSource],
    index: &Index,
    include: &BTreeSet<Vertex>,
    round: &[Part],
) -> Option<Refusal> {
    let mark = BLANK_MARK.as_bytes();
    let is_blank = |part: &&Part| {
        let mut windows = part.compiled.data.windows(mark.len());
        windows.any(|window| window == mark)
    };
    let part = round.iter().find(is_blank)?;
    let first = part.vertices.first().or_else(|| include.first())?;
    let refusal = refuse(sources, index, *first, Code::HP0001, |path| {
        format!("the edit of `{path}` is not supported yet")
    })?;
    let why = "a macro makes other functions of what is written, and their code is not known";
    Some(refusal.because(why))
}

/// A section of functions that run when the library is loaded.
fn starts_by_itself(object: &[u8]) -> Option<String> {
    let names = [
        ".init_array",
        ".preinit_array",
        ".ctors",
        ".fini_array",
        ".dtors",
    ];
    let elf = Elf::parse(object).ok()?;
    let mut found = elf.sections.iter().map(|section| section.name);
    let found = found.find(|section| names.iter().any(|name| section.starts_with(name)));
    found.map(str::to_owned)
}

pub(super) fn is_code(graph: &CallGraph, symbol: &str) -> bool {
    use crate::image::graph::NodeKind;
    graph
        .nodes_named(symbol)
        .any(|node| graph.kind(node) == NodeKind::Function)
}
