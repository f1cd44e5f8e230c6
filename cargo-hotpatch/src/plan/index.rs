//! Which symbols a function of the source became, and which function a symbol came from.
//!
//! Symbols name types by where they are defined, source by what is in scope, so the two are matched by
//! the last names of type and trait. That can match too much, which makes a patch larger, and where it
//! matches nothing the binding of the patch notices (see [`super::reach`]).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::renames::Renames;
use crate::image::demangle::{self, Demangled, FunctionKey};
use crate::image::graph::{CallGraph, NodeId, NodeKind};
use crate::source::fields;
use crate::source::file::{FnKey, Function, Kind, OtherItem, Owner, Shape};
use crate::source::items::CrateSource;

/// The name of the slot in a hot function, as the macros write it.
pub const SLOT: &str = "__HOTPATCH_SLOT";

/// A vertex of the plan's graph: a function of the source with all its symbols, or a symbol that
/// belongs to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Vertex(u32);

impl Vertex {
    /// Its number; vertices are numbered from 0 without gaps.
    #[must_use]
    pub fn number(self) -> usize {
        self.0 as usize
    }

    pub(super) fn new(number: usize) -> Self {
        Self(u32::try_from(number).expect("invariant: fewer than 2^32 symbols"))
    }
}

/// A function of the source, or several that symbols cannot tell apart.
#[derive(Debug, Clone)]
pub struct Known {
    /// Number of its crate.
    pub krate: usize,
    /// Its key in the crate.
    pub keys: Vec<FnKey>,
    /// What a reader calls it.
    pub path: String,
    /// How it is patched.
    pub shape: Shape,
    /// Its callers may hold its code.
    pub inlined: bool,
    /// It implements a trait of another crate, whose methods are called without being named.
    pub implicit: bool,
    /// Its name.
    pub name: String,
    /// The symbols it became.
    pub nodes: Vec<NodeId>,
    /// It has a slot.
    pub hot: bool,
    /// It is a hot `async fn` whose newer bodies come as boxed futures.
    pub future: bool,
    /// The module it is in.
    pub module: Arc<[String]>,
    /// The module that with those below it may name it, if not everybody may.
    pub home: Option<Arc<[String]>>,
    /// Identifiers it mentions.
    pub mentions: Arc<BTreeSet<String>>,
}

/// A crate as the index sees it.
#[derive(Debug, Clone, Copy)]
pub struct CrateView<'a> {
    /// Its source.
    pub source: &'a CrateSource,
    /// Its name in the call graph: unique among the crates of the workspace.
    pub tag: &'a str,
    /// Any function may have been inlined.
    pub optimised: bool,
}

/// Functions and symbols, matched.
#[derive(Debug, Clone, Default)]
pub struct Index {
    functions: Vec<Known>,
    by_key: HashMap<(usize, FnKey), usize>,
    by_name: HashMap<String, Vec<usize>>,
    names: Names,
    /// Names of the workspace's own traits.
    traits: BTreeSet<String>,
    renames: Renames,
    /// What each of the workspace's macros, constants and statics mentions.
    macros: BTreeMap<String, BTreeSet<String>>,
    tags: Vec<String>,
    /// Names of the crates as symbols have them.
    names_of: Vec<String>,
    /// Functions that a symbol names as the source does.
    exact: HashSet<usize>,
    /// For each node its vertex.
    vertices: Vec<Vertex>,
    /// For each vertex beyond the functions its node.
    others: Vec<NodeId>,
    /// Of those the impls of traits, by type.
    derived: HashMap<String, Vec<(String, Vertex)>>,
}

impl Index {
    /// Matches the functions of `crates` with the symbols of `graph`. `has_slot` says of a symbol whether
    /// the function has one.
    #[must_use]
    pub fn new(
        crates: &[CrateView<'_>],
        graph: &CallGraph,
        has_slot: &dyn Fn(&str) -> bool,
    ) -> Self {
        let mut index = Self::default();
        for view in crates {
            Renames::read(view.source, &mut index.renames);
        }
        for item in crates
            .iter()
            .flat_map(|view| &view.source.files)
            .flat_map(|file| &file.parsed.items)
        {
            match item.kind {
                Kind::Trait => index.traits.extend(item.names.iter().cloned()),
                Kind::MacroRules => {
                    let name = item.names.first().cloned().unwrap_or_default();
                    index
                        .macros
                        .entry(name)
                        .or_default()
                        .extend(item.mentions.iter().cloned());
                }
                // A function behind a pointer that never changes is inlined as if it were named.
                Kind::Const | Kind::Static => {
                    let parts = item.paths.iter().chain([&item.value]);
                    let words: BTreeSet<String> = parts
                        .flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_'))
                        .filter(|word| !word.is_empty())
                        .map(str::to_owned)
                        .collect();
                    for name in &item.names {
                        let known = index.macros.entry(name.clone()).or_default();
                        known.extend(words.iter().cloned());
                    }
                }
                _ => {}
            }
        }
        for (krate, view) in crates.iter().enumerate() {
            index.tags.push(view.tag.to_owned());
            index.names_of.push(view.source.name.clone());
            let own = own_types(view.source);
            let in_place = fields::in_place(view.source);
            for (_, function) in view.source.functions() {
                index.add(krate, view, &own, function);
                // A hot one has a name of its own there.
                if !function.hot
                    && in_place.contains(&function.key)
                    && let Some(number) = index.by_key.get(&(krate, function.key.clone()))
                {
                    index.functions[*number].shape = Shape::Reinstantiated;
                }
            }
        }
        index.follow(graph, has_slot);
        index
    }

    /// Takes in what was added to the graph since.
    pub fn follow(&mut self, graph: &CallGraph, has_slot: &dyn Fn(&str) -> bool) {
        let mut unsure = Vec::new();
        for node in graph.nodes().skip(self.vertices.len()) {
            let vertex = self.match_node(graph, node, has_slot, &mut unsure);
            self.vertices.push(vertex);
        }
        // Only a function that no symbol names as the source does can be one under another name.
        for (node, number) in unsure {
            if !self.exact.contains(&number) {
                self.attach(graph, node, number, has_slot);
                self.vertices[node.index()] = Vertex::new(number);
                // It is a method of one type, so one of two is something else's, and perhaps the slot is.
                let known = &mut self.functions[number];
                let all = known.nodes.iter();
                let keys: HashSet<FunctionKey> = all
                    .filter_map(|node| graph.demangled(*node))
                    .map(|found| found.key.clone())
                    .collect();
                known.hot &= keys.len() < 2;
            }
        }
    }

    /// Takes in a function whose body changed.
    pub fn edited(&mut self, krate: usize, function: &Function) {
        if let Some(number) = self.by_key.get(&(krate, function.key.clone())) {
            // What it mentioned before its callers may still hold.
            let mentions = self.through_macros(&function.mentions);
            let known = &mut self.functions[*number];
            Arc::make_mut(&mut known.mentions).extend(mentions.iter().cloned());
        }
    }

    /// What a function mentions, and what the macros, constants and statics it names do.
    fn through_macros(&self, mentions: &Arc<BTreeSet<String>>) -> Arc<BTreeSet<String>> {
        let mut all = mentions.clone();
        let mut queue: Vec<&String> = mentions
            .iter()
            .filter(|name| self.macros.contains_key(*name))
            .collect();
        let mut seen: BTreeSet<&String> = queue.iter().copied().collect();
        while let Some(name) = queue.pop() {
            for more in &self.macros[name] {
                Arc::make_mut(&mut all).insert(more.clone());
                if self.macros.contains_key(more) && seen.insert(more) {
                    queue.push(more);
                }
            }
        }
        all
    }

    fn add(
        &mut self,
        krate: usize,
        view: &CrateView<'_>,
        own: &HashSet<&str>,
        function: &Function,
    ) {
        let key = function.key.clone();
        let mut symbol_key = Names::key(&view.source.name, function);
        if let FunctionKey::Method { trait_name, .. } = &mut symbol_key
            && let Some(real) = self.renames.trait_of(view.source, function, &self.traits)
        {
            *trait_name = Some(real);
        }
        // Symbols do not tell these apart, so they are planned as one.
        let twin = self.names.exact.get(&symbol_key).and_then(|found| {
            found
                .iter()
                .copied()
                .find(|number| self.functions[*number].krate == krate)
        });
        if let Some(number) = twin {
            self.by_key.insert((krate, key.clone()), number);
            let known = &mut self.functions[number];
            known.keys.push(key);
            known.inlined |= function.inline;
            if known.home != function.home {
                known.home = None;
            }
            known.future &= function.future.is_some();
            Arc::make_mut(&mut known.mentions).extend(function.mentions.iter().cloned());
            if known.shape == Shape::Plain {
                known.shape = function.shape.clone();
            }
            return;
        }
        let number = self.functions.len();
        self.names.add(number, symbol_key, own, function);
        self.by_key.insert((krate, key.clone()), number);
        self.by_name
            .entry(function.name.clone())
            .or_default()
            .push(number);
        self.functions.push(Known {
            krate,
            keys: vec![key],
            path: view.source.path_of(function),
            shape: function.shape.clone(),
            inlined: view.optimised || function.inline,
            implicit: function.implicit
                && !matches!(&function.owner, Owner::Impl(head)
                    if head.trait_name.as_ref().is_some_and(|name| self.traits.contains(name))),
            name: function.name.clone(),
            nodes: Vec::new(),
            hot: false,
            future: function.future.is_some(),
            module: function.module.clone(),
            home: function.home.clone(),
            mentions: self.through_macros(&function.mentions),
        });
    }

    fn match_node(
        &mut self,
        graph: &CallGraph,
        node: NodeId,
        has_slot: &dyn Fn(&str) -> bool,
        unsure: &mut Vec<(NodeId, usize)>,
    ) -> Vertex {
        let is_code = matches!(graph.kind(node), NodeKind::Function | NodeKind::Undefined);
        let demangled = is_code.then(|| graph.demangled(node)).flatten();
        let owner = demangled.and_then(|demangled| self.owner(demangled, graph.krate(node)));
        if let Some((number, true)) = owner {
            self.exact.insert(number);
            self.attach(graph, node, number, has_slot);
            return Vertex::new(number);
        }
        unsure.extend(owner.map(|(number, _)| (node, number)));
        self.others.push(node);
        // Functions come first, and are all known before the first node is looked at.
        let vertex = Vertex::new(self.functions.len() + self.others.len() - 1);
        if let Some(FunctionKey::Method {
            self_type,
            trait_name: Some(name),
            ..
        }) = demangled.map(|demangled| &demangled.key)
        {
            let known = self.derived.entry(self_type.clone()).or_default();
            known.push((name.clone(), vertex));
        }
        vertex
    }

    fn attach(
        &mut self,
        graph: &CallGraph,
        node: NodeId,
        number: usize,
        has_slot: &dyn Fn(&str) -> bool,
    ) {
        let known = &mut self.functions[number];
        known.nodes.push(node);
        // One that shares its vertex with others is not known to be behind a slot.
        known.hot |= known.keys.len() == 1
            && has_slot(graph.name(node))
            && graph
                .demangled(node)
                .is_some_and(|found| is_named(known, found));
    }

    /// The function a symbol is code of, and whether that is sure; closures and inner functions count as
    /// their function's.
    fn owner(&self, demangled: &Demangled, tag: Option<&str>) -> Option<(usize, bool)> {
        let krate = |number: usize| self.functions[number].krate;
        // An impl is in the crate of its type, or in one that its type or its trait names.
        let may_own = |number: &usize| match &demangled.key {
            FunctionKey::Free { .. } => true,
            FunctionKey::Method {
                trait_name: None, ..
            } => demangled
                .self_crate
                .as_ref()
                .is_none_or(|name| *name == self.names_of[krate(*number)]),
            FunctionKey::Method { .. } => demangled.crates.contains(&self.names_of[krate(*number)]),
        };
        let is_of_type =
            |number: &usize| Some(&self.names_of[krate(*number)]) == demangled.self_crate.as_ref();
        // A crate's library and program may have one name; what they define themselves they tell apart.
        let is_own = |number: &usize| Some(self.tags[krate(*number)].as_str()) == tag;
        let (number, exact) =
            self.names
                .candidates(&demangled.key)
                .into_iter()
                .find_map(|(found, exact)| {
                    let found = found.iter().copied().filter(may_own);
                    let best = found.min_by_key(|number| (!is_of_type(number), !is_own(number)))?;
                    Some((best, exact))
                })?;
        Some((number, exact))
    }

    /// The source function a symbol would belong to, for symbols the graph does not have.
    #[must_use]
    pub fn by_symbol(&self, symbol: &str) -> Option<Vertex> {
        let demangled = demangle::demangle(symbol)?;
        let found = self.owner(&demangled, None);
        found
            .filter(|(number, exact)| *exact || !self.exact.contains(number))
            .map(|(number, _)| Vertex::new(number))
    }

    /// The function whose item a symbol is, such as a static of its own.
    #[must_use]
    pub fn around(&self, symbol: &str) -> Option<Vertex> {
        let mut text = demangle::demangle(symbol)?.text;
        while let Some(at) = text.rfind("::") {
            text.truncate(at);
            let found = demangle::parse(&text).and_then(|found| self.owner(&found, None));
            if let Some((number, true)) = found {
                return Some(Vertex::new(number));
            }
        }
        None
    }

    /// All functions of the source.
    #[must_use]
    pub fn functions(&self) -> &[Known] {
        &self.functions
    }

    /// A function by its key.
    #[must_use]
    pub fn find(&self, krate: usize, key: &FnKey) -> Option<Vertex> {
        self.by_key
            .get(&(krate, key.clone()))
            .map(|number| Vertex::new(*number))
    }

    /// The function a vertex is, if it is one.
    #[must_use]
    pub fn known(&self, vertex: Vertex) -> Option<&Known> {
        self.functions.get(vertex.number())
    }

    /// The vertex a symbol belongs to.
    #[must_use]
    pub fn vertex(&self, node: NodeId) -> Option<Vertex> {
        self.vertices.get(node.index()).copied()
    }

    /// The symbols of a vertex.
    #[must_use]
    pub fn nodes(&self, vertex: Vertex) -> &[NodeId] {
        match self.known(vertex) {
            Some(known) => &known.nodes,
            None => self
                .others
                .get(vertex.number() - self.functions.len())
                .map(std::slice::from_ref)
                .unwrap_or_default(),
        }
    }

    /// Code that no function of the source became, of impls of these traits for a type of this name.
    #[must_use]
    pub fn derived_for(&self, name: &str, traits: &[String]) -> Vec<Vertex> {
        let found = self.derived.get(name).into_iter().flatten();
        found
            .filter(|(of, _)| traits.contains(of))
            .map(|(_, vertex)| *vertex)
            .collect()
    }

    /// How many vertices there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.functions.len() + self.others.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Functions of this name, in any crate.
    pub fn named(&self, name: &str) -> impl Iterator<Item = Vertex> {
        self.by_name
            .get(name)
            .into_iter()
            .flatten()
            .map(|number| Vertex::new(*number))
    }

    /// Functions that mention this name.
    pub fn mentioning(&self, name: &str) -> impl Iterator<Item = Vertex> {
        self.functions
            .iter()
            .enumerate()
            .filter(move |(_, known)| known.mentions.contains(name))
            .map(|(number, _)| Vertex::new(number))
    }
}

/// The symbol is the function's own: what is gone, or is inside of it, may count as its code and has slots of its own.
fn is_named(known: &Known, found: &Demangled) -> bool {
    match &found.key {
        FunctionKey::Method { .. } => true,
        FunctionKey::Free { path } => {
            let modules = path.split("::").skip(1);
            modules.eq(known.module.iter().chain([&known.name]).map(String::as_str))
        }
    }
}

/// Names that stand for types of the crate itself and for nothing else.
fn own_types(source: &CrateSource) -> HashSet<&str> {
    let types = || {
        let items = source.files.iter().flat_map(|file| &file.parsed.items);
        items.filter(|item| item.kind == Kind::Type)
    };
    let is_alias = |item: &&OtherItem| item.title.starts_with("type ");
    let aliases: HashSet<&String> = types()
        .filter(is_alias)
        .flat_map(|item| &item.names)
        .collect();
    types()
        .filter(|item| !is_alias(item))
        .flat_map(|item| &item.names)
        .filter(|name| !aliases.contains(name))
        .map(String::as_str)
        .collect()
}

/// Functions by the names symbols have for them.
#[derive(Debug, Clone, Default)]
struct Names {
    exact: HashMap<FunctionKey, Vec<usize>>,
    /// Default methods, by trait and name.
    defaults: HashMap<(Option<String>, String), usize>,
    /// Methods of types that are written differently from what they are (aliases), by trait and name.
    loose: HashMap<(Option<String>, String), Vec<usize>>,
}

impl Names {
    fn key(krate: &str, function: &Function) -> FunctionKey {
        let name = function.name.clone();
        match &function.owner {
            Owner::Free => {
                let mut path = vec![krate];
                path.extend(function.module.iter().map(String::as_str));
                path.push(&function.name);
                FunctionKey::Free {
                    path: path.join("::"),
                }
            }
            Owner::Trait(of) => FunctionKey::Method {
                self_type: String::new(),
                trait_name: Some(of.clone()),
                name,
            },
            Owner::Impl(head) => FunctionKey::Method {
                self_type: head.self_name.clone(),
                trait_name: head.trait_name.clone(),
                name,
            },
        }
    }

    fn add(&mut self, number: usize, key: FunctionKey, own: &HashSet<&str>, function: &Function) {
        match &function.owner {
            Owner::Free => {}
            Owner::Trait(of) => {
                self.defaults
                    .insert((Some(of.clone()), function.name.clone()), number);
            }
            Owner::Impl(head) if own.contains(head.self_name.as_str()) => {}
            Owner::Impl(head) => {
                let loose = (head.trait_name.clone(), function.name.clone());
                self.loose.entry(loose).or_default().push(number);
            }
        }
        self.exact.entry(key).or_default().push(number);
    }

    /// Which functions it may be, and whether it is sure to be one of them.
    /// Lists of functions that may be meant, the likelier ones first, and whether they are named as the source
    /// has it.
    fn candidates(&self, key: &FunctionKey) -> Vec<(&[usize], bool)> {
        match key {
            FunctionKey::Free { path } => {
                // An inner function is part of the one around it.
                let mut path = path.clone();
                loop {
                    let key = FunctionKey::Free { path };
                    if let Some(found) = self.exact.get(&key) {
                        return vec![(found, true)];
                    }
                    let FunctionKey::Free { path: inner } = key else {
                        return Vec::new();
                    };
                    let Some((outer, _)) = inner.rsplit_once("::") else {
                        return Vec::new();
                    };
                    path = outer.to_owned();
                }
            }
            FunctionKey::Method {
                trait_name, name, ..
            } => {
                let loose = (trait_name.clone(), name.clone());
                let exact = self.exact.get(key).map(|found| (found.as_slice(), true));
                let default = self
                    .defaults
                    .get(&loose)
                    .map(|found| (std::slice::from_ref(found), true));
                let others = self
                    .loose
                    .get(&loose)
                    .map(|found| (found.as_slice(), false));
                exact.into_iter().chain(default).chain(others).collect()
            }
        }
    }
}
