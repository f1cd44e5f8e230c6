//! Reads the type entries of the compile units of some crates.
//!
//! One walk over a unit's entries collects types, and the names of what their parts refer to; names are put
//! together after it, since an entry may refer to a later one. Functions are only walked over: rustc puts
//! local types into the namespace of their function. Who asks for more than types sees the rest of the entries
//! during the same walk.

use gimli::{DwTag, Dwarf, Unit, UnitOffset};

use super::Kind;
use super::entry::{Entry, number, reference};
use super::found::{Found, Part, Type};
use super::paths::{Paths, ROOT};
use super::sections::{LayoutError, Reader};

/// What else is read while a unit is walked over.
pub(crate) trait Beside<'data> {
    /// Whether the attributes of an entry matter to it, which then are not read as a type's.
    fn takes(tag: DwTag, around: Scope) -> bool;

    /// Reads an entry and says what the entries in it are.
    fn entry(
        &mut self,
        walk: &mut Walk<'_, '_, 'data>,
        entry: &Entry<'_, 'data>,
        around: Scope,
    ) -> Result<Scope, LayoutError>;

    /// Reads what could not be before all entries were known.
    fn end(&mut self, walk: &mut Walk<'_, '_, 'data>) -> Result<(), LayoutError>;
}

/// What an entry that others refer to is called.
#[derive(Clone, Copy)]
enum Name {
    Path(u32),
    Array(Option<UnitOffset>, Option<u64>),
    Pointer(Option<UnitOffset>),
}

/// A wanted type as its entry has it.
struct Raw {
    path: u32,
    kind: Kind,
    size: u64,
    align: u64,
    members: Vec<RawMember>,
}

struct RawMember {
    name: u32,
    offset: u64,
    ty: Option<UnitOffset>,
    value: Option<i128>,
}

/// Where in the tree the walk is.
#[derive(Clone, Copy)]
pub(crate) enum Scope {
    /// A namespace or a type that is not kept.
    Path(u32),
    /// A type that is kept, by its index.
    Type(u32, usize),
    /// The parts of an enum; the value is that of the variant.
    Variants(usize, Option<i128>),
    /// An array, by its index among the names.
    Array(usize),
    /// A function, by its number; whether it is a block or an inlined function in it.
    Function(u32, bool),
    /// Nothing in it matters.
    Opaque,
}

/// A walk over the entries of a unit.
pub(crate) struct Walk<'a, 'crates, 'data> {
    pub(crate) dwarf: &'a Dwarf<Reader<'data>>,
    pub(crate) unit: &'a Unit<Reader<'data>>,
    pub(crate) paths: &'a mut Paths<'crates>,
    /// In the order of their offsets.
    names: Vec<(UnitOffset, Name)>,
    types: Vec<Raw>,
}

impl<'a, 'crates, 'data> Walk<'a, 'crates, 'data> {
    pub(crate) fn new(
        dwarf: &'a Dwarf<Reader<'data>>,
        unit: &'a Unit<Reader<'data>>,
        paths: &'a mut Paths<'crates>,
    ) -> Self {
        Self {
            dwarf,
            unit,
            paths,
            names: Vec::new(),
            types: Vec::new(),
        }
    }

    /// Walks over all entries. Types are added to `found`, if there is any.
    pub(crate) fn run<B: Beside<'data>>(
        mut self,
        found: Option<&mut Found>,
        beside: &mut B,
    ) -> Result<(), LayoutError> {
        let mut entries = self.unit.entries_raw(None)?;
        let mut scopes: Vec<Scope> = Vec::new();
        let mut attributes = Vec::new();
        while !entries.is_empty() {
            let depth = usize::try_from(entries.next_depth()).unwrap_or_default();
            scopes.truncate(depth);
            let around = scopes.last().copied().unwrap_or(Scope::Path(ROOT));
            let offset = entries.next_offset();
            let Some(abbreviation) = entries.read_abbreviation()? else {
                continue;
            };
            let tag = abbreviation.tag();
            let is_beside = B::takes(tag, around);
            let scope = if is_beside || is_read(tag, around) {
                entries.read_attributes(abbreviation.attributes(), &mut attributes)?;
                let entry = Entry {
                    tag,
                    offset,
                    attributes: &attributes,
                };
                if is_beside {
                    beside.entry(&mut self, &entry, around)?
                } else {
                    self.entry(&entry, around)?
                }
            } else {
                entries.skip_attributes(abbreviation.attributes())?;
                Scope::Opaque
            };
            if abbreviation.has_children() {
                scopes.push(scope);
            }
        }
        beside.end(&mut self)?;
        let Some(found) = found else {
            return Ok(());
        };
        for raw in std::mem::take(&mut self.types) {
            let parts = raw.members.iter().map(|member| Part {
                name: member.name,
                offset: member.offset,
                ty: self.name(member.ty, 0),
                value: member.value,
            });
            let ty = Type {
                parts: parts.collect(),
                kind: raw.kind,
                size: raw.size,
                align: raw.align,
            };
            found.add(raw.path, ty);
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry<'_, 'data>, around: Scope) -> Result<Scope, LayoutError> {
        let path = match around {
            Scope::Path(path) | Scope::Type(path, _) => path,
            _ => ROOT,
        };
        Ok(match entry.tag {
            gimli::DW_TAG_compile_unit | gimli::DW_TAG_partial_unit => Scope::Path(ROOT),
            gimli::DW_TAG_namespace => match self.string(entry)? {
                Some(name) => Scope::Path(self.paths.enter(path, name)),
                None => Scope::Opaque,
            },
            gimli::DW_TAG_structure_type | gimli::DW_TAG_class_type => {
                self.ty(entry, path, Kind::Struct)?
            }
            gimli::DW_TAG_union_type => self.ty(entry, path, Kind::Union)?,
            gimli::DW_TAG_enumeration_type => self.ty(entry, path, Kind::Enum)?,
            gimli::DW_TAG_base_type => {
                if let Some(name) = self.string(entry)? {
                    let name = Name::Path(self.paths.enter(ROOT, name));
                    self.names.push((entry.offset, name));
                }
                Scope::Opaque
            }
            gimli::DW_TAG_pointer_type => {
                let name = match self.string(entry)? {
                    Some(name) => Name::Path(self.paths.enter(ROOT, name)),
                    None => Name::Pointer(reference(entry)),
                };
                self.names.push((entry.offset, name));
                Scope::Opaque
            }
            gimli::DW_TAG_array_type => {
                let name = Name::Array(reference(entry), None);
                self.names.push((entry.offset, name));
                Scope::Array(self.names.len() - 1)
            }
            gimli::DW_TAG_subrange_type => {
                if let Scope::Array(index) = around
                    && let Name::Array(_, count) = &mut self.names[index].1
                {
                    let bound = number(entry, gimli::DW_AT_upper_bound).map(|last| last + 1);
                    let told = number(entry, gimli::DW_AT_count).or(bound);
                    *count = told.and_then(|count| u64::try_from(count).ok());
                }
                Scope::Opaque
            }
            gimli::DW_TAG_variant_part => match around {
                Scope::Type(_, index) => {
                    self.types[index].kind = Kind::Enum;
                    Scope::Variants(index, None)
                }
                _ => Scope::Opaque,
            },
            gimli::DW_TAG_variant => match around {
                Scope::Variants(index, _) => {
                    Scope::Variants(index, number(entry, gimli::DW_AT_discr_value))
                }
                _ => Scope::Opaque,
            },
            gimli::DW_TAG_member => {
                let to = match around {
                    Scope::Type(_, index) => Some((index, None)),
                    Scope::Variants(index, value) => Some((index, value)),
                    _ => None,
                };
                if let Some((index, value)) = to {
                    let offset = number(entry, gimli::DW_AT_data_member_location);
                    self.member(entry, index, offset, reference(entry), value)?;
                }
                Scope::Opaque
            }
            gimli::DW_TAG_enumerator => {
                if let Scope::Type(_, index) = around {
                    let value = number(entry, gimli::DW_AT_const_value);
                    self.member(entry, index, None, None, value)?;
                }
                Scope::Opaque
            }
            _ => Scope::Opaque,
        })
    }

    fn ty(
        &mut self,
        entry: &Entry<'_, 'data>,
        around: u32,
        kind: Kind,
    ) -> Result<Scope, LayoutError> {
        let Some(name) = self.string(entry)? else {
            return Ok(Scope::Opaque);
        };
        let path = self.paths.enter(around, name);
        self.names.push((entry.offset, Name::Path(path)));
        let is_told = !entry.has(gimli::DW_AT_declaration);
        if !is_told || !self.paths.wanted[path as usize] {
            return Ok(Scope::Path(path));
        }
        let size = number(entry, gimli::DW_AT_byte_size);
        let align = number(entry, gimli::DW_AT_alignment);
        let unsigned = |value: Option<i128>| value.and_then(|v| u64::try_from(v).ok());
        let mut raw = Raw {
            path,
            kind,
            size: unsigned(size).unwrap_or_default(),
            align: unsigned(align).unwrap_or_default(),
            members: Vec::new(),
        };
        if kind == Kind::Enum {
            // What its variants are told apart by, as a `variant_part` has it.
            raw.members.push(RawMember {
                name: ROOT,
                offset: 0,
                ty: reference(entry),
                value: None,
            });
        }
        self.types.push(raw);
        Ok(Scope::Type(path, self.types.len() - 1))
    }

    fn member(
        &mut self,
        entry: &Entry<'_, 'data>,
        index: usize,
        offset: Option<i128>,
        ty: Option<UnitOffset>,
        value: Option<i128>,
    ) -> Result<(), LayoutError> {
        let name = self.string(entry)?;
        // Variables of an `async` block are told of in each state as well; the state itself has a name here.
        let is_state = entry.has(gimli::DW_AT_artificial);
        let name = name.filter(|_| !is_state);
        self.types[index].members.push(RawMember {
            name: name.map_or(ROOT, |name| self.paths.enter(ROOT, name)),
            offset: offset
                .and_then(|o| u64::try_from(o).ok())
                .unwrap_or_default(),
            ty,
            value,
        });
        Ok(())
    }

    pub(crate) fn string(
        &self,
        entry: &Entry<'_, 'data>,
    ) -> Result<Option<Reader<'data>>, LayoutError> {
        let value = entry.value(gimli::DW_AT_name);
        Ok(value
            .map(|value| self.dwarf.attr_string(self.unit, value))
            .transpose()?)
    }

    /// The full name of the type at an offset; without one it is `()`'s like.
    pub(crate) fn name(&mut self, at: Option<UnitOffset>, depth: usize) -> u32 {
        let Some(at) = at else {
            return ROOT;
        };
        let found = self.names.binary_search_by_key(&at, |(offset, _)| *offset);
        let text = match found.ok().map(|index| self.names[index].1) {
            Some(Name::Path(path)) => return path,
            Some(Name::Array(element, count)) if depth < DEPTH => {
                let count = count.map_or_else(|| "?".to_owned(), |count| count.to_string());
                let element = self.name(element, depth + 1);
                format!("[{}; {count}]", self.paths.text(element))
            }
            Some(Name::Pointer(target)) if depth < DEPTH => {
                let target = self.name(target, depth + 1);
                format!("*{}", self.paths.text(target))
            }
            _ => UNKNOWN.to_owned(),
        };
        self.paths.number(&text)
    }
}

/// What a type is called whose name cannot be told.
pub(super) const UNKNOWN: &str = "?";

/// Arrays of arrays, and pointers without names; damaged files go in circles.
const DEPTH: usize = 16;

/// Whether the attributes of an entry matter.
fn is_read(tag: DwTag, around: Scope) -> bool {
    if matches!(around, Scope::Opaque | Scope::Function(..)) {
        return false;
    }
    match tag {
        gimli::DW_TAG_member
        | gimli::DW_TAG_enumerator
        | gimli::DW_TAG_variant_part
        | gimli::DW_TAG_variant => matches!(around, Scope::Type(..) | Scope::Variants(..)),
        gimli::DW_TAG_compile_unit
        | gimli::DW_TAG_partial_unit
        | gimli::DW_TAG_namespace
        | gimli::DW_TAG_structure_type
        | gimli::DW_TAG_class_type
        | gimli::DW_TAG_union_type
        | gimli::DW_TAG_enumeration_type
        | gimli::DW_TAG_base_type
        | gimli::DW_TAG_pointer_type
        | gimli::DW_TAG_array_type
        | gimli::DW_TAG_subrange_type => true,
        _ => false,
    }
}
