//! Functions that nobody edited and that call others than before, since a name in them means something else now. Whoever
//! keeps their old code is told of as for an edit.

use std::collections::BTreeSet;

use anyhow::Result;

use super::compose::Ready;
use super::make::Maker;
use crate::image::graph::{CallGraph, NodeId};
use crate::plan::index::{Index, Vertex};
use crate::plan::reach::{Changed, Plan};

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
