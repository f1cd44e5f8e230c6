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
    if named.is_empty() {
        return Ok(BTreeMap::new());
    }
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
    Ok(read)
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
