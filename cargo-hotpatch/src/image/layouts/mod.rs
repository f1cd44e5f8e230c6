//! What types look like in memory, read from the debug information of objects.
//!
//! rustc's DWARF describes each type that compiled code handles, with those it consists of. Two objects that share
//! values must describe a type they both know in the same words: [`differing`] says where they do not. Kept
//! are types of the wanted crates and every instance, pointer and tuple that mentions one of them, by full path.
//! Types in a `const _` block are not kept: such blocks have no names of their own, and what a patch defines for
//! itself stands in one.

mod compare;
pub(crate) mod entry;
mod environment;
pub(crate) mod found;
pub(crate) mod paths;
pub(crate) mod read;
pub(crate) mod sections;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub(crate) use self::compare::differing;
pub use self::environment::is_environment;
pub(crate) use self::environment::{closure, last};
pub use self::sections::LayoutError;

/// What a type is, as far as debug information tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A struct, a tuple, a wide pointer, or the fields of a variant.
    Struct,
    /// An enum, or the state of an `async` block.
    Enum,
    /// A union.
    Union,
}

/// A part of a type: a field, a variant, or the number that tells variants apart (without a name).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// As in the source; fields of tuples are `__0`, `__1`, ...
    pub name: String,
    /// Bytes from the start of the type.
    pub offset: u64,
    /// The full name of its type.
    pub ty: String,
    /// For variants: the number that stands for it; `None` where all others mean this one.
    pub value: Option<i128>,
}

/// A type's layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// What it is.
    pub kind: Kind,
    /// In bytes.
    pub size: u64,
    /// In bytes; 0 where it is not told.
    pub align: u64,
    /// In the order of the source. Of a vtable: its entries.
    pub members: Vec<Member>,
}

/// The layouts that a file knows, by the full path of the type with its generic arguments. A vtable's is
/// ``<T as Trait>::{vtable_type}``.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layouts {
    types: BTreeMap<String, Layout>,
    /// Paths that mean several types, such as those of two versions of a crate: what else they mean.
    ambiguous: BTreeMap<String, Vec<Layout>>,
}

impl Layouts {
    /// All layouts that are known, the first of each path.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Layout)> {
        self.types.iter()
    }

    /// The layout of a type, the first one if several have this path.
    pub(crate) fn first(&self, path: &str) -> Option<&Layout> {
        self.types.get(path)
    }

    /// All that a path means.
    pub(crate) fn all<'a>(&'a self, path: &str) -> impl Iterator<Item = &'a Layout> + Clone {
        let others = self.ambiguous.get(path);
        self.types
            .get(path)
            .into_iter()
            .chain(others.into_iter().flatten())
    }

    /// Takes in what a published patch knows: from now on later patches must agree with that, too.
    pub fn learn(&mut self, patch: Self) {
        for (path, layout) in patch.types {
            self.add(path, layout);
        }
        for (path, others) in patch.ambiguous {
            let known = self.ambiguous.entry(path).or_default();
            known.extend(others);
        }
    }

    /// The types of which `others` know nothing.
    #[must_use]
    pub fn without(&self, others: &Self) -> Self {
        let is_left = |path: &String| !others.types.contains_key(path);
        let types = self.types.iter().filter(|(path, _)| is_left(path));
        let ambiguous = self.ambiguous.iter().filter(|(path, _)| is_left(path));
        Self {
            types: types.map(|(path, of)| (path.clone(), of.clone())).collect(),
            ambiguous: ambiguous
                .map(|(path, of)| (path.clone(), of.clone()))
                .collect(),
        }
    }

    fn add(&mut self, path: String, layout: Layout) {
        match self.types.get(&path) {
            Some(known) if *known != layout => {
                let others = self.ambiguous.entry(path).or_default();
                if !others.contains(&layout) {
                    others.push(layout);
                }
            }
            Some(_) => {}
            None => {
                self.types.insert(path, layout);
            }
        }
    }
}
