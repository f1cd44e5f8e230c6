//! Functions, statics and vtables among the entries of the debug information.
//!
//! They are noted while types are read, and put together when all of the unit is known: an entry may say of itself
//! only that it is another one made concrete, which may come later.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gimli::{AttributeValue, DwAt, DwTag, Dwarf, Section, Unit, UnitOffset};

use crate::image::layouts::LayoutError;
use crate::image::layouts::entry::{Entry, number, reference};
use crate::image::layouts::paths::ROOT;
use crate::image::layouts::read::{Beside, Scope, Walk};
use crate::image::layouts::sections::Reader;

/// A function with numbers for names.
pub(super) struct Resolved<'data> {
    pub(super) linkage: Reader<'data>,
    pub(super) signature: Vec<u32>,
    pub(super) generics: Vec<u32>,
    pub(super) locals: Vec<(u32, u32)>,
    /// The type of what a closure captured.
    pub(super) environment: Option<u32>,
    /// Name, type and place of each captured value.
    pub(super) captures: Vec<(u32, u32, &'data [u8])>,
    pub(super) file: Option<Arc<str>>,
    pub(super) line: u32,
}

/// A static with numbers for names.
pub(super) struct ResolvedStatic<'data> {
    pub(super) linkage: Reader<'data>,
    pub(super) ty: u32,
    pub(super) file: Option<Arc<str>>,
    pub(super) line: u32,
    pub(super) has_thread_location: bool,
}

/// Where an address is written in the debug information.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// In the section of entries, so many bytes in.
    Info(u64),
    /// In the table of addresses, so many bytes in.
    Table(u64),
}

/// What was found.
pub(super) struct Entries<'data> {
    pub(super) functions: Vec<Resolved<'data>>,
    pub(super) statics: Vec<ResolvedStatic<'data>>,
    /// Names of vtables, and where it is written where they are.
    pub(super) vtables: Vec<(Reader<'data>, Place)>,
    /// Where the section of entries is in memory.
    info: usize,
    /// Of the unit, in the order of their offsets.
    raw: Vec<Function<'data>>,
    parts: Vec<Part<'data>>,
    variables: Vec<Variable<'data>>,
}

/// A function's entry.
struct Function<'data> {
    at: UnitOffset,
    /// The path around it.
    around: u32,
    linkage: Option<Reader<'data>>,
    /// Its name, if it is one that a closure could have.
    nameless: Option<Reader<'data>>,
    /// The entry that says the rest.
    origin: Option<UnitOffset>,
    ty: Option<UnitOffset>,
    is_defined: bool,
    file: Option<u64>,
    line: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Parameter,
    Generic,
    Local,
    /// A function that was inlined.
    Inlined,
}

/// What is in a function's entry.
struct Part<'data> {
    at: UnitOffset,
    function: u32,
    role: Role,
    name: Option<Reader<'data>>,
    ty: Option<UnitOffset>,
    origin: Option<UnitOffset>,
    /// Whether it is in a block or an inlined function.
    is_inner: bool,
    /// Where its value is, as an expression.
    location: Option<Reader<'data>>,
}

/// A static's entry.
struct Variable<'data> {
    at: UnitOffset,
    linkage: Option<Reader<'data>>,
    origin: Option<UnitOffset>,
    ty: Option<UnitOffset>,
    file: Option<u64>,
    line: u32,
    is_declared: bool,
    has_thread_location: bool,
}

/// Entries refer to others, those to others again; damaged files go in circles.
const DEPTH: usize = 8;

impl<'data> Entries<'data> {
    pub(super) fn new(dwarf: &Dwarf<Reader<'data>>) -> Self {
        Self {
            functions: Vec::new(),
            statics: Vec::new(),
            vtables: Vec::new(),
            info: dwarf.debug_info.reader().slice().as_ptr().addr(),
            raw: Vec::new(),
            parts: Vec::new(),
            variables: Vec::new(),
        }
    }
}

impl<'data> Beside<'data> for Entries<'data> {
    fn takes(tag: DwTag, around: Scope) -> bool {
        match tag {
            gimli::DW_TAG_subprogram => !matches!(around, Scope::Opaque),
            gimli::DW_TAG_variable => !matches!(around, Scope::Opaque),
            gimli::DW_TAG_formal_parameter
            | gimli::DW_TAG_template_type_parameter
            | gimli::DW_TAG_lexical_block
            | gimli::DW_TAG_inlined_subroutine => matches!(around, Scope::Function(..)),
            _ => false,
        }
    }

    fn entry(
        &mut self,
        walk: &mut Walk<'_, '_, 'data>,
        entry: &Entry<'_, 'data>,
        around: Scope,
    ) -> Result<Scope, LayoutError> {
        let (index, is_inner) = match (entry.tag, around) {
            (gimli::DW_TAG_subprogram, _) => return self.function(walk, entry, around),
            (gimli::DW_TAG_variable, _)
                if entry.has(gimli::DW_AT_linkage_name)
                    || !matches!(around, Scope::Function(..)) =>
            {
                self.variable(walk, entry)?;
                return Ok(Scope::Opaque);
            }
            (_, Scope::Function(index, is_inner)) => (index, is_inner),
            _ => return Ok(Scope::Opaque),
        };
        let role = match entry.tag {
            gimli::DW_TAG_lexical_block => return Ok(Scope::Function(index, true)),
            gimli::DW_TAG_inlined_subroutine => Role::Inlined,
            gimli::DW_TAG_formal_parameter if !is_inner => Role::Parameter,
            gimli::DW_TAG_template_type_parameter if !is_inner => Role::Generic,
            gimli::DW_TAG_template_type_parameter => return Ok(Scope::Opaque),
            _ => Role::Local,
        };
        self.parts.push(Part {
            at: entry.offset,
            function: index,
            role,
            name: match role {
                Role::Local | Role::Parameter => walk.string(entry)?,
                Role::Generic | Role::Inlined => None,
            },
            ty: reference(entry),
            origin: origin(entry, walk.unit),
            is_inner,
            location: match role {
                Role::Local if !is_inner => expression(entry),
                _ => None,
            },
        });
        Ok(match role {
            Role::Inlined => Scope::Function(index, true),
            _ => Scope::Opaque,
        })
    }

    fn end(&mut self, walk: &mut Walk<'_, '_, 'data>) -> Result<(), LayoutError> {
        let raw = std::mem::take(&mut self.raw);
        let parts = std::mem::take(&mut self.parts);
        let variables = std::mem::take(&mut self.variables);
        let mut files = Files::default();
        let unit = UnitParts::new(&raw, &parts);
        for (index, function) in raw.iter().enumerate() {
            if !function.is_defined {
                continue;
            }
            if let Some(resolved) = unit.resolve(index, walk, &mut files)? {
                self.functions.push(resolved);
            }
        }
        for variable in variables.iter().filter(|variable| !variable.is_declared) {
            let find = |at: UnitOffset| {
                let found = variables.binary_search_by_key(&at, |variable| variable.at);
                Some(&variables[found.ok()?])
            };
            let chain = || chain(variable, |variable| find(variable.origin?));
            let Some(linkage) = chain().find_map(|variable| variable.linkage) else {
                continue;
            };
            let ty = chain().find_map(|variable| variable.ty);
            let place = chain().find(|variable| variable.file.is_some());
            self.statics.push(ResolvedStatic {
                linkage,
                ty: walk.name(ty, 0),
                file: files.path(walk, place.and_then(|place| place.file))?,
                line: place.map_or(0, |place| place.line),
                has_thread_location: chain().any(|variable| variable.has_thread_location),
            });
        }
        Ok(())
    }
}

impl<'data> Entries<'data> {
    fn function(
        &mut self,
        walk: &mut Walk<'_, '_, 'data>,
        entry: &Entry<'_, 'data>,
        around: Scope,
    ) -> Result<Scope, LayoutError> {
        let around = match around {
            Scope::Path(path) | Scope::Type(path, _) => path,
            _ => ROOT,
        };
        let has_code = entry.has(gimli::DW_AT_low_pc) || entry.has(gimli::DW_AT_ranges);
        let name = walk.string(entry)?;
        self.raw.push(Function {
            at: entry.offset,
            around,
            linkage: linkage(walk, entry)?,
            nameless: name.filter(|name| name.slice().starts_with(b"{")),
            origin: origin(entry, walk.unit),
            ty: reference(entry),
            is_defined: has_code && !entry.has(gimli::DW_AT_declaration),
            file: unsigned(entry, gimli::DW_AT_decl_file),
            line: line(entry),
        });
        let index = u32::try_from(self.raw.len() - 1).unwrap_or_default();
        Ok(Scope::Function(index, false))
    }

    fn variable(
        &mut self,
        walk: &mut Walk<'_, '_, 'data>,
        entry: &Entry<'_, 'data>,
    ) -> Result<(), LayoutError> {
        let location = expression(entry);
        let linkage = linkage(walk, entry)?;
        let origin = origin(entry, walk.unit);
        if linkage.is_none() && origin.is_none() {
            let name = walk.string(entry)?;
            let name = name.filter(|name| name.slice().ends_with(b"::{vtable}"));
            let place = location.and_then(|location| self.place(location, walk.unit));
            self.vtables.extend(name.zip(place));
        }
        let last = location.and_then(|location| location.slice().last().copied());
        self.variables.push(Variable {
            at: entry.offset,
            linkage,
            origin,
            ty: reference(entry),
            file: unsigned(entry, gimli::DW_AT_decl_file),
            line: line(entry),
            is_declared: entry.has(gimli::DW_AT_declaration),
            has_thread_location: last.is_some_and(|last| {
                [
                    gimli::DW_OP_GNU_push_tls_address,
                    gimli::DW_OP_form_tls_address,
                ]
                .iter()
                .any(|operation| operation.0 == last)
            }),
        });
        Ok(())
    }

    /// Where the address of a location is written.
    fn place(&self, location: Reader<'data>, unit: &Unit<Reader<'data>>) -> Option<Place> {
        let (operation, rest) = location.slice().split_first()?;
        if *operation == gimli::DW_OP_addr.0 {
            let at = rest.as_ptr().addr().checked_sub(self.info)?;
            return Some(Place::Info(at as u64));
        }
        if *operation != gimli::DW_OP_addrx.0 {
            return None;
        }
        let mut index = 0_u64;
        for (position, byte) in rest.iter().enumerate().take(9) {
            index |= u64::from(byte & 0x7f) << (7 * position);
        }
        let address_size = u64::from(unit.encoding().address_size);
        let base = unit.addr_base.0 as u64;
        Some(Place::Table(
            base.checked_add(index.checked_mul(address_size)?)?,
        ))
    }
}

/// The functions of a unit and what is in them.
struct UnitParts<'a, 'data> {
    functions: &'a [Function<'data>],
    parts: &'a [Part<'data>],
    /// The parts in the order of their functions.
    order: Vec<u32>,
}

impl<'a, 'data> UnitParts<'a, 'data> {
    fn new(functions: &'a [Function<'data>], parts: &'a [Part<'data>]) -> Self {
        let mut order: Vec<u32> = (0..).take(parts.len()).collect();
        if !parts.is_sorted_by_key(|part| part.function) {
            order.sort_by_key(|part| parts[*part as usize].function);
        }
        Self {
            functions,
            parts,
            order,
        }
    }

    /// What is in a function.
    fn of(&self, function: usize) -> impl Iterator<Item = &'a Part<'data>> {
        let function = u32::try_from(function).unwrap_or(u32::MAX);
        let key = |part: &u32| self.parts[*part as usize].function;
        let start = self.order.partition_point(|part| key(part) < function);
        let parts = self.parts;
        self.order[start..]
            .iter()
            .map(move |part| &parts[*part as usize])
            .take_while(move |part| part.function == function)
    }

    fn find(&self, at: UnitOffset) -> Option<usize> {
        let found = self.functions.binary_search_by_key(&at, |f| f.at);
        found.ok()
    }

    fn find_part(&self, at: UnitOffset) -> Option<&'a Part<'data>> {
        let found = self.parts.binary_search_by_key(&at, |part| part.at);
        Some(&self.parts[found.ok()?])
    }

    fn ty(&self, part: &'a Part<'data>, walk: &mut Walk<'_, '_, 'data>) -> u32 {
        let mut chain = chain(part, |part| self.find_part(part.origin?));
        let ty = chain.find_map(|part| part.ty);
        walk.name(ty, 0)
    }

    fn local(&self, part: &'a Part<'data>, walk: &mut Walk<'_, '_, 'data>) -> (u32, u32) {
        let mut chain = chain(part, |part| self.find_part(part.origin?));
        let name = chain.find_map(|part| part.name);
        let name = name.map_or(ROOT, |name| walk.paths.enter(ROOT, name));
        (name, self.ty(part, walk))
    }

    fn resolve(
        &self,
        index: usize,
        walk: &mut Walk<'_, '_, 'data>,
        files: &mut Files,
    ) -> Result<Option<Resolved<'data>>, LayoutError> {
        let chain: Vec<usize> =
            chain(index, |index| self.find(self.functions[index].origin?)).collect();
        let first = |get: &dyn Fn(&Function<'data>) -> bool| {
            let mut functions = chain.iter().map(|index| &self.functions[*index]);
            functions.find(|function| get(function))
        };
        let Some(linkage) = first(&|f| f.linkage.is_some()).and_then(|f| f.linkage) else {
            return Ok(None);
        };
        let returned = first(&|f| f.ty.is_some()).and_then(|f| f.ty);
        let mut signature = vec![match returned {
            Some(ty) => walk.name(Some(ty), 0),
            None => walk.paths.number("()"),
        }];
        // Parameters that were optimised away may be told of in one of the entries only.
        let of = |role: Role| {
            let lists = chain.iter().map(|index| {
                let parts = self.of(*index).filter(|part| part.role == role);
                parts.collect::<Vec<_>>()
            });
            lists.rev().max_by_key(Vec::len).unwrap_or_default()
        };
        for parameter in of(Role::Parameter) {
            signature.push(self.ty(parameter, walk));
        }
        let generics = of(Role::Generic);
        let generics = generics.into_iter().map(|part| self.ty(part, walk));
        let generics = generics.collect();
        let closure = first(&|f| f.nameless.is_some());
        let environment = closure.and_then(|closure| environment(closure, walk));
        signature.extend(environment);
        // Variables of a closure itself are in blocks.
        let outer = self
            .of(index)
            .filter(|part| environment.is_some() && part.role == Role::Local && !part.is_inner);
        let captures = outer.map(|part| {
            let (name, ty) = self.local(part, walk);
            (name, ty, part.location.map_or(&[][..], within_frame))
        });
        let captures = captures.collect();
        let place = first(&|f| f.file.is_some());
        Ok(Some(Resolved {
            linkage,
            signature,
            generics,
            locals: self.locals(index, walk),
            environment,
            captures,
            file: files.path(walk, place.and_then(|place| place.file))?,
            line: place.map_or(0, |place| place.line),
        }))
    }

    /// The parameters and variables of a function and of those that were inlined into it, also where an optimised
    /// one has no place of its own for them.
    fn locals(&self, function: usize, walk: &mut Walk<'_, '_, 'data>) -> Vec<(u32, u32)> {
        let mut locals = Vec::new();
        let mut known = HashSet::new();
        let mut inlined = HashSet::new();
        let is_variable = |part: &&Part<'data>| matches!(part.role, Role::Parameter | Role::Local);
        let mut add = |part: &'a Part<'data>, walk: &mut Walk<'_, '_, 'data>| {
            let local = self.local(part, walk);
            if known.insert(local) {
                locals.push(local);
            }
        };
        for part in self.of(function) {
            if is_variable(&part) {
                add(part, walk);
            } else if part.role == Role::Inlined
                && let Some(origin) = part.origin
                && inlined.insert(origin)
                && let Some(origin) = self.find(origin)
            {
                for part in self.of(origin).filter(is_variable) {
                    add(part, walk);
                }
            }
        }
        let origin = self.functions[function].origin.and_then(|at| self.find(at));
        for part in origin.into_iter().flat_map(|origin| self.of(origin)) {
            if is_variable(&part) {
                add(part, walk);
            }
        }
        locals
    }
}

/// The type of what a closure or an `async` block captured, which is beside it: `{closure_env#0}` of `{closure#0}`.
/// It need not be in the debug information.
fn environment(closure: &Function<'_>, walk: &mut Walk<'_, '_, '_>) -> Option<u32> {
    let name = closure.nameless?.to_string_lossy();
    let (kind, rest) = name.split_once('#')?;
    let around = walk.paths.text(closure.around);
    let separator = if around.is_empty() { "" } else { "::" };
    let path = format!("{around}{separator}{kind}_env#{rest}");
    Some(walk.paths.number(&path))
}

/// How to get from a place in the frame to a value: through which pointers and how far in. Where in the frame that
/// place is depends on all of a function.
fn within_frame<'data>(location: Reader<'data>) -> &'data [u8] {
    let bytes: &'data [u8] = location.slice();
    match bytes.split_first() {
        Some((operation, rest)) if *operation == gimli::DW_OP_fbreg.0 => {
            let end = rest.iter().position(|byte| byte & 0x80 == 0);
            end.map_or(&[][..], |end| &rest[end + 1..])
        }
        _ => &[],
    }
}

fn expression<'data>(entry: &Entry<'_, 'data>) -> Option<Reader<'data>> {
    match entry.value(gimli::DW_AT_location)? {
        AttributeValue::Exprloc(expression) => Some(expression.0),
        _ => None,
    }
}

/// An entry, the one it refers to, and so on.
fn chain<T: Copy>(first: T, next: impl Fn(T) -> Option<T>) -> impl Iterator<Item = T> {
    std::iter::successors(Some(first), move |item| next(*item)).take(DEPTH)
}

/// The files of a unit that were asked for.
#[derive(Default)]
struct Files {
    known: HashMap<u64, Option<Arc<str>>>,
}

impl Files {
    fn path(
        &mut self,
        walk: &Walk<'_, '_, '_>,
        file: Option<u64>,
    ) -> Result<Option<Arc<str>>, LayoutError> {
        let Some(file) = file else {
            return Ok(None);
        };
        if let Some(path) = self.known.get(&file) {
            return Ok(path.clone());
        }
        let path = path(walk, file)?.map(Arc::from);
        self.known.insert(file, path.clone());
        Ok(path)
    }
}

fn path(walk: &Walk<'_, '_, '_>, file: u64) -> Result<Option<String>, LayoutError> {
    let Some(header) = walk.unit.line_program.as_ref().map(|lines| lines.header()) else {
        return Ok(None);
    };
    let Some(file) = header.file(file) else {
        return Ok(None);
    };
    let text = |value| walk.dwarf.attr_string(walk.unit, value);
    let mut path = text(file.path_name())?.to_string_lossy().into_owned();
    if let Some(directory) = file.directory(header)
        && !path.starts_with('/')
    {
        path = join(&text(directory)?.to_string_lossy(), &path);
        if file.directory_index() != 0
            && !path.starts_with('/')
            && let Some(root) = walk.unit.comp_dir
        {
            path = join(&root.to_string_lossy(), &path);
        }
    }
    Ok(Some(path))
}

fn join(directory: &str, name: &str) -> String {
    match directory {
        "" => name.to_owned(),
        directory => format!("{}/{name}", directory.trim_end_matches('/')),
    }
}

fn linkage<'data>(
    walk: &Walk<'_, '_, 'data>,
    entry: &Entry<'_, 'data>,
) -> Result<Option<Reader<'data>>, LayoutError> {
    let value = entry
        .value(gimli::DW_AT_linkage_name)
        .or_else(|| entry.value(gimli::DW_AT_MIPS_linkage_name));
    let text = value.map(|value| walk.dwarf.attr_string(walk.unit, value));
    Ok(text.transpose()?)
}

/// The entry that says what this one does not.
fn origin(entry: &Entry<'_, '_>, unit: &Unit<Reader<'_>>) -> Option<UnitOffset> {
    let value = entry
        .value(gimli::DW_AT_abstract_origin)
        .or_else(|| entry.value(gimli::DW_AT_specification))?;
    match value {
        AttributeValue::UnitRef(offset) => Some(offset),
        AttributeValue::DebugInfoRef(offset) => offset.to_unit_offset(unit),
        _ => None,
    }
}

fn unsigned(entry: &Entry<'_, '_>, name: DwAt) -> Option<u64> {
    match entry.value(name)? {
        AttributeValue::FileIndex(file) => Some(file),
        _ => number(entry, name).and_then(|number| u64::try_from(number).ok()),
    }
}

fn line(entry: &Entry<'_, '_>) -> u32 {
    let line = number(entry, gimli::DW_AT_decl_line);
    line.and_then(|line| u32::try_from(line).ok())
        .unwrap_or_default()
}
