//! Other names for the symbols of an object.

use crate::image::elf::{self, Elf, ElfError, SHT_SYMTAB, SYMBOL_SIZE};

/// Where the header of an ELF file says where the section headers begin.
const HEADERS_AT: usize = 0x28;
/// Bytes of a section header, and where in it offset and size of the section are.
const HEADER: usize = 64;
const OFFSET: usize = 0x18;
const SIZE: usize = 0x20;
/// Where in a symbol its section is, and after that its value and its size.
const SECTION: usize = 6;

/// The object with other names for those symbols for which `name` has one.
///
/// The table of strings is written anew at the end of the file, with the new names behind the old ones: nothing else
/// moves, and sections whose names share the table keep theirs.
///
/// # Errors
/// This is no object, or a damaged one.
pub fn with_names(
    object: &[u8],
    mut name: impl FnMut(&str) -> Option<String>,
) -> Result<Vec<u8>, ElfError> {
    let elf = Elf::parse(object)?;
    let symbols = elf.symbols()?;
    let table = elf.sections.iter().find(|of| of.kind == SHT_SYMTAB);
    let table = table.ok_or(ElfError::OutOfBounds("the table of symbols"))?;
    let mut strings = symbols.strings().to_vec();
    let mut renamed = Vec::new();
    for (index, raw) in symbols.iter().enumerate() {
        let Some(new) = name(symbols.name(&raw)) else {
            continue;
        };
        let at = u32::try_from(strings.len()).map_err(|_| ElfError::OutOfBounds("a name"))?;
        renamed.push((table.offset + index * SYMBOL_SIZE, at));
        strings.extend(new.bytes().chain([0]));
    }
    let headers = elf::u64_at(object, HEADERS_AT).and_then(|at| usize::try_from(at).ok());
    let headers = headers.ok_or(ElfError::OutOfBounds("the section table"))?;
    let header = headers + table.link as usize * HEADER;
    let mut made = object.to_vec();
    let mut write = |at: usize, bytes: &[u8]| -> Result<(), ElfError> {
        let place = made.get_mut(at..at + bytes.len());
        let place = place.ok_or(ElfError::OutOfBounds("the section table"))?;
        place.copy_from_slice(bytes);
        Ok(())
    };
    for (at, name) in renamed {
        write(at, &name.to_le_bytes())?;
    }
    write(header + OFFSET, &(object.len() as u64).to_le_bytes())?;
    write(header + SIZE, &(strings.len() as u64).to_le_bytes())?;
    made.extend(strings);
    Ok(made)
}

/// Makes these symbols ones that the object needs and does not have.
///
/// # Errors
/// This is no object, or a damaged one.
pub fn undefine(object: &mut [u8], is_meant: impl Fn(&str) -> bool) -> Result<(), ElfError> {
    let elf = Elf::parse(object)?;
    let symbols = elf.symbols()?;
    let table = elf.sections.iter().find(|of| of.kind == SHT_SYMTAB);
    let table = table.ok_or(ElfError::OutOfBounds("the table of symbols"))?;
    let meant = symbols.iter().enumerate();
    let meant = meant.filter(|(_, raw)| is_meant(symbols.name(raw)));
    let places: Vec<usize> = meant
        .map(|(index, _)| table.offset + index * SYMBOL_SIZE)
        .collect();
    for at in places {
        let place = object.get_mut(at + SECTION..at + SYMBOL_SIZE);
        let place = place.ok_or(ElfError::OutOfBounds("the table of symbols"))?;
        place.fill(0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{undefine, with_names};
    use crate::image::elf::Elf;
    use crate::image::samples::Samples;
    use object::write::{Object, Symbol, SymbolSection};
    use object::{Architecture, BinaryFormat, Endianness, SymbolFlags, SymbolKind, SymbolScope};

    fn names(object: &[u8]) -> Vec<String> {
        let elf = Elf::parse(object).unwrap();
        let symbols = elf.symbols().unwrap();
        let names = symbols.iter().map(|raw| symbols.name(&raw).to_owned());
        names.filter(|name| !name.is_empty()).collect()
    }

    #[test]
    fn symbols_have_their_new_names_and_all_others_the_old() {
        let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
        for name in ["short", "other"] {
            object.add_symbol(Symbol {
                name: name.into(),
                value: 0,
                size: 0,
                kind: SymbolKind::Text,
                scope: SymbolScope::Linkage,
                weak: false,
                section: SymbolSection::Undefined,
                flags: SymbolFlags::None,
            });
        }
        let bytes = object.write().unwrap();
        let longer = |name: &str| (name == "short").then(|| "a_longer_name".to_owned());
        let made = with_names(&bytes, longer).unwrap();
        assert_eq!(names(&made), ["a_longer_name", "other"]);
        let sections = |bytes: &[u8]| -> Vec<String> {
            let sections = Elf::parse(bytes).unwrap().sections;
            sections.iter().map(|of| of.name.to_owned()).collect()
        };
        assert_eq!(sections(&made), sections(&bytes));
    }

    #[test]
    fn a_symbol_without_its_definition_is_one_that_is_needed() {
        let samples = Samples::new();
        let source = "#[unsafe(no_mangle)] fn one() {} #[unsafe(no_mangle)] fn two() { one() }";
        let mut object = samples.object(source, &["-Clink-dead-code"]);
        undefine(&mut object, |name| name == "one").unwrap();
        let elf = Elf::parse(&object).unwrap();
        let symbols = elf.symbols().unwrap();
        let is_there = |wanted| {
            let mut found = symbols.iter().filter(|raw| symbols.name(raw) == wanted);
            found.next().map(|raw| raw.section != 0)
        };
        assert_eq!(
            (is_there("one"), is_there("two")),
            (Some(false), Some(true))
        );
    }
}
