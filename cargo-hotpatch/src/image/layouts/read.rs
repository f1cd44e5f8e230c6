//! Reads the type entries of the compile units of some crates.
//!
//! One walk over a unit's entries collects types, and the names of what their parts refer to; names are put
//! together after it, since an entry may refer to a later one. Functions are only walked over: rustc puts
//! local types into the namespace of their function.

use std::collections::HashMap;
use std::sync::Arc;

use gimli::{Attribute, AttributeValue, DwAt, DwTag, Dwarf, Unit, UnitOffset};

use super::sections::{self, LayoutError, Reader};
use super::{Kind, Layout, Layouts, Member};

/// Reads all units of `data` that may be of one of `crates`.
pub(super) fn read(data: &[u8], crates: &[&str]) -> Result<Layouts, LayoutError> {
    let sections = sections::load(data)?;
    let dwarf = sections.borrow(|section| Reader::new(section, gimli::LittleEndian));
    let mut paths = Paths::new(crates);
    let mut found = Found::default();
    let mut units = dwarf.units();
    let mut read = 0;
    while let Some(header) = units.next()? {
        let unit = dwarf.unit(header)?;
        let name = unit.name.map(|name| name.to_string_lossy());
        if name.is_some_and(|name| is_of(&name, crates)) {
            let walk = Walk {
                dwarf: &dwarf,
                unit: &unit,
                paths: &mut paths,
                names: Vec::new(),
                types: Vec::new(),
            };
            walk.run(&mut found)?;
            read += 1;
        }
    }
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
    let types = found.types.iter();
    Ok(Layouts {
        types: types.map(|(path, ty)| (text(*path), layout(ty))).collect(),
        ambiguous: found.ambiguous.into_iter().map(text).collect(),
        units: read,
    })
}

/// rustc calls a unit `src/main.rs/@/app.1a2b-cgu.0`; of an incremental build the crate is not told. Other
/// compilers' units are no crate's.
fn is_of(unit: &str, crates: &[&str]) -> bool {
    let Some((_, name)) = unit.rsplit_once("/@/") else {
        return false;
    };
    match name.split_once('.') {
        Some((krate, _)) => crates.contains(&krate),
        None => true,
    }
}

/// Full paths of types and namespaces, and other names, by number: a program describes a type once for each unit
/// that uses it, and numbers are quickly compared.
struct Paths<'a> {
    texts: Vec<Arc<str>>,
    wanted: Vec<bool>,
    by_text: HashMap<Arc<str>, u32>,
    /// By the path around it and the place of its name, which is written once in a linked file.
    known: HashMap<(u32, usize), u32>,
    crates: &'a [&'a str],
}

const ROOT: u32 = 0;

impl<'a> Paths<'a> {
    fn new(crates: &'a [&'a str]) -> Self {
        Self {
            texts: vec![Arc::from("")],
            wanted: vec![false],
            by_text: HashMap::from([(Arc::from(""), ROOT)]),
            known: HashMap::new(),
            crates,
        }
    }

    fn text(&self, path: u32) -> &str {
        &self.texts[path as usize]
    }

    fn enter(&mut self, around: u32, name: Reader<'_>) -> u32 {
        // Where a name is tells it from others as long as the file is in memory.
        let key = (around, name.slice().as_ptr().addr());
        if let Some(path) = self.known.get(&key) {
            return *path;
        }
        let name = name.to_string_lossy();
        let path = match self.text(around) {
            "" => self.number(&name),
            around => self.number(&format!("{around}::{name}")),
        };
        self.known.insert(key, path);
        path
    }

    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.by_text.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(ROOT);
        let text: Arc<str> = Arc::from(text);
        self.wanted.push(is_wanted(&text, self.crates));
        self.texts.push(text.clone());
        self.by_text.insert(text, number);
        number
    }
}

/// Whether a type's path mentions one of the crates, and nothing that has no name of its own.
fn is_wanted(path: &str, crates: &[&str]) -> bool {
    let is_mentioned = |krate: &&str| {
        path.match_indices(krate).any(|(at, _)| {
            path[at + krate.len()..].starts_with("::")
                && !path[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
        })
    };
    crates.iter().any(is_mentioned) && !path.contains("::_::")
}

/// What all units together say.
#[derive(Default)]
struct Found {
    types: HashMap<u32, Type>,
    ambiguous: Vec<u32>,
}

impl Found {
    fn add(&mut self, path: u32, ty: Type) {
        match self.types.get(&path) {
            Some(known) if *known == ty => {}
            Some(_) => self.ambiguous.push(path),
            None => {
                self.types.insert(path, ty);
            }
        }
    }
}

/// A [`Layout`] whose names are numbers.
#[derive(PartialEq, Eq)]
struct Type {
    kind: Kind,
    size: u64,
    align: u64,
    parts: Vec<Part>,
}

#[derive(PartialEq, Eq)]
struct Part {
    name: u32,
    offset: u64,
    ty: u32,
    value: Option<i128>,
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
enum Scope {
    /// A namespace or a type that is not kept.
    Path(u32),
    /// A type that is kept, by its index.
    Type(u32, usize),
    /// The parts of an enum; the value is that of the variant.
    Variants(usize, Option<i128>),
    /// An array, by its index among the names.
    Array(usize),
    /// Nothing in it matters.
    Opaque,
}

/// An entry with its attributes.
struct Entry<'a, 'data> {
    tag: DwTag,
    offset: UnitOffset,
    attributes: &'a [Attribute<Reader<'data>>],
}

impl<'data> Entry<'_, 'data> {
    fn attribute(&self, name: DwAt) -> Option<&Attribute<Reader<'data>>> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name() == name)
    }

    fn has(&self, name: DwAt) -> bool {
        self.attribute(name).is_some()
    }

    fn value(&self, name: DwAt) -> Option<AttributeValue<Reader<'data>>> {
        self.attribute(name).map(Attribute::value)
    }

    fn raw(&self, name: DwAt) -> Option<AttributeValue<Reader<'data>>> {
        self.attribute(name).map(Attribute::raw_value)
    }
}

struct Walk<'a, 'crates, 'data> {
    dwarf: &'a Dwarf<Reader<'data>>,
    unit: &'a Unit<Reader<'data>>,
    paths: &'a mut Paths<'crates>,
    /// In the order of their offsets.
    names: Vec<(UnitOffset, Name)>,
    types: Vec<Raw>,
}

impl<'data> Walk<'_, '_, 'data> {
    fn run(mut self, found: &mut Found) -> Result<(), LayoutError> {
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
            let scope = if is_read(tag, around) {
                entries.read_attributes(abbreviation.attributes(), &mut attributes)?;
                let entry = Entry {
                    tag,
                    offset,
                    attributes: &attributes,
                };
                self.entry(&entry, around)?
            } else {
                entries.skip_attributes(abbreviation.attributes())?;
                Scope::Opaque
            };
            if abbreviation.has_children() {
                scopes.push(scope);
            }
        }
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

    fn string(&self, entry: &Entry<'_, 'data>) -> Result<Option<Reader<'data>>, LayoutError> {
        let value = entry.value(gimli::DW_AT_name);
        Ok(value
            .map(|value| self.dwarf.attr_string(self.unit, value))
            .transpose()?)
    }

    /// The full name of the type at an offset; without one it is `()`'s like.
    fn name(&mut self, at: Option<UnitOffset>, depth: usize) -> u32 {
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
    if matches!(around, Scope::Opaque) {
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

fn reference(entry: &Entry<'_, '_>) -> Option<UnitOffset> {
    match entry.value(gimli::DW_AT_type)? {
        AttributeValue::UnitRef(offset) => Some(offset),
        _ => None,
    }
}

fn number(entry: &Entry<'_, '_>, name: DwAt) -> Option<i128> {
    match entry.raw(name)? {
        AttributeValue::Sdata(value) => Some(value.into()),
        AttributeValue::Block(bytes) => {
            // A number of 128 bits.
            let bytes: [u8; 16] = bytes.slice().try_into().ok()?;
            Some(i128::from_le_bytes(bytes))
        }
        value => value
            .udata_value()
            .map(i128::from)
            .or_else(|| value.sdata_value().map(i128::from)),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_of, is_wanted};

    #[test]
    fn units_and_types_are_told_by_their_crate() {
        let of = |unit| is_of(unit, &["app"]);
        assert!(of("src/main.rs/@/app.1a2b-cgu.0"));
        assert!(of("src/main.rs/@/4g4bcfzjehmsa1yc"));
        assert!(!of("/rustc/5980/library/std/src/lib.rs/@/std.c97d-cgu.0"));
        assert!(!of("src/main.c"));
        let wanted = |path| is_wanted(path, &["app"]);
        assert!(wanted("app::A") && wanted("&app::A") && wanted("Option<app::A>"));
        assert!(!wanted("my_app::A") && !wanted("other::app::A") && !wanted("apple::A"));
        assert!(!wanted("app::_::A") && !wanted("Option<app::m::_::f::A>"));
    }
}
