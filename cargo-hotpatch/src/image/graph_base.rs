//! The call graph of the base in compact, immutable form.
//!
//! Objects are read on several threads; names are then merged in the order of the archives, so that the
//! numbers of the nodes do not depend on timing.

use crate::image::demangle::{Demangled, demangle};
use crate::image::graph::{GraphError, NodeId, NodeKind};
use crate::image::graph_object::{Linkage, ObjectGraph};
use crate::image::hash::{NameHashBuilder, hash_bytes};
use object::read::archive::ArchiveFile;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// What is known of a node besides its name and edges.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) linkage: Linkage,
    pub(crate) krate: u32,
}

/// A name taken apart when it is first asked for: every edit that is more than bodies asks for all of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parts(OnceLock<Option<Arc<Demangled>>>);

impl Parts {
    pub(crate) fn of(&self, name: &str) -> Option<&Demangled> {
        let parts = self.0.get_or_init(|| demangle(name).map(Arc::new));
        parts.as_deref()
    }
}

/// Nodes, names and edges in both directions.
#[derive(Debug, Default)]
pub(crate) struct Base {
    nodes: Vec<Node>,
    text: String,
    /// End of each node's name in `text`.
    name_ends: Vec<usize>,
    parts: Vec<Parts>,
    /// `(hash of the name, node)`, sorted.
    index: Vec<(u64, u32)>,
    forward: Edges,
    backward: Edges,
}

/// Adjacency lists laid end to end.
#[derive(Debug, Default)]
struct Edges {
    starts: Vec<u32>,
    targets: Vec<NodeId>,
}

impl Edges {
    fn new(nodes: usize, sorted: &[(u32, u32)]) -> Self {
        let mut starts = vec![0; nodes + 1];
        for (from, _) in sorted {
            starts[*from as usize + 1] += 1;
        }
        for index in 0..nodes {
            starts[index + 1] += starts[index];
        }
        Edges {
            starts,
            targets: sorted
                .iter()
                .map(|(_, to)| NodeId::from_index(*to as usize))
                .collect(),
        }
    }

    fn of(&self, node: NodeId) -> &[NodeId] {
        match self.starts.get(node.index()..) {
            Some([start, end, ..]) => &self.targets[*start as usize..*end as usize],
            _ => &[],
        }
    }
}

impl Base {
    pub(crate) fn from_rlibs(rlibs: &[(&str, &[u8])]) -> Result<Self, GraphError> {
        let mut members = Vec::new();
        for (krate, (name, data)) in rlibs.iter().enumerate() {
            let fail = |source| GraphError::Archive {
                krate: (*name).to_owned(),
                source,
            };
            let archive = ArchiveFile::parse(*data).map_err(fail)?;
            for member in archive.members() {
                let member = member.and_then(|member| member.data(*data)).map_err(fail)?;
                if member.starts_with(b"\x7fELF") {
                    members.push((krate as u32, member));
                }
            }
        }
        let mut builder = Builder::default();
        for ((krate, _), object) in members.iter().zip(read_objects(&members)) {
            let object = object.map_err(|source| GraphError::Object {
                krate: rlibs[*krate as usize].0.to_owned(),
                source,
            })?;
            builder.add(*krate, &object);
        }
        Ok(builder.finish())
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn node(&self, node: NodeId) -> Node {
        self.nodes[node.index()]
    }

    pub(crate) fn name(&self, node: NodeId) -> &str {
        let start = node
            .index()
            .checked_sub(1)
            .map_or(0, |before| self.name_ends[before]);
        &self.text[start..self.name_ends[node.index()]]
    }

    pub(crate) fn demangled(&self, node: NodeId) -> Option<&Demangled> {
        self.parts[node.index()].of(self.name(node))
    }

    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = NodeId> {
        let hash = hash_bytes(name.as_bytes());
        let start = self.index.partition_point(|(other, _)| *other < hash);
        let same_hash = self.index[start..]
            .iter()
            .take_while(move |(other, _)| *other == hash);
        let nodes = same_hash.map(|(_, node)| NodeId::from_index(*node as usize));
        nodes
            .filter(move |node| self.name(*node) == name)
            .collect::<Vec<_>>()
            .into_iter()
    }

    pub(crate) fn callees(&self, node: NodeId) -> &[NodeId] {
        self.forward.of(node)
    }

    pub(crate) fn callers(&self, node: NodeId) -> &[NodeId] {
        self.backward.of(node)
    }
}

type ReadObject<'data> = Result<ObjectGraph<'data>, crate::image::elf::ElfError>;

fn read_objects<'data>(members: &[(u32, &'data [u8])]) -> Vec<ReadObject<'data>> {
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(8);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        // The counter hands out numbers and publishes nothing: `members` is shared by the scope itself.
        while let Some((index, (_, data))) = Some(next.fetch_add(1, Ordering::Relaxed))
            .and_then(|index| Some((index, members.get(index)?)))
        {
            done.push((index, ObjectGraph::read(data)));
        }
        done
    };
    let mut read = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut read = work();
        for thread in others {
            match thread.join() {
                Ok(done) => read.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        read
    });
    read.sort_unstable_by_key(|(index, _)| *index);
    read.into_iter().map(|(_, object)| object).collect()
}

#[derive(Default)]
struct Builder<'data> {
    base: Base,
    globals: HashMap<&'data str, u32, NameHashBuilder>,
    edges: Vec<(u32, u32)>,
}

impl<'data> Builder<'data> {
    fn add(&mut self, krate: u32, object: &ObjectGraph<'data>) {
        let mut ids = Vec::with_capacity(object.nodes.len());
        for node in &object.nodes {
            let info = Node {
                kind: node.kind,
                linkage: node.linkage,
                krate,
            };
            let known = match node.linkage {
                Linkage::Global => self.globals.get(node.name).copied(),
                Linkage::Local => None,
            };
            let id = known.unwrap_or_else(|| self.push(node.name, info));
            if node.linkage == Linkage::Global {
                self.globals.insert(node.name, id);
            }
            let entry = &mut self.base.nodes[id as usize];
            if entry.kind == NodeKind::Undefined {
                *entry = info;
            }
            ids.push(id);
        }
        self.edges.extend(
            object
                .edges
                .iter()
                .map(|(from, to)| (ids[*from as usize], ids[*to as usize])),
        );
    }

    fn push(&mut self, name: &str, node: Node) -> u32 {
        let id = self.base.nodes.len() as u32;
        self.base.nodes.push(node);
        self.base.text.push_str(name);
        self.base.name_ends.push(self.base.text.len());
        self.base.parts.push(Parts::default());
        self.base.index.push((hash_bytes(name.as_bytes()), id));
        id
    }

    fn finish(mut self) -> Base {
        let nodes = self.base.nodes.len();
        self.base.index.sort_unstable();
        self.edges.sort_unstable();
        self.edges.dedup();
        self.base.forward = Edges::new(nodes, &self.edges);
        for (from, to) in &mut self.edges {
            std::mem::swap(from, to);
        }
        self.edges.sort_unstable();
        self.base.backward = Edges::new(nodes, &self.edges);
        self.base
    }
}
