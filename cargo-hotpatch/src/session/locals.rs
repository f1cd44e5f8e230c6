//! Thread-locals that come with an edit: in which patch they are, and how others reach them.
//!
//! The patch that first needs one has its variable in a block of its own, of which each thread gets a copy when it
//! first asks. Code names the variable as the scope has it. In that patch the name leads to the variable, in later
//! ones to a function of that patch which returns where it is. So there is one for all of them, for good.

use std::collections::BTreeSet;

use super::make::Maker;
use super::storage::NewStatic;
use crate::image::object_file::PatchObject;
use crate::image::symbols::Kind as SymbolKind;
use crate::image::variable::{Variable, variable};
use crate::plan::index::{Index, Vertex};
use crate::source::file::Kind;
use crate::source::items::CrateSource;
use crate::source::locals::Brought;

impl Maker<'_> {
    /// The thread-local of the source whose variable a symbol is, if there is one and no other, and the base has
    /// none for it.
    pub(super) fn new_local(&self, sources: &[CrateSource], symbol: &str) -> Option<NewStatic> {
        let of = variable(symbol)?;
        let mut module: Vec<String> = of.owner.split("::").map(str::to_owned).collect();
        let krate = module.remove(0);
        let it = |source: &CrateSource| -> Option<String> {
            let items = source.files.iter().flat_map(|file| &file.parsed.items);
            let mut names = items
                .filter(|item| *item.module == *module)
                .filter_map(|item| Some((item.kind, item.names.first()?)))
                .filter(|(_, name)| bare(name) == of.name);
            let (kind, name) = names.next()?;
            let is_only = names.next().is_none();
            (kind == Kind::ThreadLocal && is_only).then(|| name.clone())
        };
        let mut found = sources
            .iter()
            .enumerate()
            .filter(|(_, source)| source.name == krate)
            .filter_map(|(number, source)| Some((number, it(source)?)));
        let (number, name) = found.next()?;
        if found.next().is_some() || self.base_has(&of) {
            return None;
        }
        Some(NewStatic {
            krate: number,
            symbol: symbol.to_owned(),
            module,
            name,
            value: None,
            is_thread_local: true,
        })
    }

    /// Whether these functions may use a thread-local that the base was built without. What the program has of generic
    /// code for it is then nothing, and the variable is only named by code that the patch has for itself.
    pub(super) fn use_new_locals(
        &self,
        sources: &[CrateSource],
        index: &Index,
        include: &BTreeSet<Vertex>,
    ) -> bool {
        let names = |source: &CrateSource| -> BTreeSet<String> {
            let items = source.files.iter().flat_map(|file| &file.parsed.items);
            let locals = items.filter(|item| item.kind == Kind::ThreadLocal);
            locals.flat_map(|item| item.names.clone()).collect()
        };
        let both = sources.iter().zip(self.world.built.iter());
        let new: BTreeSet<String> = both
            .flat_map(|(new, built)| &names(new) - &names(built))
            .collect();
        let known = include.iter().filter_map(|vertex| index.known(*vertex));
        !new.is_empty()
            && known
                .into_iter()
                .any(|known| !known.mentions.is_disjoint(&new))
    }

    /// The program has the variable, though perhaps as another symbol.
    fn base_has(&self, of: &Variable) -> bool {
        let mut symbols = self.world.image.symbols.iter();
        symbols.any(|(name, symbol)| {
            symbol.kind == SymbolKind::Tls
                && name.contains(&of.name)
                && variable(name)
                    .is_some_and(|v| (v.owner, v.name) == (of.owner.clone(), of.name.clone()))
        })
    }
}

/// A name as symbols have it.
fn bare(name: &str) -> &str {
    name.trim_start_matches("r#")
}

/// The variable that a compiled patch has for a thread-local.
pub(super) fn variable_in<'a>(object: &'a PatchObject, item: &NewStatic) -> Option<&'a str> {
    let rest = variable(&item.symbol)?.rest;
    let mut found = object.defined.iter().filter(|defined| {
        defined.kind == SymbolKind::Tls
            && is_copy(&defined.name, item)
            && variable(&defined.name).is_some_and(|other| other.rest == rest)
    });
    let one = found.next()?;
    found.next().is_none().then_some(one.name.as_str())
}

/// A symbol of the copy that a patch has of a thread-local, one of the variables it does not use among them.
pub(super) fn is_copy(symbol: &str, item: &NewStatic) -> bool {
    let holder = Brought::holder(&item.export());
    item.is_thread_local
        && variable(symbol).is_some_and(|of| {
            of.name == bare(&item.name) && of.owner.rsplit("::").next() == Some(holder.as_str())
        })
}
