//! Which functions go into a patch: those that changed and hot code reaches, and all between.
//!
//! Edges are the base's relocations, patches' own, and, where calls may have been inlined, what a
//! function mentions by name. An edge too many makes a patch larger; one that is missing would leave
//! stale code, so after compiling the binding looks at [`Plan::stale`] again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::index::{Index, Known, Vertex};
use super::overrides::Overrides;
use crate::image::demangle::FunctionKey;
use crate::image::graph::{CallGraph, NodeId, NodeKind};
use crate::source::file::Shape;
use crate::source::privacy::Spot;

/// What changed, as vertices.
#[derive(Debug, Clone, Default)]
pub struct Changed {
    /// Functions whose text changed.
    pub edited: BTreeSet<Vertex>,
    /// Functions whose names may lead elsewhere now.
    pub suspected: BTreeSet<Vertex>,
    /// Those among them that use a constant or macro which says something else now.
    pub revalued: BTreeSet<Vertex>,
    /// Functions for which the process has code of another text: edited while nothing hot reached them,
    /// or new under the name of one that was there before.
    pub behind: BTreeSet<Vertex>,
}

impl Changed {
    /// Takes in methods that took the place of what a trait provides, or left it to the trait again.
    pub fn override_with(&mut self, overrides: &Overrides, index: &Index, graph: &CallGraph) {
        for (krate, key) in &overrides.added {
            let vertex = index.find(*krate, key);
            // What the program has under this name is the trait's.
            let is_used = |vertex: &Vertex| !index.nodes(*vertex).is_empty();
            self.edited.extend(vertex.filter(is_used));
        }
        for (_, (krate, key)) in &overrides.removed {
            // So are now the symbols of the one that is gone.
            self.suspected.extend(index.find(*krate, key));
        }
        for (_, _, ty, of) in &overrides.impls {
            let nodes = graph.nodes().filter(|node| {
                let name = graph.name(*node);
                // Cheap, and true of every symbol with the names in it.
                name.contains(ty.as_str())
                    && name.contains(of.as_str())
                    && graph.demangled(*node).is_some_and(|found| {
                        matches!(&found.key, FunctionKey::Method { self_type, trait_name, .. }
                            if self_type == ty && trait_name.as_ref() == Some(of))
                    })
            });
            self.suspected
                .extend(nodes.filter_map(|node| index.vertex(node)));
        }
    }
}

/// Which functions go into a patch.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Functions to compile.
    pub include: BTreeSet<Vertex>,
    /// Edited functions that no hot function reaches.
    pub unreached: Vec<Vertex>,
    /// Everything that leads to a change without going through a slot: old code of these is stale.
    pub stale: BTreeSet<Vertex>,
    /// Functions that may be in their callers' code, where nothing names them: nobody knows all of those.
    pub hidden: Vec<Vertex>,
    /// The same for everything that changed since the base: only what later patches brought is fresh.
    pub outdated: BTreeSet<Vertex>,
    /// Types that may be others now, since no value of them is alive.
    pub free: BTreeSet<String>,
    /// Statics that have another value from now on: crate, module, name, and what tells the value.
    pub revalued: BTreeSet<(usize, Vec<String>, String, u64)>,
    /// No function of the program is up to date: the change may be part of any.
    pub everywhere: bool,
    /// How often types changed whose values did not matter: if ever, no code of the program for such a type fits.
    pub retyped: u32,
    /// Edited functions with those who keep calling their old code.
    pub outside: BTreeMap<Vertex, Vec<Vertex>>,
}

/// Plans an edit.
#[must_use]
pub fn plan(graph: &CallGraph, index: &Index, changed: &Changed) -> Plan {
    let reached = forward(graph, index);
    let starts: BTreeSet<Vertex> = changed.edited.union(&changed.suspected).copied().collect();
    let live: Vec<Vertex> = starts
        .iter()
        .copied()
        .filter(|v| reached[v.number()])
        .collect();
    let leading = backward(graph, index, &live);
    let mut plan = Plan::default();
    for vertex in &leading {
        let Some(known) = index.known(*vertex) else {
            continue;
        };
        if reached[vertex.number()] && known.shape == Shape::Plain {
            plan.include.insert(*vertex);
        }
    }
    plan.hidden = changed
        .edited
        .union(&leading)
        .copied()
        .filter(|vertex| is_hidden(index, *vertex))
        .collect();
    if !plan.hidden.is_empty() {
        plan.include_all(index, &reached);
    }
    // What no hot function reaches so far a new body may call, and then it must not be the old code.
    let all: Vec<Vertex> = starts.union(&changed.behind).copied().collect();
    plan.stale = backward(graph, index, &all);
    if plan.everywhere {
        plan.stale.extend(vertices(index));
    }
    let include = plan.include.clone();
    plan.settle(graph, index, changed, &include);
    plan.expect(index);
    plan
}

/// Everything that leads to one of these without going through a slot, themselves among it.
#[must_use]
pub fn leading_to(graph: &CallGraph, index: &Index, changed: &Changed) -> BTreeSet<Vertex> {
    let starts: BTreeSet<Vertex> = changed.edited.union(&changed.suspected).copied().collect();
    if starts.iter().any(|vertex| is_hidden(index, *vertex)) {
        return vertices(index).collect();
    }
    backward(graph, index, &starts.into_iter().collect::<Vec<_>>())
}

/// All functions of the source.
fn vertices(index: &Index) -> impl Iterator<Item = Vertex> {
    (0..index.functions().len()).map(Vertex::new)
}

/// Its code may be in its callers', where nothing names it.
fn is_hidden(index: &Index, vertex: Vertex) -> bool {
    let known = index.known(vertex);
    known.is_some_and(|known| known.inlined && known.implicit && !known.hot)
}

/// As many functions may be compiled anew because nobody knows which of them hold a piece of code.
const MOST: usize = 500;

impl Plan {
    /// Everything that hot functions reach may hold what is hidden, so all of it is compiled anew if that can be.
    fn include_all(&mut self, index: &Index, reached: &[bool]) {
        let all: Vec<(Vertex, &Shape)> = vertices(index)
            .filter(|vertex| reached[vertex.number()])
            .filter_map(|vertex| Some((vertex, &index.known(vertex)?.shape)))
            .collect();
        let is_fixed = |(_, shape): &(Vertex, &Shape)| matches!(shape, Shape::Fixed(_));
        if all.len() > MOST || all.iter().any(is_fixed) {
            return;
        }
        let plain = all.iter().filter(|(_, shape)| **shape == Shape::Plain);
        self.include.extend(plain.map(|(vertex, _)| *vertex));
        self.hidden.clear();
        self.everywhere = true;
    }

    /// Says what of an edit stays away if these functions are in the patch.
    pub fn settle(
        &mut self,
        graph: &CallGraph,
        index: &Index,
        changed: &Changed,
        included: &BTreeSet<Vertex>,
    ) {
        let reached = forward(graph, index);
        let (live, unreached) = changed
            .edited
            .iter()
            .copied()
            .partition::<Vec<_>, _>(|v| reached[v.number()] || included.contains(v));
        self.unreached = unreached;
        self.outside.clear();
        let revalued = changed.revalued.iter().copied();
        let revalued = revalued.filter(|v| reached[v.number()] || included.contains(v));
        let live: BTreeSet<Vertex> = live.into_iter().chain(revalued).collect();
        for vertex in live {
            if index.known(vertex).is_some_and(|known| known.hot) {
                continue;
            }
            let of = (vertex, index.nodes(vertex));
            let outside = outside(graph, index, of, included, &reached);
            if !outside.is_empty() {
                self.outside.insert(vertex, outside);
            }
        }
    }

    /// What the functions of the patch name is not out of reach: whether they mean it, compiling will show.
    fn expect(&mut self, index: &Index) {
        let mut named: BTreeSet<Vertex> = self.include.clone();
        let mut queue: Vec<Vertex> = named.iter().copied().collect();
        while let Some(user) = queue.pop().and_then(|vertex| index.known(vertex)) {
            for vertex in &self.stale {
                let known = index.known(*vertex);
                if known.is_some_and(|known| user.mentions.contains(&known.name))
                    && named.insert(*vertex)
                {
                    queue.push(*vertex);
                }
            }
        }
        self.unreached.retain(|vertex| !named.contains(vertex));
    }
}

/// Code outside of what hot functions reach that calls these symbols of functions that are gone.
#[must_use]
pub fn callers_outside(
    graph: &CallGraph,
    index: &Index,
    nodes: &[NodeId],
    included: &BTreeSet<Vertex>,
) -> BTreeSet<Vertex> {
    let reached = forward(graph, index);
    let gone: BTreeSet<Vertex> = nodes
        .iter()
        .filter_map(|node| index.vertex(*node))
        .collect();
    gone.iter()
        .flat_map(|vertex| {
            let own = nodes
                .iter()
                .filter(|node| index.vertex(**node) == Some(*vertex));
            let own: Vec<NodeId> = own.copied().collect();
            outside(graph, index, (*vertex, &own), included, &reached)
        })
        .filter(|caller| !gone.contains(caller))
        .collect()
}

/// Functions outside of what hot ones reach that call these symbols of `vertex`, perhaps through instances of generic
/// code, and tables of functions that were filled long ago.
///
/// Code is followed symbol by symbol: a closure that somebody keeps goes on to call what it called when it was made, even
/// where the function around it is new.
fn outside(
    graph: &CallGraph,
    index: &Index,
    (vertex, nodes): (Vertex, &[NodeId]),
    include: &BTreeSet<Vertex>,
    reached: &[bool],
) -> Vec<Vertex> {
    let mut seen: BTreeSet<NodeId> = BTreeSet::new();
    let mut queue: VecDeque<NodeId> = VecDeque::new();
    let mut out = BTreeSet::new();
    let start = |vertex: Vertex| {
        let nodes = index.nodes(vertex).iter().copied();
        nodes.filter(move |node| is_itself(graph, index, *node))
    };
    let whole = nodes.iter().copied();
    queue.extend(whole.filter(|node| is_itself(graph, index, *node)));
    // What may have been inlined has its callers by name.
    let mut by_name = vec![vertex];
    let mut named = BTreeSet::from([vertex]);
    loop {
        let callers: Vec<(Option<NodeId>, Vertex)> = if let Some(node) = queue.pop_front() {
            let callers = graph.callers(node);
            callers
                .filter_map(|caller| Some((Some(caller), index.vertex(caller)?)))
                .collect()
        } else if let Some(vertex) = by_name.pop() {
            let known = index.known(vertex).filter(|known| known.inlined);
            let users = known
                .into_iter()
                .flat_map(|known| index.mentioning(&known.name));
            users
                .filter(|user| *user != vertex)
                .map(|user| (None, user))
                .collect()
        } else {
            break;
        };
        for (node, caller) in callers {
            let is_whole = node.is_none_or(|node| is_itself(graph, index, node));
            if node.is_some_and(|node| graph.kind(node) == NodeKind::Data) {
                out.insert(caller);
            } else if is_hot(index, caller) && is_whole {
                // Its slot leads to the new code.
            } else if index.known(caller).is_none() || reached[caller.number()] {
                // Its old code is there for those who call it from outside.
                let more: Vec<NodeId> = match node {
                    Some(node) if !is_whole => vec![node],
                    _ => start(caller).chain(node).collect(),
                };
                queue.extend(more.into_iter().filter(|node| seen.insert(*node)));
                if is_whole && caller != vertex && named.insert(caller) {
                    by_name.push(caller);
                }
            } else if !include.contains(&caller) && caller != vertex {
                out.insert(caller);
            }
        }
    }
    out.into_iter().collect()
}

/// The function itself, and not only a closure or an item inside it. Closures made before keep their own code, as
/// everybody expects; what an `async fn` began is another matter.
fn is_itself(graph: &CallGraph, index: &Index, node: NodeId) -> bool {
    let known = index.vertex(node).and_then(|vertex| index.known(vertex));
    let Some(known) = known else {
        return true;
    };
    let began = |rest: &str| known.shape == Shape::Reinstantiated && rest.starts_with("::{closure");
    // The futures of a hot `async fn` are counted when a patch comes.
    let counted = |rest: &str| known.future && FUTURES.contains(&rest);
    graph.demangled(node).is_none_or(|found| {
        let rest = found.rest.as_str();
        rest.is_empty() || began(rest) || counted(rest)
    })
}

/// What `#[hot]` makes of an `async fn`: the future that looks for a newer body, and that of the base's body in it.
const FUTURES: &[&str] = &["::{closure#0}", "::{closure#0}::{closure#0}"];

fn is_hot(index: &Index, vertex: Vertex) -> bool {
    index.known(vertex).is_some_and(|known| known.hot)
}

/// Functions that hot ones lead to, themselves included.
#[must_use]
pub fn reached(graph: &CallGraph, index: &Index) -> Vec<Vertex> {
    let seen = forward(graph, index);
    (0..index.functions().len())
        .filter(|number| seen[*number])
        .map(Vertex::new)
        .collect()
}

/// For each vertex whether a hot function leads to it.
fn forward(graph: &CallGraph, index: &Index) -> Vec<bool> {
    let mut seen = vec![false; index.len()];
    let mut queue: VecDeque<Vertex> = (0..index.functions().len())
        .map(Vertex::new)
        .filter(|vertex| is_hot(index, *vertex) || is_hidden(index, *vertex))
        .collect();
    queue.iter().for_each(|vertex| seen[vertex.number()] = true);
    while let Some(vertex) = queue.pop_front() {
        let mut visit = |next: Vertex| {
            if !std::mem::replace(&mut seen[next.number()], true) {
                queue.push_back(next);
            }
        };
        for node in index.nodes(vertex) {
            graph
                .callees(*node)
                .iter()
                .filter_map(|node| index.vertex(*node))
                .for_each(&mut visit);
        }
        if let Some(known) = index.known(vertex) {
            for name in known.mentions.iter() {
                index
                    .named(name)
                    .filter(|callee| index.known(*callee).is_some_and(|callee| callee.inlined))
                    .for_each(&mut visit);
            }
        }
    }
    seen
}

/// Everything that leads to `starts` without going through a slot.
fn backward(graph: &CallGraph, index: &Index, starts: &[Vertex]) -> BTreeSet<Vertex> {
    let mut seen: BTreeSet<Vertex> = starts.iter().copied().collect();
    let mut queue: VecDeque<Vertex> = starts.iter().copied().collect();
    while let Some(vertex) = queue.pop_front() {
        if is_hot(index, vertex) {
            continue;
        }
        for caller in callers(graph, index, vertex) {
            if seen.insert(caller) {
                queue.push_back(caller);
            }
        }
    }
    seen
}

fn callers<'a>(
    graph: &'a CallGraph,
    index: &'a Index,
    vertex: Vertex,
) -> impl Iterator<Item = Vertex> + 'a {
    callers_of(graph, index, vertex, &|_| true)
}

/// Callers of those symbols of a vertex that `counts` names.
fn callers_of<'a>(
    graph: &'a CallGraph,
    index: &'a Index,
    vertex: Vertex,
    counts: &dyn Fn(NodeId) -> bool,
) -> impl Iterator<Item = Vertex> + use<'a> {
    let direct = index
        .nodes(vertex)
        .iter()
        .filter(|node| counts(**node))
        .flat_map(|node| graph.callers(*node))
        .filter_map(|node| index.vertex(node));
    let inlined = index
        .known(vertex)
        .filter(|known| known.inlined)
        .into_iter()
        .flat_map(|known| index.mentioning(&known.name));
    let found: BTreeSet<Vertex> = direct
        .chain(inlined)
        .filter(|caller| *caller != vertex)
        .collect();
    found.into_iter()
}

impl Known {
    /// Where its code stands.
    #[must_use]
    pub fn spot(&self) -> Spot<'_> {
        Spot {
            krate: self.krate,
            module: &self.module,
        }
    }
}

/// These functions, and those that rustc may compile with them: what is compiled by whoever uses it and is named there, or
/// is called without a name.
#[must_use]
pub fn compiled_with(index: &Index, include: &BTreeSet<Vertex>) -> BTreeSet<Vertex> {
    let by_users = |vertex: &Vertex| {
        let known = index.known(*vertex);
        known.filter(|known| known.shape != Shape::Plain)
    };
    let all = (0..index.functions().len()).map(Vertex::new);
    let unnamed = all.filter(|vertex| by_users(vertex).is_some_and(|known| known.implicit));
    let mut out: BTreeSet<Vertex> = include.iter().copied().chain(unnamed).collect();
    let mut queue: Vec<Vertex> = out.iter().copied().collect();
    while let Some(known) = queue.pop().and_then(|vertex| index.known(vertex)) {
        for name in known.mentions.iter() {
            let named = index
                .named(name)
                .filter(|vertex| by_users(vertex).is_some());
            queue.extend(named.filter(|vertex| out.insert(*vertex)));
        }
    }
    out
}
