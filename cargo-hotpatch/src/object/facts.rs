//! Reads all that is asked about types from one relocatable object, in one walk over its debug information.
//!
//! Names are numbers until the end, and those of types the very texts that [`Layouts`] has. Nothing is said of what
//! the debug information does not describe: a function without facts is one about which nothing is known.

use std::collections::BTreeMap;

use super::entries::{Entries, Resolved, ResolvedStatic};
use super::slots;
use crate::image::layouts::found::Found;
use crate::image::layouts::paths::{Paths, ROOT, is_of};
use crate::image::layouts::read::Walk;
use crate::image::layouts::sections::{self, Reader};
use crate::image::layouts::{LayoutError, Layouts};

/// What an object says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The types that mention one of the crates.
    pub layouts: Layouts,
    /// The functions that the object defines, by symbol.
    pub functions: BTreeMap<String, FunctionFacts>,
    /// The statics and thread-locals that the object defines, by symbol.
    pub statics: BTreeMap<String, StaticFacts>,
    /// The slots of vtables, by ``<T as Trait>::{vtable}``: the symbol each refers to, `<T as Trait>::{vtable}` of
    /// a supertrait, or `{vtable}` where its name is not told. Slots that refer to nothing, such as the size,
    /// are empty: where a slot is matters as much as what is in it.
    pub vtables: BTreeMap<String, Vec<String>>,
}

/// What is known of a function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FunctionFacts {
    /// What it returns and takes, as full names of types: first what it returns. Of a closure and what is like one
    /// the type of what it captured comes last, whether it is a parameter or not.
    pub signature: Vec<String>,
    /// The types it is generic over.
    pub generics: Vec<String>,
    /// Names and types of parameters and variables, also those of functions that were inlined into it; the name is
    /// empty where there is none.
    pub locals: Vec<(String, String)>,
    /// Of a closure and what is like one: the type of what it captured. Debug information need not describe it.
    pub environment: Option<String>,
    /// Of a closure: what it captured, each by name, type and place, as far as its own entry says so.
    pub captures: Vec<String>,
    /// Where it is written: the file with its directory, unless that was mapped away.
    pub file: Option<String>,
    /// And the line there, from 1; 0 if not known.
    pub line: u32,
}

/// What is known of a static or a thread-local.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StaticFacts {
    /// The full name of its type.
    pub ty: String,
    /// Where it is written, as for functions.
    pub file: Option<String>,
    /// And the line there, from 1; 0 if not known.
    pub line: u32,
    /// Whether each thread has its own.
    pub thread_local: bool,
}

impl Facts {
    /// Reads the facts of an object, and of its types those that mention one of these crates.
    ///
    /// # Errors
    /// If the file or its debug information is damaged.
    pub fn read(object: &[u8], crates: &[&str]) -> Result<Self, LayoutError> {
        let file = object::File::parse(object)?;
        let (sections, addresses) = sections::load_with_addresses(&file)?;
        let dwarf = sections.borrow(|section| Reader::new(section, gimli::LittleEndian));
        let mut paths = Paths::new(crates);
        let mut found = Found::default();
        let mut entries = Entries::new(&dwarf);
        let mut units = dwarf.units();
        while let Some(header) = units.next()? {
            let unit = dwarf.unit(header)?;
            let name = unit.name.map(|name| name.to_string_lossy());
            let is_kept = name.is_some_and(|name| is_of(&name, crates));
            let walk = Walk::new(&dwarf, &unit, &mut paths);
            walk.run(is_kept.then_some(&mut found), &mut entries)?;
        }
        let vtables = slots::vtables(&file, &addresses, &entries.vtables)?;
        let thread_locals = slots::thread_locals(&file);
        let functions = entries.functions.iter().map(|function| {
            let linkage = function.linkage.to_string_lossy().into_owned();
            (linkage, function_facts(function, &paths))
        });
        let statics = entries.statics.iter().map(|found| {
            let linkage = found.linkage.to_string_lossy();
            let is_thread_local = found.has_thread_location || thread_locals.contains(&*linkage);
            let facts = static_facts(found, &paths, is_thread_local);
            (linkage.into_owned(), facts)
        });
        Ok(Self {
            functions: functions.collect(),
            statics: statics.collect(),
            vtables,
            layouts: found.layouts(&paths),
        })
    }
}

/// All types that an object describes, those of the standard library and of other crates included.
///
/// # Errors
/// As [`Facts::read`].
pub fn all_types(object: &[u8]) -> Result<Layouts, LayoutError> {
    let file = object::File::parse(object)?;
    let (sections, _) = sections::load_with_addresses(&file)?;
    let dwarf = sections.borrow(|section| Reader::new(section, gimli::LittleEndian));
    let mut paths = Paths::of_all();
    let mut found = Found::default();
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        let unit = dwarf.unit(header)?;
        let mut beside = Entries::new(&dwarf);
        Walk::new(&dwarf, &unit, &mut paths).run(Some(&mut found), &mut beside)?;
    }
    Ok(found.layouts(&paths))
}

fn function_facts(function: &Resolved<'_>, paths: &Paths<'_>) -> FunctionFacts {
    let text = |path: &u32| paths.text(*path).to_owned();
    let locals = function.locals.iter();
    let captures = function.captures.iter();
    FunctionFacts {
        signature: function.signature.iter().map(text).collect(),
        generics: function.generics.iter().map(text).collect(),
        locals: locals
            .map(|(name, ty)| (text(name), or_unit(paths, *ty)))
            .collect(),
        environment: function.environment.as_ref().map(text),
        captures: captures
            .map(|(name, ty, place)| format!("{}: {} {place:02x?}", text(name), text(ty)))
            .collect(),
        file: function.file.as_deref().map(str::to_owned),
        line: function.line,
    }
}

fn static_facts(found: &ResolvedStatic<'_>, paths: &Paths<'_>, thread_local: bool) -> StaticFacts {
    StaticFacts {
        ty: or_unit(paths, found.ty),
        file: found.file.as_deref().map(str::to_owned),
        line: found.line,
        thread_local,
    }
}

/// What has no type in debug information is of type `()`.
fn or_unit(paths: &Paths<'_>, ty: u32) -> String {
    match ty {
        ROOT => "()".to_owned(),
        ty => paths.text(ty).to_owned(),
    }
}
