//! What else an edit means: names that lead elsewhere now, followed to code that stays as it is written.
//!
//! An import, a new type or a macro gives a name of a module another meaning. Functions that mention the name
//! are compiled again; items that mention it (a field's type, the length of an array) may be other ones, and so
//! may signatures. Whatever cannot be followed counts as changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proc_macro2::TokenStream;

use super::diff::{Became, Changes, ItemChange};
use super::file::{FnKey, Function, Import, Kind, OtherItem, Owner};
use super::globs::{Module, Modules};
use super::items::{CrateSource, SourceFile};
use super::kin::{bounded_methods, names_of_module, one_of_several, traits_that_follow};
use super::std_traits::{STD_TRAITS, methods_of_std};
use super::tokens::paths;
use super::values::revalue;

/// Adds to `changes` what the names they are about lead to.
///
/// `externs` are the names by which crates know each other, where those are not their own: the number of a crate, and what
/// others call it.
pub fn follow(
    old: &[CrateSource],
    new: &[CrateSource],
    externs: &BTreeSet<(usize, String)>,
    changes: &mut [Changes],
) {
    let edits_const = |(krate, changes): (usize, &Changes)| {
        let mut edited = changes
            .bodies
            .iter()
            .filter_map(|key| new[krate].function(key));
        edited.any(|(_, function)| function.constant)
    };
    if changes.iter().all(Changes::is_bodies_only) && !changes.iter().enumerate().any(edits_const) {
        return;
    }
    let loose = changes
        .iter()
        .flat_map(|changes| &changes.items)
        .filter(|change| matches!(change.item.kind, Kind::MacroRules | Kind::Const))
        .flat_map(|change| change.item.names.iter().cloned())
        .collect();
    let mut spread = Spread {
        old,
        new,
        externs,
        changes,
        modules: Modules::of(old, new, externs),
        globs: BTreeMap::new(),
        queue: Vec::new(),
        seen: BTreeSet::new(),
        unclear: BTreeSet::new(),
        loose,
        decided: BTreeSet::new(),
        stirred: BTreeSet::new(),
    };
    spread.globs = spread.modules.globs();
    spread.begin();
    while let Some((module, name)) = spread.queue.pop() {
        spread.follow(&module, &name);
    }
    spread.through_macros();
    let mut values = std::mem::take(&mut spread.loose);
    values.append(&mut spread.stirred);
    revalue(new, &values, changes);
    if let Some(changes) = changes.first_mut() {
        changes.values = values;
    }
    proc_macro2::extra::invalidate_current_thread_spans();
}

pub(super) struct Spread<'a> {
    pub(super) old: &'a [CrateSource],
    pub(super) new: &'a [CrateSource],
    pub(super) externs: &'a BTreeSet<(usize, String)>,
    pub(super) changes: &'a mut [Changes],
    pub(super) modules: Modules<'a>,
    /// For each module those with a glob import of it.
    pub(super) globs: BTreeMap<Module, BTreeSet<Module>>,
    pub(super) queue: Vec<(Module, String)>,
    pub(super) seen: BTreeSet<(Module, String)>,
    pub(super) unclear: BTreeSet<(usize, String)>,
    /// Macros and constants that are others now. Where macros are known is a matter of the order of lines, and
    /// constants may belong to types: any path that ends in such a name may mean it.
    pub(super) loose: BTreeSet<String>,
    /// `const fn`s that were looked at.
    pub(super) decided: BTreeSet<(usize, FnKey)>,
    /// Their names.
    pub(super) stirred: BTreeSet<String>,
}

impl<'a> Spread<'a> {
    /// All versions of all crates.
    fn all(&self) -> Vec<&'a CrateSource> {
        self.old.iter().chain(self.new).collect()
    }

    pub(super) fn push(&mut self, module: Module, name: String) {
        if self.seen.insert((module.clone(), name.clone())) {
            self.changes[module.0].names.insert(name.clone());
            self.queue.push((module, name));
        }
    }

    fn begin(&mut self) {
        for krate in 0..self.new.len() {
            let items: Vec<OtherItem> = self.changes[krate]
                .items
                .iter()
                .filter(|change| change.item.kind != Kind::Use)
                .filter(|change| !change.keeps_values())
                .map(|change| change.item.clone())
                .collect();
            let derived: BTreeSet<String> = self.changes[krate]
                .items
                .iter()
                .filter(|change| change.keeps_values())
                .flat_map(ItemChange::derives)
                .collect();
            self.gained(krate, &derived);
            for item in items {
                // An impl has the name of its trait, which stays what it is.
                let own = item.names.iter().filter(|_| item.kind != Kind::Impl);
                own.for_each(|name| self.push((krate, item.module.clone()), name.clone()));
                if item.kind == Kind::Impl {
                    // Whoever has it may have other traits, too.
                    let traits = item.names.iter().cloned().collect();
                    if one_of_several(&item, &self.all()) {
                        self.everything();
                    }
                    self.gained(krate, &traits);
                } else {
                    self.methods_of(&item.names);
                }
            }
            for (module, import) in self.changed_imports(krate) {
                self.imported(&(krate, module), &import);
            }
            self.const_functions(krate);
        }
    }

    /// What modules import in one version and not in the other.
    fn changed_imports(&self, krate: usize) -> BTreeSet<(Arc<[String]>, Import)> {
        if !self.changes[krate]
            .items
            .iter()
            .any(|change| change.item.kind == Kind::Use)
        {
            return BTreeSet::new();
        }
        let all = |source: &CrateSource| -> BTreeSet<(Arc<[String]>, Import)> {
            let items = source.files.iter().flat_map(|file| &file.parsed.items);
            items
                .flat_map(|item| {
                    item.imports
                        .iter()
                        .map(|import| (item.module.clone(), import.clone()))
                })
                .collect()
        };
        let (before, after) = (all(&self.old[krate]), all(&self.new[krate]));
        before.symmetric_difference(&after).cloned().collect()
    }

    fn imported(&mut self, at: &Module, import: &Import) {
        let last = import.path.last().cloned().unwrap_or_default();
        let first = import.path.first().map_or("", String::as_str);
        let is_ours = self.is_ours(at.0, first);
        if import.name == "*" {
            let targets = self.modules.called(at, &last);
            if targets.is_empty() || !is_ours {
                self.anything(at);
            }
            let names: Vec<String> = self.names_in(&targets).into_iter().collect();
            self.methods_of(&names);
            for name in names {
                self.push(at.clone(), name);
            }
            return;
        }
        self.push(at.clone(), import.name.clone());
        self.methods_of(std::slice::from_ref(&last));
        if matches!(first, "std" | "core" | "alloc") {
            let known = STD_TRAITS.iter().find(|(name, _)| *name == last);
            match known {
                Some((_, methods)) => {
                    let methods = methods.split_whitespace().map(str::to_owned);
                    self.changes[at.0].names.extend(methods);
                }
                None if last.ends_with("Ext") => self.anything(at),
                None => {}
            }
        } else if !is_ours && may_be_a_trait(&last) {
            self.anything(at);
        }
    }

    /// Any method and any name from a prelude may mean something else in this module and where its names are.
    fn anything(&mut self, at: &Module) {
        if self.changes[at.0].modules.insert(at.1.clone()) {
            for module in self.globs_of(at) {
                self.anything(&module);
            }
        }
    }

    /// Types have these traits now or have them no more, and what comes with them: methods of other traits, and of impls
    /// for types that have them.
    fn gained(&mut self, krate: usize, traits: &BTreeSet<String>) {
        if traits.is_empty() {
            return;
        }
        let all = self.all();
        let traits = traits_that_follow(traits, &all);
        self.methods_of(&traits.iter().cloned().collect::<Vec<_>>());
        let names = &mut self.changes[krate].names;
        names.extend(methods_of_std(&traits));
        names.extend(bounded_methods(&traits, &all));
    }

    /// Types that nothing but the only impl of a trait told, in code that names neither, may be others now.
    fn everything(&mut self) {
        for (krate, modules) in self.modules.paths.iter().enumerate() {
            self.changes[krate].modules.extend(modules.iter().cloned());
        }
    }

    /// The path starts in the workspace.
    fn is_ours(&self, krate: usize, first: &str) -> bool {
        matches!(first, "crate" | "self" | "super")
            || self.new.iter().any(|source| source.name == first)
            || self.externs.iter().any(|(_, name)| name == first)
            || [&self.new[krate], &self.old[krate]]
                .into_iter()
                .any(|source| {
                    let items = source.files.iter().flat_map(|file| &file.parsed.items);
                    items
                        .filter(|item| item.kind != Kind::Impl)
                        .any(|item| item.names.iter().any(|n| n == first))
                })
    }

    /// Traits of these names, by the methods that come and go with them.
    fn methods_of(&mut self, names: &[String]) {
        for krate in 0..self.new.len() {
            let mut found = BTreeSet::new();
            for source in [&self.old[krate], &self.new[krate]] {
                let items = source.files.iter().flat_map(|file| &file.parsed.items);
                let traits = items.filter(|item| {
                    item.kind == Kind::Trait && item.names.iter().any(|name| names.contains(name))
                });
                found.extend(traits.flat_map(|item| item.mentions.iter().cloned()));
            }
            self.changes[krate].names.extend(found);
        }
    }

    /// All that glob imports of these modules bring.
    fn names_in(&self, modules: &[Module]) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        let mut seen: BTreeSet<Module> = modules.iter().cloned().collect();
        let mut queue: Vec<Module> = modules.to_vec();
        while let Some(at) = queue.pop() {
            for source in [&self.old[at.0], &self.new[at.0]] {
                for file in &source.files {
                    let functions = file.parsed.functions.iter().filter(|f| f.module == at.1);
                    for function in functions.filter(|f| f.owner == Owner::Free) {
                        out.insert(function.name.clone());
                    }
                    for item in file.parsed.items.iter().filter(|item| item.module == at.1) {
                        if item.kind == Kind::Impl {
                            continue;
                        }
                        for name in item.names.iter().filter(|name| *name != "*") {
                            out.insert(name.clone());
                        }
                        for import in item.imports.iter().filter(|import| import.name == "*") {
                            let last = import.path.last().map_or("", String::as_str);
                            let more = self.modules.called(&at, last);
                            queue.extend(
                                more.into_iter()
                                    .filter(|module| seen.insert(module.clone())),
                            );
                        }
                    }
                }
            }
        }
        out
    }

    /// Modules with a glob import of this one.
    fn globs_of(&self, of: &Module) -> BTreeSet<Module> {
        self.globs.get(of).cloned().unwrap_or_default()
    }

    /// What a macro names, its callers name.
    fn through_macros(&mut self) {
        loop {
            let names: BTreeSet<&String> = self
                .changes
                .iter()
                .flat_map(|changes| &changes.names)
                .collect();
            let mut more: Vec<(usize, String)> = Vec::new();
            for (krate, source) in self.new.iter().enumerate() {
                let items = source.files.iter().flat_map(|file| &file.parsed.items);
                for item in items.filter(|item| item.kind == Kind::MacroRules) {
                    if let Some(name) = item.names.first()
                        && !names.contains(name)
                        && item.mentions.iter().any(|mention| names.contains(mention))
                    {
                        more.push((krate, name.clone()));
                    }
                }
            }
            if more.is_empty() {
                return;
            }
            for (krate, name) in more {
                self.changes[krate].names.insert(name);
            }
        }
    }

    fn follow(&mut self, module: &Module, name: &str) {
        for glob in self.globs_of(module) {
            self.push(glob, name.to_owned());
        }
        let qualifier = module.1.last().unwrap_or(&self.new[module.0].name).clone();
        let is_loose = self.loose.contains(name);
        let ending = format!("::{name}");
        let mut qualifiers = names_of_module(&qualifier, &self.all());
        if module.1.is_empty() {
            let externs = self.externs.iter().filter(|(krate, _)| *krate == module.0);
            for (_, name) in externs {
                qualifiers.extend(names_of_module(name, &self.all()));
            }
        }
        let qualified: Vec<String> = qualifiers
            .iter()
            .map(|qualifier| format!("{qualifier}::{name}"))
            .collect();
        let forms = ["self", "super", "crate"].map(|q| format!("{q}::{name}"));
        let means = |at: &Module, paths: &BTreeSet<String>| {
            let [own, outer, root] = &forms;
            let near = at.0 == module.0;
            let is_parent =
                at.1.split_last()
                    .is_some_and(|(_, parent)| *parent == *module.1);
            qualified.iter().any(|path| paths.contains(path))
                || (is_loose
                    && paths
                        .iter()
                        .any(|path| path == name || path.ends_with(&ending)))
                || (at == module && (paths.contains(name) || paths.contains(own)))
                || (near && is_parent && paths.contains(outer))
                || (near && module.1.is_empty() && paths.contains(root))
        };
        let (new, old) = (self.new, self.old);
        for (krate, source) in new.iter().enumerate() {
            let mut more = Vec::new();
            for item in source.files.iter().flat_map(|file| &file.parsed.items) {
                let at = (krate, item.module.clone());
                if item.kind == Kind::Use {
                    for import in item
                        .imports
                        .iter()
                        .filter(|import| import.path.iter().any(|n| n == name))
                    {
                        let pairs = import.path.windows(2).map(|pair| pair.join("::"));
                        let uses: BTreeSet<String> = import
                            .path
                            .first()
                            .cloned()
                            .into_iter()
                            .chain(pairs)
                            .collect();
                        if means(&at, &uses) {
                            more.push((at.clone(), import.name.clone()));
                        }
                    }
                } else if item.kind == Kind::MacroRules && item.mentions.contains(name) {
                    self.loose.extend(item.names.iter().cloned());
                    more.extend(item.names.iter().map(|name| (at.clone(), name.clone())));
                }
            }
            for (at, name) in more {
                // All that an import brings from a module which is another one now.
                if name == "*" {
                    self.anything(&at);
                } else {
                    self.push(at, name);
                }
            }
            self.mark(
                krate,
                |item| means(&(krate, item.module.clone()), &item.paths),
                name,
            );
            self.signatures(krate, &old[krate], source, name, &means);
        }
        self.const_functions_with(name);
    }

    /// Items that are as they were written and may be something else.
    pub(super) fn mark(&mut self, krate: usize, hit: impl Fn(&OtherItem) -> bool, name: &str) {
        let Self {
            new,
            changes,
            unclear,
            loose,
            ..
        } = self;
        let mut more = Vec::new();
        for file in &new[krate].files {
            for item in &file.parsed.items {
                let counts = !matches!(item.kind, Kind::Use | Kind::Module | Kind::MacroRules);
                if !counts || !hit(item) {
                    continue;
                }
                // Whoever uses it is looked at in its turn.
                if item.kind == Kind::Const {
                    let at = (krate, item.module.clone());
                    more.extend(item.names.iter().map(|name| (at.clone(), name.clone())));
                    loose.extend(item.names.iter().cloned());
                    continue;
                }
                if item.kind == Kind::Type {
                    let at = (krate, item.module.clone());
                    more.extend(item.names.iter().map(|name| (at.clone(), name.clone())));
                }
                let key = format!("{}|{:?}|{}", item.module.join("::"), item.kind, item.name);
                let is_new = changes[krate].items.iter().any(|change| {
                    change.item.kind == item.kind
                        && change.item.name == item.name
                        && change.item.module == item.module
                });
                if !is_new && unclear.insert((krate, key)) {
                    changes[krate].items.push(ItemChange {
                        became: Became::Unclear,
                        item: item.clone(),
                        old: Some(OtherItem {
                            names: vec![name.to_owned()],
                            ..item.clone()
                        }),
                        file: file.path.clone(),
                        place: item.place,
                    });
                }
            }
        }
        for (at, name) in more {
            self.push(at, name);
        }
    }

    /// Functions whose signatures are as they were written and may be something else.
    fn signatures(
        &mut self,
        krate: usize,
        old: &CrateSource,
        new: &CrateSource,
        name: &str,
        means: &dyn Fn(&Module, &BTreeSet<String>) -> bool,
    ) {
        let signature = |file: &SourceFile, function: &Function| -> BTreeSet<String> {
            let text = &file.parsed.text[function.sig.clone()];
            let mut out = BTreeSet::new();
            if text.contains(name)
                && let Ok(tokens) = text.parse::<TokenStream>()
            {
                paths(tokens, &mut out);
            }
            out
        };
        let mut known: Option<BTreeMap<_, _>> = None;
        for (file, function) in new.functions() {
            let found = signature(file, function);
            if found.is_empty()
                || function.name == name
                || !means(&(krate, function.module.clone()), &found)
            {
                continue;
            }
            let known =
                known.get_or_insert_with(|| old.functions().map(|(_, f)| (&f.key, ())).collect());
            let changes = &mut self.changes[krate];
            if known.contains_key(&function.key) && !changes.signatures.contains(&function.key) {
                changes.bodies.retain(|key| *key != function.key);
                changes.signatures.push(function.key.clone());
                changes.names.insert(function.name.clone());
            }
        }
    }
}

/// Traits, like types, begin with a capital and are not all capitals.
fn may_be_a_trait(name: &str) -> bool {
    name.starts_with(char::is_uppercase) && name.chars().any(char::is_lowercase)
}
