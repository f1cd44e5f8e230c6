//! Code of a patch that took something private for what is meant: in a scope all names are visible.

use std::cell::LazyCell;
use std::collections::BTreeSet;

use anyhow::Result;

use super::checks::misread;
use super::compose::{Part, What};
use super::make::Maker;
use super::scopes::Seen;
use crate::image::graph::{CallGraph, NodeId};
use crate::image::object_file::Defined;
use crate::image::symbols::Kind as SymbolKind;
use crate::plan::index::{Index, Vertex};
use crate::plan::reach::compiled_with;
use crate::plan::verdict::Refusal;
use crate::source::items::CrateSource;
use crate::source::privacy;
use crate::source::tokens::paths;

impl Maker<'_> {
    /// What was taken for another thing and is not seen in the patch, because its code was inlined there.
    pub(super) fn held_strangers(
        &self,
        sources: &[CrateSource],
        index: &Index,
        graph: &CallGraph,
        bare: &What<'_>,
        seen: &[Seen],
    ) -> Result<Option<Refusal>> {
        let mut crates = self.world.crates.iter();
        let optimised = crates.any(|krate| krate.unit.args.optimised());
        if !may_hold_a_stranger(sources, optimised, index, bare.include) {
            return Ok(None);
        }
        for part in self.compile(sources, index, graph, bare, seen)? {
            let mut graph = graph.clone();
            self.add_to(&mut graph, &part)?;
            if let Some(refusal) = strangers(sources, index, &graph, &part) {
                return Ok(Some(refusal));
            }
        }
        Ok(None)
    }
}

/// In a scope all names are visible, and one that was not may have taken the place of the one meant. Code
/// that calls a private function from outside its module shows it: what was taken out of its place, and what rustc
/// compiled into the patch through the scope.
pub(super) fn strangers(
    sources: &[CrateSource],
    index: &Index,
    graph: &CallGraph,
    part: &Part,
) -> Option<Refusal> {
    let object = &part.compiled.object;
    // Few calls ask.
    let traits: Vec<_> = sources
        .iter()
        .map(|source| LazyCell::new(|| source.homes_of_traits()))
        .collect();
    // Of a graph that is newer than the index, as is what this patch has brought.
    let vertex = |node: NodeId| {
        let known = index.vertex(node);
        known.or_else(|| index.by_symbol(graph.name(node)))
    };
    let taken_out = object.pairs.iter().filter_map(|pair| {
        let at = usize::try_from(pair.index).unwrap_or(usize::MAX);
        Some((graph.node(&pair.old)?, part.vertices.get(at).copied()?))
    });
    let renamed: BTreeSet<&str> = object.pairs.iter().map(|pair| pair.new.as_str()).collect();
    let is_through_scope = |symbol: &&Defined| {
        symbol.kind == SymbolKind::Function && !renamed.contains(symbol.name.as_str())
    };
    let through_scope = object.defined.iter().filter(is_through_scope);
    let through_scope = through_scope
        .flat_map(|symbol| graph.nodes_named(&symbol.name))
        .filter_map(|node| Some((node, vertex(node)?)));
    for (node, caller) in taken_out.chain(through_scope) {
        let Some(from) = index.known(caller) else {
            continue;
        };
        for callee in graph.callees(node) {
            let Some(known) = vertex(*callee).and_then(|vertex| index.known(vertex)) else {
                continue;
            };
            let home = known.home.as_ref().or_else(|| {
                let (_, function) = sources[known.krate].function(known.keys.first()?)?;
                let name = function.owner.trait_name()?;
                traits[known.krate].get(name)?.as_ref()
            });
            // Generic code calls what it is handed: closures, the bodies of futures, and functions, which are part of its name
            // then.
            let is_handed = || {
                let Some(called) = graph.demangled(*callee) else {
                    return false;
                };
                let instance = graph.demangled(node).map_or("", |found| &found.text);
                !called.rest.is_empty() || is_argument(instance, &called.text)
            };
            if !from.spot().may_name(known.krate, home) && !is_handed() {
                let why = format!("the patch would call `{}`, which is private", known.path);
                return misread(sources, index, caller, why);
            }
        }
    }
    None
}

/// Whether a function is among the generic arguments of an instance, by what their symbols read like.
fn is_argument(instance: &str, function: &str) -> bool {
    instance.match_indices(function).any(|(at, _)| {
        let before = instance[..at].chars().next_back();
        let after = instance[at + function.len()..].chars().next();
        matches!(before, Some('<' | ' ' | '(' | '[' | '&'))
            && matches!(after, Some('>' | ',' | ')' | ']' | ';'))
    })
}

/// Whether a function in the patch, or compiled into it through a scope, names a method that it could not call in its crate
/// and that its code may hold a copy of, so that no call would show that it was taken for another.
fn may_hold_a_stranger(
    sources: &[CrateSource],
    optimised: bool,
    index: &Index,
    include: &BTreeSet<Vertex>,
) -> bool {
    let methods = privacy::private_methods(sources, |function| optimised || function.inline);
    if methods.is_empty() {
        return false;
    }
    let mut compiled = compiled_with(index, include).into_iter();
    compiled.any(|vertex| {
        let Some(known) = index.known(vertex) else {
            return false;
        };
        let is_hidden = |name: &&String| {
            let found = methods.get(name.as_str()).into_iter().flatten();
            let mut hidden = found.filter(|(of, home)| !known.spot().may_name(*of, Some(home)));
            hidden.next().is_some()
        };
        let mut hidden = known.mentions.iter().filter(is_hidden).peekable();
        if hidden.peek().is_none() {
            return false;
        }
        let source = &sources[known.krate];
        let functions = known.keys.iter().filter_map(|key| source.function(key));
        let (mut said, mut own) = (BTreeSet::new(), BTreeSet::new());
        for (file, function) in functions {
            own.extend(function.mentions.iter().cloned());
            if let Ok(tokens) = file.parsed.text[function.body.clone()].parse() {
                paths(tokens, &mut said);
            }
        }
        // What macros say is not taken apart.
        hidden.any(|name| {
            let ending = format!("::{name}");
            !own.contains(name)
                || said.contains(&format!(".{name}"))
                || said.iter().any(|path| path.ends_with(&ending))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::is_argument;

    #[test]
    fn a_path_that_begins_alike_is_no_argument() {
        let is = |instance: &str| is_argument(instance, "<app::part::Part>::size");
        assert!(!is("<app::part::Part>::size_twice"));
        assert!(!is("app::user::twice::<app::part::Part>"));
        assert!(is("app::apply::<<app::part::Part>::size>"));
        assert!(is("app::apply::<u8, <app::part::Part>::size, u8>"));
        assert!(!is("app::apply::<<app::part::Part>::size::{closure#0}>"));
    }
}
