//! Methods that come to take the place of what a trait provides, or leave it to the trait again.
//!
//! Code that called the trait's method for the type calls another function then, though it is written as before. In a
//! program that is not optimised its symbols tell who that is: the trait's method for the type is code of its own, which
//! goes by the same name as the type's method would.

use std::collections::BTreeSet;

use crate::source::diff::{Became, Changes};
use crate::source::file::{FnKey, Function, Impl, Kind, OtherItem, Owner, Shape};
use crate::source::items::CrateSource;

/// Methods that were added to, or removed from, impls that are there before and after, in terms of the crate.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// They take the place of what the trait provides.
    pub added: BTreeSet<(usize, FnKey)>,
    /// What the trait provides takes their place: their keys, and those of the trait's.
    pub removed: Vec<((usize, FnKey), (usize, FnKey))>,
    /// Impls that are gone: the crate, what a reader calls them, the name of the type and that of the trait.
    pub impls: Vec<(usize, String, String, String)>,
    /// Their methods.
    pub gone: BTreeSet<(usize, FnKey)>,
}

impl Overrides {
    /// The method came or went, and everybody who calls it is found.
    #[must_use]
    pub fn contains(&self, krate: usize, key: &FnKey) -> bool {
        let is_it = |of: &(usize, FnKey)| of.0 == krate && of.1 == *key;
        self.added.iter().chain(&self.gone).any(is_it)
            || self.removed.iter().any(|(method, _)| is_it(method))
    }

    /// The impl went, and everybody who used it is found.
    #[must_use]
    pub fn has_gone(&self, krate: usize, item: &OtherItem) -> bool {
        let mut impls = self.impls.iter();
        impls.any(|(of, title, ..)| *of == krate && *title == item.title)
    }
}

/// Those of which it is certain what they override: a method that one trait of the workspace provides, for a type of
/// the workspace.
#[must_use]
pub fn overrides(old: &[CrateSource], new: &[CrateSource], all_changes: &[Changes]) -> Overrides {
    let mut out = Overrides::default();
    let sources = || [old, new].into_iter();
    for (krate, changes) in all_changes.iter().enumerate() {
        let provided = |source: &[CrateSource], key: &FnKey| {
            let (_, function) = source[krate].function(key)?;
            let Owner::Impl(head) = &function.owner else {
                return None;
            };
            let stays = sources().all(|source| has_impl(&source[krate], function, head));
            let plain = matches!(function.shape, Shape::Plain | Shape::Reinstantiated);
            let sure = stays
                && plain
                && !function.hot
                && sources().all(|source| is_known_type(source, head));
            let found = sources().map(|source| default_of(source, head, &function.name));
            let found: Vec<_> = found.collect::<Option<_>>()?;
            let same = found.windows(2).all(|pair| pair[0] == pair[1]);
            found.into_iter().next().filter(|_| sure && same)
        };
        let added = changes.added.iter();
        out.added.extend(
            added
                .filter(|key| provided(new, key).is_some())
                .map(|key| (krate, key.clone())),
        );
        out.removed.extend(changes.removed.iter().filter_map(|key| {
            let default = provided(old, key)?;
            Some(((krate, key.clone()), default))
        }));
        for change in &changes.items {
            if change.item.kind == Kind::Impl && change.became == Became::Removed {
                out.without(krate, &change.item, (old, new), all_changes);
            }
        }
    }
    out
}

impl Overrides {
    /// An impl of a trait is gone. As no other can take its place, all who used it are written anew, or mention what it
    /// had by name, or call its methods.
    fn without(
        &mut self,
        krate: usize,
        item: &OtherItem,
        (old, new): (&[CrateSource], &[CrateSource]),
        changes: &[Changes],
    ) {
        let Some((name, head)) = item.names.first().zip(head_of(item)) else {
            return;
        };
        let sources = || [old, new].into_iter();
        let is_of = |function: &Function| match &function.owner {
            Owner::Impl(head) => {
                function.module == item.module && title(head).as_ref() == Some(&item.title)
            }
            _ => false,
        };
        let methods = || {
            old[krate]
                .functions()
                .filter(|(_, function)| is_of(function))
        };
        let any_hot = methods().any(|(_, function)| function.hot);
        let is_back = new[krate].functions().any(|(_, function)| is_of(function))
            || items(&new[krate])
                .any(|other| other.kind == Kind::Impl && other.title == item.title);
        // What may give the type the trait all the same.
        let is_blanket = |other: &OtherItem| {
            let (generics, ty) = other.name.split_once(" for ").unwrap_or_default();
            let ty = ty
                .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .next();
            let mut words = generics.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            other.kind == Kind::Impl
                && other.names.contains(name)
                && ty.is_some_and(|ty| generics.contains('<') && words.any(|word| word == ty))
        };
        let made = changes
            .iter()
            .flat_map(|changes| &changes.items)
            .any(|change| change.item.kind.is_macro() || change.derives().contains(name));
        let known =
            sources().all(|source| is_known_type(source, &head) && is_one_trait(source, &head));
        let blanket = sources().flatten().flat_map(items).any(is_blanket);
        if known && !any_hot && !is_back && !made && !blanket && item.mentions.is_empty() {
            let keys = methods().map(|(_, function)| (krate, function.key.clone()));
            self.gone.extend(keys);
            let of = (krate, item.title.clone(), head.self_name, name.clone());
            self.impls.push(of);
        }
    }
}

/// What an impl is of and for, as far as its text tells.
fn head_of(item: &OtherItem) -> Option<Impl> {
    let title = item.title.trim_matches('`').strip_prefix("impl ")?;
    let (of, ty) = title.split_once(" for ")?;
    let path = ty.split('<').next()?;
    let last = path.rsplit(':').next()?.trim();
    Some(Impl {
        self_ty: ty.to_owned(),
        self_name: last.to_owned(),
        trait_path: Some(of.to_owned()),
        trait_name: item.names.first().cloned(),
        ..Impl::default()
    })
}

/// All that may have come to override, or left it: whoever called one before may call another now.
#[must_use]
pub fn any_overrides(old: &[CrateSource], new: &[CrateSource], changes: &[Changes]) -> Overrides {
    let mut out = Overrides::default();
    for (krate, changes) in changes.iter().enumerate() {
        let of_trait = |source: &[CrateSource], key: &FnKey| {
            let (_, function) = source[krate].function(key)?;
            match &function.owner {
                Owner::Impl(head) => Some((head.trait_name.clone()?, function.name.clone())),
                _ => None,
            }
        };
        let added = changes
            .added
            .iter()
            .filter(|key| of_trait(new, key).is_some());
        out.added.extend(added.map(|key| (krate, key.clone())));
        for key in &changes.removed {
            let Some((of, name)) = of_trait(old, key) else {
                continue;
            };
            for (number, source) in new.iter().enumerate() {
                let provided = source.functions().filter(|(_, function)| {
                    function.name == name
                        && matches!(&function.owner, Owner::Trait(own) if *own == of)
                });
                out.removed
                    .extend(provided.map(|(_, f)| ((krate, key.clone()), (number, f.key.clone()))));
            }
        }
    }
    out
}

/// The impl that a method belongs to is in this version.
fn has_impl(source: &CrateSource, method: &Function, head: &Impl) -> bool {
    let Some(title) = title(head) else {
        return false;
    };
    items(source)
        .any(|item| item.kind == Kind::Impl && item.title == title && item.module == method.module)
}

/// What a reader calls the impl of a trait.
fn title(head: &Impl) -> Option<String> {
    let path = head.trait_path.as_ref()?;
    Some(format!("`impl {path} for {}`", head.self_ty))
}

/// The type goes by the name it has in symbols, and is one and not many.
fn is_known_type(sources: &[CrateSource], head: &Impl) -> bool {
    let name = &head.self_name;
    let rest = match head.self_ty.split_once('<') {
        Some((path, arguments)) => {
            let arguments = arguments.trim_end().strip_suffix('>').unwrap_or("?");
            let is_lifetime = |argument: &str| {
                let argument = argument.trim();
                argument.is_empty() || argument.starts_with('\'') && !argument.contains(' ')
            };
            if !arguments.replace("' ", "'").split(',').all(is_lifetime) {
                return false;
            }
            path
        }
        None => head.self_ty.as_str(),
    };
    let is_path = rest
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | ' '));
    let all = || sources.iter().flat_map(items);
    let mut types = all()
        .filter(|item| item.kind == Kind::Type && item.names.contains(name))
        .peekable();
    let is_there = types.peek().is_some();
    !head.generic
        && is_path
        && is_there
        && !types.any(|item| item.title.starts_with("type "))
        && !is_renamed(&mut all(), name)
}

/// An import gives this name to something that has another one.
fn is_renamed<'a>(items: &mut impl Iterator<Item = &'a OtherItem>, name: &str) -> bool {
    items.any(|item| {
        let mut imports = item.imports.iter();
        imports.any(|import| {
            import.name == name && import.path.last().is_some_and(|last| last != name)
        })
    })
}

/// There is one trait of the name that the impl's has, and it is the workspace's.
fn is_one_trait(sources: &[CrateSource], head: &Impl) -> bool {
    let (Some(name), Some(path)) = (&head.trait_name, &head.trait_path) else {
        return false;
    };
    let all = || sources.iter().flat_map(items);
    let mut traits = all().filter(|item| item.kind == Kind::Trait && item.names.contains(name));
    let is_one = traits.next().is_some() && traits.next().is_none();
    is_one && !path.contains('<') && !is_renamed(&mut all(), name)
}

/// The method that the trait of an impl provides, if there is no doubt about which that is.
fn default_of(sources: &[CrateSource], head: &Impl, method: &str) -> Option<(usize, FnKey)> {
    let name = head.trait_name.as_ref()?;
    if !is_one_trait(sources, head) {
        return None;
    }
    let functions = sources
        .iter()
        .enumerate()
        .flat_map(|(krate, source)| source.functions().map(move |(_, f)| (krate, f)));
    let mut provided = functions.filter(|(_, function)| {
        function.name == method && matches!(&function.owner, Owner::Trait(of) if of == name)
    });
    let (krate, function) = provided.next()?;
    let only = provided.next().is_none();
    (only && !function.hot && !matches!(function.shape, Shape::Fixed(_)))
        .then(|| (krate, function.key.clone()))
}

fn items(source: &CrateSource) -> impl Iterator<Item = &OtherItem> {
    source.files.iter().flat_map(|file| &file.parsed.items)
}
