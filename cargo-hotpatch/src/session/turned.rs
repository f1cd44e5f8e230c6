//! Functions that nobody edited and that call others than before, since a name in them means something else now. Whoever
//! keeps their old code is told of as for an edit.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use anyhow::Result;

use super::compose::Ready;
use super::make::Maker;
use crate::image::demangle::FunctionKey;
use crate::image::graph::{CallGraph, NodeId};
use crate::plan::index::{Index, Vertex};
use crate::plan::reach::{self, Changed, Plan};
use crate::source::diff::Changes;
use crate::source::file::Owner;
use crate::source::items::CrateSource;
use crate::source::rebound::{Named, Rebound};

impl Maker<'_> {
    /// Those of the suspected functions in a patch whose old code somebody keeps, and whose new code calls what the old
    /// one does not.
    ///
    /// # Errors
    /// The patch cannot be read.
    pub(super) fn turned(
        &self,
        index: &Index,
        graph: &CallGraph,
        changed: &Changed,
        ready: &Ready,
    ) -> Result<BTreeSet<Vertex>> {
        let parts = || ready.loaded.iter().map(|loaded| &loaded.part);
        let included: BTreeSet<Vertex> = parts().flat_map(|part| &part.vertices).copied().collect();
        let suspected = changed.suspected.difference(&changed.edited);
        let suspected = Changed {
            edited: suspected
                .copied()
                .filter(|v| included.contains(v))
                .collect(),
            ..Changed::default()
        };
        let mut kept = Plan::default();
        kept.settle(graph, index, &suspected, &included);
        let mut out = BTreeSet::new();
        if kept.outside.is_empty() {
            return Ok(out);
        }
        for part in parts() {
            let mut with_part = graph.clone();
            self.add_to(&mut with_part, part)?;
            for pair in &part.compiled.object.pairs {
                let at = usize::try_from(pair.index).unwrap_or(usize::MAX);
                let vertex = part.vertices.get(at);
                let Some(vertex) = vertex.filter(|vertex| kept.outside.contains_key(vertex)) else {
                    continue;
                };
                let was = called(index, graph, index.nodes(*vertex).iter().copied());
                let is = called(index, &with_part, with_part.nodes_named(&pair.old));
                if !is.is_subset(&was) {
                    out.insert(*vertex);
                }
            }
        }
        Ok(out)
    }
}

/// Functions that no hot function reaches, so that no compiler sees them, and that mean something else now though nobody
/// edited them, with the reason.
pub(super) fn overtaken(
    sources: &[CrateSource],
    changes: &[Changes],
    index: &Index,
    graph: &CallGraph,
    changed: &Changed,
    rebound: &Rebound,
) -> BTreeMap<Vertex, String> {
    let reached = LazyCell::new(|| reach::reached(graph, index).into_iter().collect());
    let mut out = of_other_items(sources, changes, index, graph, rebound, &reached);
    let methods = of_other_methods(sources, changes, index, graph, changed, &reached);
    out.extend(methods.into_iter().map(|vertex| {
        let why = "a new method takes the place of one that it calls";
        (vertex, why.to_owned())
    }));
    out.retain(|vertex, _| !changed.edited.contains(vertex));
    out
}

/// Those with a name that leads to another item now. Whether a small name is one of an item or of a variable, the items of
/// such a name tell that their code refers to; where calls are inlined, it counts.
fn of_other_items(
    sources: &[CrateSource],
    changes: &[Changes],
    index: &Index,
    graph: &CallGraph,
    rebound: &Rebound,
    reached: &impl Deref<Target = BTreeSet<Vertex>>,
) -> BTreeMap<Vertex, String> {
    let mut out = BTreeMap::new();
    if rebound.is_empty() {
        return out;
    }
    for (krate, source) in sources.iter().enumerate() {
        for (file, function) in source.functions() {
            let vertex = index.find(krate, &function.key);
            let vertex = vertex.filter(|vertex| {
                !reached.contains(vertex) && !changes[krate].added.contains(&function.key)
            });
            // What the program has no code of runs nowhere.
            let Some(vertex) = vertex.filter(|vertex| !index.nodes(*vertex).is_empty()) else {
                continue;
            };
            let callees = || {
                let nodes = index.nodes(vertex).iter();
                let callees = nodes.flat_map(|node| graph.callees(*node));
                callees.filter_map(|node| graph.demangled(*node))
            };
            let refers = |named: &Named| {
                let was = |name: &str| named.was.contains(name);
                callees().any(|callee| {
                    let is_it = matches!(&callee.key, FunctionKey::Free { path }
                        if path.rsplit("::").next().is_some_and(was));
                    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
                    let mut words = callee.text.split(|letter| !is_word(letter));
                    is_it || (named.is_module && words.any(was))
                })
            };
            let named = rebound.in_function(krate, source, file, function);
            let found = named
                .into_iter()
                .find(|named| named.is_sure || refers(named));
            if let Some(found) = found {
                let why = format!("`{}` stands for something else in it now", found.name);
                out.insert(vertex, why);
            }
        }
    }
    out
}

/// Those that called a trait's method or one behind a `Deref` by a name that a new method of the type itself has. The
/// program's own code tells whom they called.
fn of_other_methods(
    sources: &[CrateSource],
    changes: &[Changes],
    index: &Index,
    graph: &CallGraph,
    changed: &Changed,
    reached: &impl Deref<Target = BTreeSet<Vertex>>,
) -> Vec<Vertex> {
    // By the type's name.
    let mut new: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (source, changes) in sources.iter().zip(changes) {
        for (_, function) in changes.added.iter().filter_map(|key| source.function(key)) {
            if let Owner::Impl(head) = &function.owner
                && head.trait_path.is_none()
            {
                let names = new.entry(&head.self_name).or_default();
                names.insert(&function.name);
            }
        }
    }
    if new.is_empty() {
        return Vec::new();
    }
    let is_taken = |node: NodeId| {
        let Some(FunctionKey::Method {
            self_type,
            trait_name: Some(of),
            name,
        }) = graph.demangled(node).map(|found| &found.key)
        else {
            return false;
        };
        let names = new.get(self_type.as_str());
        names.is_some_and(|names| names.contains(name.as_str()) || of.starts_with("Deref"))
    };
    let unseen = changed.suspected.difference(reached).copied();
    unseen
        .filter(|vertex| {
            let nodes = index.nodes(*vertex).iter();
            nodes
                .flat_map(|node| graph.callees(*node))
                .any(|callee| is_taken(*callee))
        })
        .collect()
}

/// The functions of the source that these call.
fn called(
    index: &Index,
    graph: &CallGraph,
    nodes: impl Iterator<Item = NodeId>,
) -> BTreeSet<Vertex> {
    let callees = nodes.flat_map(|node| graph.callees(node));
    // The graph may be newer than the index.
    let known = |node: &NodeId| {
        let vertex = index.vertex(*node);
        vertex.or_else(|| index.by_symbol(graph.name(*node)))
    };
    callees.filter_map(known).collect()
}
