//! Where statics are kept: in the base, or in the patch that used one first.
//!
//! A static that an edit adds gets its storage when code of a patch first needs it, under an exported name that
//! is made from its own. From then on every patch is bound to that storage, also after a revert. Thread-locals are
//! among the statics here; what is special about them is in [`super::locals`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use anyhow::Result;

use super::locals::variable_in;
use super::make::Maker;
use crate::image::demangle::{self, FunctionKey};
use crate::image::graph::CallGraph;
use crate::image::object_file::PatchObject;
use crate::image::symbols::Kind as SymbolKind;
use crate::plan::codes::Code;
use crate::plan::index::{Index, Known, SLOT};
use crate::plan::reach::Plan;
use crate::plan::verdict::Refusal;
use crate::source::diff::{Became, Changes};
use crate::source::extract::{Added, Slot};
use crate::source::file::{FnKey, Function, Kind, OtherItem};
use crate::source::items::CrateSource;
use crate::source::locals::Brought;
use crate::source::meaning::{Meanings, parts};

/// A static that needs storage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewStatic {
    /// The number of its crate.
    pub krate: usize,
    /// The symbol that code has for it.
    pub symbol: String,
    /// Its module.
    pub module: Vec<String>,
    /// Its name there.
    pub name: String,
    /// For a `#[hot]` static: what tells its value.
    pub value: Option<u64>,
    /// It is a thread-local.
    pub is_thread_local: bool,
}

impl NewStatic {
    /// The symbol of the storage, or of the function that returns where that is.
    #[must_use]
    pub fn export(&self) -> String {
        match self.value {
            _ if self.is_thread_local => hashed(LOCAL, &self.symbol),
            Some(value) => export((&self.symbol, value)),
            None => export(&self.symbol),
        }
    }
}

/// How the exported names begin.
pub(super) const STORAGE: &str = "__hp_static_";
/// The same for thread-locals.
pub(super) const LOCAL: &str = "__hp_local_";

/// Statics for a patch crate.
pub(super) fn exported(statics: &[NewStatic]) -> Vec<Added> {
    statics
        .iter()
        .map(|item| Added {
            module: item.module.clone(),
            name: item.name.clone(),
            export: item.export(),
            is_thread_local: item.is_thread_local,
        })
        .collect()
}

/// What code calls the statics of a compiled patch, and what the patch does.
pub(super) fn pairs(statics: &[NewStatic], object: &PatchObject) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for item in statics {
        if !item.is_thread_local {
            out.push((item.symbol.clone(), item.export()));
        } else if let Some(variable) = variable_in(object, item) {
            let inner = Brought::inner(&item.export());
            out.extend([inner, item.symbol.clone()].map(|old| (old, variable.to_owned())));
        }
    }
    out
}

fn export(of: impl Hash) -> String {
    hashed(STORAGE, of)
}

fn hashed(prefix: &str, of: impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    format!("{prefix}{:016x}", hasher.finish())
}

/// A static inside a function whose storage is not found.
#[derive(Debug, thiserror::Error)]
#[error("the storage of `static {1}` in `{0}` is not known")]
pub(super) struct Unbindable(pub(super) String, pub(super) String);

/// All statics there ever were in a session.
#[derive(Debug, Clone, Default)]
pub struct Storage {
    /// What the base was built from: what its statics are is seldom asked for, and takes long to follow.
    base: Arc<Vec<CrateSource>>,
    /// By crate and path what the values of all others are.
    types: HashMap<(usize, String), Kept>,
    /// Addresses of those that patches brought, by symbol.
    addresses: HashMap<String, u64>,
}

/// What the values of a static are, as fingerprints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kept {
    /// The type as written.
    ty: u64,
    /// For thread-locals: the initialiser, which later threads begin with.
    init: u64,
    /// What those words lead to.
    meaning: u64,
}

/// A static as a version of the source has it.
struct Found<'a> {
    path: String,
    ty: u64,
    init: u64,
    /// What its type and, where that counts, its initialiser name.
    words: Vec<&'a str>,
    /// Where they stand.
    module: &'a [String],
}

impl Found<'_> {
    fn kept(&self, meanings: &Meanings<'_>, source: &CrateSource) -> Kept {
        let words = self.words.iter().copied();
        Kept {
            ty: self.ty,
            init: self.init,
            meaning: meanings.of(words, (source, self.module)),
        }
    }
}

/// Why a static that comes back cannot have its storage.
const THERE: &str = "its storage is there from before it was removed";

impl Storage {
    /// The statics of a base that was built from these sources.
    #[must_use]
    pub fn of(base: Arc<Vec<CrateSource>>) -> Self {
        Self {
            base,
            ..Self::default()
        }
    }

    /// Takes note of the statics of these sources; those that are known stay what they are.
    pub fn note(&mut self, sources: &[CrateSource]) {
        let mut meanings = None;
        for (krate, source) in sources.iter().enumerate() {
            let base: HashSet<String> = statics_of(&self.base[krate])
                .map(|found| found.path)
                .collect();
            let others = statics_of(source).filter(|found| !base.contains(&found.path));
            for found in others {
                let entry = self.types.entry((krate, found.path.clone()));
                entry.or_insert_with(|| {
                    let meanings = meanings.get_or_insert_with(|| Meanings::new(sources));
                    found.kept(meanings, source)
                });
            }
        }
    }

    /// What the values of a static are that there was before.
    fn known(&self, krate: usize, path: &str) -> Option<Kept> {
        let of_base = || {
            let source = &self.base[krate];
            let found = statics_of(source).find(|found| found.path == path)?;
            Some(found.kept(&Meanings::new(&self.base), source))
        };
        let known = self.types.get(&(krate, path.to_owned())).copied();
        known.or_else(of_base)
    }

    /// Where a patch has put it.
    #[must_use]
    pub fn address(&self, symbol: &str) -> Option<u64> {
        self.addresses.get(symbol).copied()
    }

    /// Takes in storage that patches brought.
    pub fn extend(&mut self, addresses: impl IntoIterator<Item = (String, u64)>) {
        self.addresses.extend(addresses);
    }

    /// A static that comes back as something else than its storage holds.
    #[must_use]
    pub fn refusal(
        &self,
        krate: usize,
        (old, new): (&CrateSource, &[CrateSource]),
        changes: &Changes,
    ) -> Option<Refusal> {
        let source = &new[krate];
        let mut meanings = None;
        let mut differs = |found: &Found<'_>| -> Option<&'static str> {
            let known = self.known(krate, &found.path)?;
            if known.ty != found.ty {
                return Some("the type of {} changed");
            } else if known.init != found.init {
                return Some("the initialiser of {} changed");
            }
            let meanings = meanings.get_or_insert_with(|| Meanings::new(new));
            let same = known == found.kept(meanings, source);
            (!same).then_some("what {} is made of may have changed")
        };
        let items = changes.items.iter().filter(|change| {
            matches!(change.item.kind, Kind::Static | Kind::ThreadLocal)
                && change.became == Became::Added
        });
        for change in items {
            let item = &change.item;
            if let Some(how) = differs(&of_item(item)) {
                let message = how.replace("{}", &item.title);
                let refusal = Refusal::new(Code::HP0103, message, &change.file, change.place);
                return Some(refusal.because(THERE));
            }
        }
        let keys = changes
            .bodies
            .iter()
            .chain(&changes.added)
            .chain(&changes.signatures);
        for (file, function) in keys.filter_map(|key| source.function(key)) {
            let before = old.function(&function.key).map(|(_, function)| function);
            let had =
                |found: &Found<'_>| before.is_some_and(|f| nested(f).any(|b| b.path == found.path));
            let changed = nested(function).filter(|found| !had(found));
            let changed = changed
                .filter_map(|found| Some((differs(&found)?, found)))
                .next();
            if let Some((how, found)) = changed {
                let name = found.path.rsplit('|').next().unwrap_or_default();
                let what = format!("{name} in `{}`", source.path_of(function));
                let message = how.replace("{}", &what);
                let refusal = Refusal::new(Code::HP0103, message, &file.path, function.place);
                return Some(refusal.because(THERE));
            }
        }
        None
    }
}

fn of_item(item: &OtherItem) -> Found<'_> {
    let is_local = item.kind == Kind::ThreadLocal;
    let words = item.paths.iter().flat_map(|path| parts(path));
    let more = item.mentions.iter().filter(|_| is_local);
    Found {
        path: format!("{}::{}", item.module.join("::"), item.name),
        ty: item.surface,
        init: if is_local { item.helpers } else { 0 },
        words: words.chain(more.map(String::as_str)).collect(),
        module: &item.module,
    }
}

fn nested(function: &Function) -> impl Iterator<Item = Found<'_>> {
    let statics = function
        .nested
        .iter()
        .filter(|(name, _)| name.starts_with("static"));
    statics.map(|(name, code)| Found {
        path: format!("{:?}|{name}", function.key),
        ty: *code,
        init: 0,
        words: function.mentions.iter().map(String::as_str).collect(),
        module: &function.module,
    })
}

fn statics_of(source: &CrateSource) -> impl Iterator<Item = Found<'_>> {
    let items = source.files.iter().flat_map(|file| &file.parsed.items);
    let outer = items
        .filter(|item| matches!(item.kind, Kind::Static | Kind::ThreadLocal))
        .map(of_item);
    outer.chain(
        source
            .functions()
            .flat_map(|(_, function)| nested(function)),
    )
}

impl Maker<'_> {
    /// Where the statics inside a function are, or are to be.
    pub(super) fn statics(
        &self,
        source: &CrateSource,
        key: &FnKey,
        known: &Known,
        graph: &CallGraph,
    ) -> Result<BTreeMap<String, Slot>> {
        let mut out = BTreeMap::new();
        let Some((_, function)) = source.function(key) else {
            return Ok(out);
        };
        if function.statics.is_empty() {
            return Ok(out);
        }
        let text = |symbol: &str| rustc_demangle::demangle(symbol).to_string();
        let owners: BTreeSet<String> = known
            .nodes
            .iter()
            .map(|node| text(graph.name(*node)))
            .collect();
        for item in &function.statics {
            let symbols = self.world.image.symbols.iter();
            let mut found = symbols
                .filter(|(name, symbol)| {
                    symbol.kind == SymbolKind::Data && name.contains(&item.name)
                })
                .filter(|(name, _)| {
                    text(name)
                        .strip_suffix(&item.name)
                        .and_then(|t| t.strip_suffix("::"))
                        .is_some_and(|owner| owners.contains(owner))
                })
                .map(|(name, _)| name.to_owned());
            let added = export((known.krate, format!("{key:?}"), &item.name));
            let slot = match (found.next(), found.next()) {
                (Some(symbol), None) => Slot::Bound(symbol),
                (None, _) if self.world.storage.address(&added).is_some() => Slot::Bound(added),
                (None, _) if !self.was_in_base(known.krate, key, &item.name) => Slot::New(added),
                _ => return Err(Unbindable(known.path.clone(), item.name.clone()).into()),
            };
            out.insert(item.name.clone(), slot);
        }
        Ok(out)
    }

    /// The base's version of the function has a static of this name.
    fn was_in_base(&self, krate: usize, key: &FnKey, name: &str) -> bool {
        let base = self.world.built.get(krate);
        base.and_then(|source| source.function(key))
            .is_some_and(|(_, function)| function.statics.iter().any(|item| item.name == name))
    }

    /// A static of a function that is compiled through the scope, made by a macro of which the function calls others
    /// than in the base: only their order tells such statics apart, so the program's may be another one.
    pub(super) fn is_doubtful(&self, sources: &[CrateSource], index: &Index, symbol: &str) -> bool {
        // `#[hot]` makes one and no more.
        if symbol.contains(SLOT) {
            return false;
        }
        let Some(known) = index.around(symbol).and_then(|vertex| index.known(vertex)) else {
            return false;
        };
        // A macro that says something else now may make another one.
        let macros = |sources: &[CrateSource]| -> BTreeSet<u64> {
            let files = sources.iter().flat_map(|source| &source.files);
            let items = files.flat_map(|file| &file.parsed.items);
            items
                .filter(|item| item.kind == Kind::MacroRules)
                .filter(|item| item.names.iter().any(|name| known.mentions.contains(name)))
                .map(|item| item.code)
                .collect()
        };
        let text = rustc_demangle::demangle(symbol).to_string();
        let base = &self.world.built[known.krate];
        let is_made_otherwise = macros(sources) != macros(&self.world.built);
        known.keys.iter().any(|key| {
            let now = sources[known.krate]
                .function(key)
                .map(|(_, function)| function);
            let was = base.function(key).map(|(_, function)| function);
            let (Some(now), Some(was)) = (now, was) else {
                return true;
            };
            let is_written = now.nested.iter().any(|(name, _)| {
                name.strip_prefix("static `")
                    .and_then(|rest| rest.split('`').next())
                    .is_some_and(|name| text.split("::").any(|part| part == name))
            });
            !is_written && (now.macros != was.macros || is_made_otherwise)
        })
    }

    /// The static of the source that a symbol stands for, which is not in the process, if there is one and no
    /// other.
    pub(super) fn new_static(&self, sources: &[CrateSource], symbol: &str) -> Option<NewStatic> {
        let demangled = demangle::demangle(symbol).filter(|found| found.rest.is_empty())?;
        let FunctionKey::Free { path } = &demangled.key else {
            return None;
        };
        let mut parts = path.split("::").map(str::to_owned);
        let krate = parts.next()?;
        let mut module: Vec<String> = parts.collect();
        let name = module.pop()?;
        let mut found = sources.iter().enumerate().filter(|(_, source)| {
            let items = source.files.iter().flat_map(|file| &file.parsed.items);
            source.name == krate
                && items.into_iter().any(|item| {
                    item.kind == Kind::Static
                        && *item.module == *module
                        && item.names.first() == Some(&name)
                })
        });
        let (number, _) = found.next()?;
        found.next().is_none().then(|| NewStatic {
            krate: number,
            symbol: symbol.to_owned(),
            module,
            name,
            value: None,
            is_thread_local: false,
        })
    }

    /// The `#[hot]` static with a new value that a symbol stands for.
    pub(super) fn revalued(
        &self,
        sources: &[CrateSource],
        plan: &Plan,
        symbol: &str,
    ) -> Option<NewStatic> {
        if plan.revalued.is_empty() {
            return None;
        }
        let item = self.new_static(sources, symbol)?;
        let mut all = plan.revalued.iter();
        let (.., value) = all.find(|(krate, module, name, _)| {
            (*krate, module, name) == (item.krate, &item.module, &item.name)
        })?;
        Some(NewStatic {
            value: Some(*value),
            ..item
        })
    }
}
