//! What all units of a file together say of types.

use std::collections::{BTreeMap, HashMap};

use super::paths::Paths;
use super::{Kind, Layout, Layouts, Member};

/// Types by the number of their path.
#[derive(Default)]
pub(crate) struct Found {
    types: HashMap<u32, Type>,
    /// What else a path means.
    others: HashMap<u32, Vec<Type>>,
}

impl Found {
    pub(super) fn add(&mut self, path: u32, ty: Type) {
        match self.types.get(&path) {
            Some(known) if *known == ty => {}
            Some(_) => {
                let others = self.others.entry(path).or_default();
                if !others.contains(&ty) {
                    others.push(ty);
                }
            }
            None => {
                self.types.insert(path, ty);
            }
        }
    }

    /// The same with names.
    pub(crate) fn layouts(&self, paths: &Paths<'_>) -> Layouts {
        let text = |id| paths.text(id).to_owned();
        let layout = |ty: &Type| Layout {
            kind: ty.kind,
            size: ty.size,
            align: ty.align,
            members: ty
                .parts
                .iter()
                .map(|part| Member {
                    name: text(part.name),
                    offset: part.offset,
                    ty: text(part.ty),
                    value: part.value,
                })
                .collect(),
        };
        let types = self.types.iter();
        let others = self.others.iter();
        let others: BTreeMap<String, Vec<Layout>> = others
            .map(|(path, others)| (text(*path), others.iter().map(layout).collect()))
            .collect();
        Layouts {
            types: types.map(|(path, ty)| (text(*path), layout(ty))).collect(),
            ambiguous: others,
        }
    }
}

/// A [`Layout`] whose names are numbers.
#[derive(PartialEq, Eq)]
pub(super) struct Type {
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) align: u64,
    pub(super) parts: Vec<Part>,
}

#[derive(PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: u32,
    pub(super) offset: u64,
    pub(super) ty: u32,
    pub(super) value: Option<i128>,
}
