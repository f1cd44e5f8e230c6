//! What the slots of vtables refer to, and which symbols are thread-locals.
//!
//! A vtable has no symbol. Debug information says where it is: relative to the section it lies in. The slots are
//! relocations of that section.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use object::{
    Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionIndex, SymbolIndex, SymbolKind,
};

use super::entries::Place;
use crate::image::layouts::LayoutError;
use crate::image::layouts::sections::{Address, Addresses, Reader};

/// Data that a slot refers to and that has no name.
pub(super) const NAMELESS: &str = "{vtable}";

/// The slots of these vtables by name.
pub(super) fn vtables(
    file: &object::File<'_>,
    addresses: &Addresses,
    named: &[(Reader<'_>, Place)],
) -> Result<BTreeMap<String, Vec<String>>, LayoutError> {
    let mut vtables: Vec<(String, (SectionIndex, u64))> = Vec::new();
    for (name, place) in named {
        let (list, at) = match place {
            Place::Info(at) => (&addresses.info, at),
            Place::Table(at) => (&addresses.table, at),
        };
        let Ok(index) = list.binary_search_by_key(at, |address| address.at) else {
            continue;
        };
        if let Some(place) = target(file, list[index])? {
            vtables.push((name.to_string_lossy().into_owned(), place));
        }
    }
    let by_place: HashMap<(SectionIndex, u64), &str> = vtables
        .iter()
        .map(|(name, place)| (*place, name.as_str()))
        .collect();
    let places: BTreeSet<(usize, u64)> = by_place.keys().map(|(of, at)| (of.0, *at)).collect();
    let names = Names::new(file);
    let mut read = BTreeMap::new();
    for (name, (section, start)) in &vtables {
        let section = file.section_by_index(*section)?;
        // Other data may follow in the same section only where sections are shared; there the next vtable ends it.
        let after = (section.index().0, start.saturating_add(1))..=(section.index().0, u64::MAX);
        let following = places.range(after).next();
        let end = following.map_or(section.size(), |(_, at)| *at);
        let length = usize::try_from(end.saturating_sub(*start) / 8).unwrap_or_default();
        // Damaged files may tell any size.
        let mut slots = vec![String::new(); length.min(MOST_SLOTS)];
        for (at, relocation) in section.relocations() {
            let slot = at
                .checked_sub(*start)
                .and_then(|at| usize::try_from(at / 8).ok());
            let (Some(slot), RelocationTarget::Symbol(symbol)) = (
                slot.and_then(|slot| slots.get_mut(slot)),
                relocation.target(),
            ) else {
                continue;
            };
            *slot = names.of(file, symbol, relocation.addend(), &by_place)?;
        }
        read.entry(name.clone()).or_insert(slots);
    }
    let undescribed = undescribed(file, &names, &by_place)?;
    for (name, slots) in undescribed {
        read.entry(name).or_insert(slots);
    }
    Ok(read)
}

/// The vtables that debug information says nothing of, such as those that only a static refers to. They are known by
/// their shape: drop glue or nothing, size, alignment, and methods, the first of which says what they are of.
fn undescribed(
    file: &object::File<'_>,
    names: &Names<'_>,
    described: &HashMap<(SectionIndex, u64), &str>,
) -> Result<Vec<(String, Vec<String>)>, LayoutError> {
    let mut found = Vec::new();
    for section in file.sections() {
        let is_data = section
            .name()
            .is_ok_and(|name| name.starts_with(".data.rel.ro"));
        let length = usize::try_from(section.size() / 8).unwrap_or_default();
        let is_known = described.contains_key(&(section.index(), 0));
        if !is_data
            || is_known
            || !(HEAD + 1..=MOST_SLOTS).contains(&length)
            || section.size() % 8 != 0
        {
            continue;
        }
        let mut slots = vec![String::new(); length];
        for (at, relocation) in section.relocations() {
            let slot = usize::try_from(at / 8)
                .ok()
                .and_then(|slot| slots.get_mut(slot));
            if let (Some(slot), RelocationTarget::Symbol(symbol)) = (slot, relocation.target()) {
                *slot = names.of(file, symbol, relocation.addend(), described)?;
            }
        }
        let data = section.data()?;
        let align = data
            .get(16..24)
            .and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
        let has_head = slots[1].is_empty() && slots[2].is_empty();
        let is_vtable = has_head && align.is_some_and(u64::is_power_of_two);
        let first = slots[HEAD..].iter().find(|slot| !slot.is_empty());
        if let Some(name) = first
            .filter(|_| is_vtable)
            .and_then(|first| vtable_of(first))
        {
            found.push((name, slots));
        }
    }
    Ok(found)
}

/// Slots before the methods.
const HEAD: usize = 3;

/// ``<T as Trait>::{vtable}`` for a method's symbol.
fn vtable_of(method: &str) -> Option<String> {
    let text = format!("{:#}", rustc_demangle::demangle(method));
    let (implementation, _) = text.rsplit_once(">::")?;
    let is_of_trait = implementation.starts_with('<') && implementation.contains(" as ");
    is_of_trait.then(|| format!("{implementation}>::{{vtable}}"))
}

const MOST_SLOTS: usize = 1 << 16;

/// The section an address is in, and how far.
fn target(
    file: &object::File<'_>,
    address: Address,
) -> Result<Option<(SectionIndex, u64)>, LayoutError> {
    let symbol = file.symbol_by_index(address.symbol)?;
    let at = symbol.address().wrapping_add_signed(address.addend);
    Ok(symbol.section_index().map(|section| (section, at)))
}

/// Names of symbols by where they are: what is local to an object is referred to by its section.
struct Names<'data>(HashMap<(SectionIndex, u64), &'data str>);

impl<'data> Names<'data> {
    fn new(file: &object::File<'data>) -> Self {
        let symbols = file.symbols().filter(|symbol| {
            matches!(
                symbol.kind(),
                SymbolKind::Text | SymbolKind::Data | SymbolKind::Unknown
            )
        });
        let named = symbols.filter_map(|symbol| {
            let name = symbol.name().ok().filter(|name| !name.is_empty())?;
            Some(((symbol.section_index()?, symbol.address()), name))
        });
        Self(named.collect())
    }

    fn of(
        &self,
        file: &object::File<'_>,
        symbol: SymbolIndex,
        addend: i64,
        vtables: &HashMap<(SectionIndex, u64), &str>,
    ) -> Result<String, LayoutError> {
        let address = Address {
            at: 0,
            symbol,
            addend,
        };
        let symbol = file.symbol_by_index(symbol)?;
        if symbol.kind() != SymbolKind::Section {
            return Ok(symbol.name()?.to_owned());
        }
        let place = target(file, address)?;
        let name = place.and_then(|place| vtables.get(&place).or_else(|| self.0.get(&place)));
        Ok(name.copied().unwrap_or(NAMELESS).to_owned())
    }
}

/// Symbols of which each thread has its own.
pub(super) fn thread_locals<'data>(file: &object::File<'data>) -> HashSet<&'data str> {
    let symbols = file
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Tls);
    symbols.filter_map(|symbol| symbol.name().ok()).collect()
}
