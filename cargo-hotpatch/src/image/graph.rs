//! Who refers to whom in the workspace's crates, read from the relocations of their objects.
//!
//! - A global name is one node for all objects; a local symbol or unnamed section is a node of its object.
//! - Calls that were inlined left no relocation: [`CallGraph::add_edge`] takes those from elsewhere.
//! - The graph of the base never changes. What patches and [`CallGraph::add_edge`] add lies over it, so that a
//!   clone, kept for undoing a generation, costs as much as was added.

use crate::image::demangle::Demangled;
use crate::image::elf::ElfError;
use crate::image::graph_base::{Base, Node, Parts};
use crate::image::graph_object::{Linkage, ObjectGraph};
use crate::image::hash::NameHashBuilder;
use crate::image::node_set::NodeSet;
use std::collections::HashMap;
use std::sync::Arc;
use thiserror::Error;

/// A node of a [`CallGraph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

impl NodeId {
    /// Its number; nodes are numbered from 0 without gaps.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn from_index(index: usize) -> Self {
        NodeId(index as u32)
    }
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// Code.
    Function,
    /// A static, constant or vtable.
    Data,
    /// A thread-local.
    Tls,
    /// Referred to here and defined elsewhere: the standard library, other crates, C.
    Undefined,
}

/// Why the graph could not be built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GraphError {
    /// A crate's library is not an archive.
    #[error("the library of crate `{krate}` is not an archive")]
    Archive {
        /// The crate.
        krate: String,
        /// What is wrong with it.
        source: object::Error,
    },
    /// An object is damaged.
    #[error("an object of crate `{krate}` cannot be read")]
    Object {
        /// The crate.
        krate: String,
        /// What is wrong with it.
        source: ElfError,
    },
}

/// The call graph of a program, its patches included.
#[derive(Debug, Clone, Default)]
pub struct CallGraph {
    base: Arc<Base>,
    crates: Vec<Arc<str>>,
    added: Vec<AddedNode>,
    added_names: HashMap<Arc<str>, Vec<NodeId>, NameHashBuilder>,
    /// Out-edges that replace a node's edges in the base.
    callees: HashMap<NodeId, Vec<NodeId>, NameHashBuilder>,
    /// For each node the nodes that have it in `callees`.
    callers: HashMap<NodeId, Vec<NodeId>, NameHashBuilder>,
}

#[derive(Debug, Clone)]
struct AddedNode {
    name: Arc<str>,
    parts: Parts,
    node: Node,
}

impl CallGraph {
    /// Builds the graph from the libraries of the workspace's crates.
    ///
    /// # Errors
    /// If a library is not an archive or one of its objects is damaged. Members that are not ELF are skipped.
    pub fn from_rlibs<'data>(
        rlibs: impl IntoIterator<Item = (&'data str, &'data [u8])>,
    ) -> Result<Self, GraphError> {
        let rlibs: Vec<_> = rlibs.into_iter().collect();
        let crates = rlibs.iter().map(|(name, _)| Arc::from(*name)).collect();
        Ok(CallGraph {
            base: Arc::new(Base::from_rlibs(&rlibs)?),
            crates,
            ..CallGraph::default()
        })
    }

    /// Number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.base.len() + self.added.len()
    }

    /// Whether there are no nodes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The node a name means to other objects: the global one, or else the only local one.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<NodeId> {
        let mut nodes = self.nodes_named(name);
        let first = nodes.next()?;
        let mut only = true;
        for node in std::iter::once(first).chain(nodes) {
            if self.info(node).linkage == Linkage::Global {
                return Some(node);
            }
            only &= node == first;
        }
        only.then_some(first)
    }

    /// Every node with this name: the global one and each object's local copies.
    pub fn nodes_named(&self, name: &str) -> impl Iterator<Item = NodeId> {
        let added = self
            .added_names
            .get(name)
            .map(Vec::as_slice)
            .unwrap_or_default();
        self.base.named(name).chain(added.iter().copied())
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.len()).map(NodeId::from_index)
    }

    fn info(&self, node: NodeId) -> Node {
        match node.index().checked_sub(self.base.len()) {
            Some(index) => self.added[index].node,
            None => self.base.node(node),
        }
    }

    /// The symbol, or the section's name if it has none.
    #[must_use]
    pub fn name(&self, node: NodeId) -> &str {
        match node.index().checked_sub(self.base.len()) {
            Some(index) => &self.added[index].name,
            None => self.base.name(node),
        }
    }

    /// The name taken apart; `None` if it is no Rust symbol's.
    #[must_use]
    pub fn demangled(&self, node: NodeId) -> Option<&Demangled> {
        match node.index().checked_sub(self.base.len()) {
            Some(index) => self.added[index].parts.of(&self.added[index].name),
            None => self.base.demangled(node),
        }
    }

    /// The crate whose object defines it; `None` for [`NodeKind::Undefined`].
    #[must_use]
    pub fn krate(&self, node: NodeId) -> Option<&str> {
        let info = self.info(node);
        (info.kind != NodeKind::Undefined).then(|| &*self.crates[info.krate as usize])
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self, node: NodeId) -> NodeKind {
        self.info(node).kind
    }

    /// Whether only its own object can refer to it by name.
    #[must_use]
    pub fn is_local(&self, node: NodeId) -> bool {
        self.info(node).linkage == Linkage::Local
    }

    /// What a node refers to.
    #[must_use]
    pub fn callees(&self, node: NodeId) -> &[NodeId] {
        match self.callees.get(&node) {
            Some(callees) => callees,
            None => self.base.callees(node),
        }
    }

    /// What refers to a node.
    pub fn callers(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let over = self
            .callers
            .get(&node)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let base = self
            .base
            .callers(node)
            .iter()
            .filter(|caller| !self.callees.contains_key(caller));
        base.chain(over).copied()
    }

    /// Adds an edge that no relocation shows, such as an inlined call.
    pub fn add_edge(&mut self, from: NodeId, to: NodeId) {
        if !self.callees(from).contains(&to) {
            let callees = self.callees(from).iter().copied().chain([to]).collect();
            self.set_callees(from, callees);
        }
    }

    /// Replaces everything a node refers to.
    pub fn set_callees(&mut self, from: NodeId, mut to: Vec<NodeId>) {
        to.sort_unstable();
        to.dedup();
        for callee in self.callees.remove(&from).unwrap_or_default() {
            if let Some(callers) = self.callers.get_mut(&callee) {
                callers.retain(|caller| *caller != from);
            }
        }
        for callee in &to {
            self.callers.entry(*callee).or_default().push(from);
        }
        self.callees.insert(from, to);
    }

    /// Adds the object of a patch.
    ///
    /// `rename` maps symbols of the patch to the ones they replace: what the new body refers to becomes what
    /// the old node refers to, and the new symbol gets no node of its own. Other definitions of the patch get
    /// nodes; a global one that exists already keeps its edges and gains the new ones. References to symbols
    /// of the base reach the base's nodes.
    ///
    /// # Errors
    /// If the object is damaged.
    pub fn add_object<S: std::hash::BuildHasher>(
        &mut self,
        crate_name: &str,
        data: &[u8],
        rename: &HashMap<String, String, S>,
    ) -> Result<(), GraphError> {
        let object = ObjectGraph::read(data).map_err(|source| GraphError::Object {
            krate: crate_name.to_owned(),
            source,
        })?;
        let krate = self.crate_index(crate_name);
        let mut nodes = Vec::with_capacity(object.nodes.len());
        let mut edges: HashMap<NodeId, Vec<NodeId>, NameHashBuilder> = HashMap::default();
        for node in &object.nodes {
            let info = Node {
                kind: node.kind,
                linkage: node.linkage,
                krate,
            };
            let defined = node.kind != NodeKind::Undefined;
            let replaced = rename.get(node.name).filter(|_| defined);
            let shared = node.linkage == Linkage::Global;
            let id = match replaced {
                Some(old) => self.node(old).unwrap_or_else(|| self.add_node(old, info)),
                None if shared => self
                    .node(node.name)
                    .unwrap_or_else(|| self.add_node(node.name, info)),
                None => self.add_node(node.name, info),
            };
            if defined {
                self.define(id, info);
                let kept = if replaced.is_some() {
                    &[]
                } else {
                    self.callees(id)
                };
                edges.entry(id).or_insert_with(|| kept.to_vec());
            }
            nodes.push(id);
        }
        for (from, to) in object.edges {
            edges
                .entry(nodes[from as usize])
                .or_default()
                .push(nodes[to as usize]);
        }
        for (from, to) in edges {
            self.set_callees(from, to);
        }
        Ok(())
    }

    /// Gives a node that was only referred to until now its kind and crate.
    fn define(&mut self, id: NodeId, info: Node) {
        if let Some(index) = id.index().checked_sub(self.base.len())
            && self.added[index].node.kind == NodeKind::Undefined
        {
            self.added[index].node = info;
        }
    }

    fn crate_index(&mut self, name: &str) -> u32 {
        let known = self.crates.iter().position(|krate| &**krate == name);
        known.unwrap_or_else(|| {
            self.crates.push(Arc::from(name));
            self.crates.len() - 1
        }) as u32
    }

    fn add_node(&mut self, name: &str, node: Node) -> NodeId {
        let id = NodeId::from_index(self.len());
        let name: Arc<str> = Arc::from(name);
        self.added_names
            .entry(Arc::clone(&name))
            .or_default()
            .push(id);
        let parts = Parts::default();
        self.added.push(AddedNode { name, parts, node });
        id
    }

    /// All nodes that `starts` lead to, themselves included. A node for which `stop` holds is in the set, but
    /// the search does not go on from there unless it is a start.
    pub fn reach_forward(
        &self,
        starts: impl IntoIterator<Item = NodeId>,
        stop: impl Fn(NodeId) -> bool,
    ) -> NodeSet {
        self.reach(starts, stop, |node, visit| {
            self.callees(node).iter().copied().for_each(visit)
        })
    }

    /// All nodes that lead to `starts`, themselves included. `stop` as in [`CallGraph::reach_forward`].
    pub fn reach_backward(
        &self,
        starts: impl IntoIterator<Item = NodeId>,
        stop: impl Fn(NodeId) -> bool,
    ) -> NodeSet {
        self.reach(starts, stop, |node, visit| {
            self.callers(node).for_each(visit)
        })
    }

    fn reach(
        &self,
        starts: impl IntoIterator<Item = NodeId>,
        stop: impl Fn(NodeId) -> bool,
        neighbours: impl Fn(NodeId, &mut dyn FnMut(NodeId)),
    ) -> NodeSet {
        let mut reached = NodeSet::with_capacity(self.len());
        let mut open: Vec<NodeId> = starts
            .into_iter()
            .filter(|start| reached.insert(*start))
            .collect();
        while let Some(node) = open.pop() {
            neighbours(node, &mut |next| {
                if reached.insert(next) && !stop(next) {
                    open.push(next);
                }
            });
        }
        reached
    }
}

#[cfg(test)]
mod tests;
