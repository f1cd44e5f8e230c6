//! What a relocatable object of a patch defines, refers to and pairs up.
//!
//! The table of pairs is the section [`PAIRS_SECTION`]: records `{ old: *const (), new: *const (), index: usize }`.
//! The relocations of the first two words name the base's symbol and the one compiled for the patch.

use crate::image::elf::{self, Elf, ElfError, RawSymbol, Relocation, Symbols};
use crate::image::symbols::Kind;
use thiserror::Error;

/// The section in which a patch crate lists its pairs.
pub const PAIRS_SECTION: &str = ".hp_pairs";
const PAIR_SIZE: usize = 24;

/// Why a patch object could not be read.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObjectError {
    /// Not an object, or a damaged one.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// A word of the table of pairs does not point at a symbol.
    #[error("record {record} of the table of pairs has no symbol for its `{field}` function")]
    PairWithoutSymbol {
        /// Number of the record in its section.
        record: usize,
        /// `old` or `new`.
        field: &'static str,
    },
}

/// A symbol the object defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defined {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// GLOBAL or WEAK, as opposed to LOCAL.
    pub global: bool,
    /// Size in bytes.
    pub size: u64,
    /// It can change while the program runs: it is state.
    pub writable: bool,
}

/// A symbol the object refers to and does not define.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undefined {
    /// Its name.
    pub name: String,
    /// Whether it is a thread-local.
    pub tls: bool,
    /// Whether the link succeeds without it.
    pub weak: bool,
    /// Whether code or data of the image refers to it; false if debug information or the table of pairs alone does.
    pub used: bool,
}

/// One record of the table of pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The symbol in the base.
    pub old: String,
    /// The symbol that replaces it.
    pub new: String,
    /// The number the patch crate gave it.
    pub index: u64,
}

/// A patch as it comes out of the compiler.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatchObject {
    /// Functions and data in the object; sections, labels and file names left out.
    pub defined: Vec<Defined>,
    /// What has to come from elsewhere.
    pub undefined: Vec<Undefined>,
    /// The table of pairs.
    pub pairs: Vec<Pair>,
}

impl PatchObject {
    /// Reads a relocatable object.
    ///
    /// # Errors
    /// If it is damaged or its table of pairs is not made of symbols.
    pub fn parse(data: &[u8]) -> Result<Self, ObjectError> {
        let elf = Elf::parse(data)?;
        let symbols = elf.symbols()?;
        let mut object = PatchObject::default();
        let used = used_symbols(&elf, symbols.len())?;
        for (index, raw) in symbols.iter().enumerate() {
            let name = symbols.name(&raw);
            if name.is_empty() || matches!(raw.kind, elf::STT_SECTION | elf::STT_FILE) {
                continue;
            }
            if raw.section == elf::SHN_UNDEF {
                object.undefined.push(Undefined {
                    name: name.to_owned(),
                    tls: raw.kind == elf::STT_TLS || used[index].tls,
                    weak: raw.binding == elf::STB_WEAK,
                    used: used[index].at_all,
                });
            } else if let Some(kind) = kind_of(&elf, &raw) {
                let global = raw.binding != elf::STB_LOCAL;
                object.defined.push(Defined {
                    name: name.to_owned(),
                    kind,
                    global,
                    size: raw.size,
                    writable: elf
                        .sections
                        .get(raw.section as usize)
                        .is_some_and(|s| is_state(s.name)),
                });
            }
        }
        object.pairs = pairs(&elf, &symbols)?;
        Ok(object)
    }
}

/// Gives a symbol of a relocatable object another name, if that is not longer, and tells whether it has it.
pub fn rename(data: &mut [u8], old: &str, new: &str) -> bool {
    let Some(spare) = old.len().checked_sub(new.len()) else {
        return false;
    };
    let from = [old.as_bytes(), &[0]].concat();
    let to = [new.as_bytes(), &vec![0; spare + 1]].concat();
    // Names of sections may share its bytes, and end with it then.
    let places = data.windows(from.len()).enumerate();
    let found: Vec<usize> = places
        .filter(|(_, bytes)| *bytes == from)
        .map(|(at, _)| at)
        .collect();
    for at in &found {
        data[*at..at + to.len()].copy_from_slice(&to);
    }
    !found.is_empty()
}

#[derive(Debug, Clone, Copy, Default)]
struct Use {
    at_all: bool,
    tls: bool,
}

fn used_symbols(elf: &Elf<'_>, count: usize) -> Result<Vec<Use>, ElfError> {
    let mut uses = vec![Use::default(); count];
    for (target, section) in elf.relocation_sections() {
        let target = &elf.sections[target];
        if !target.is_loaded() || target.name == PAIRS_SECTION {
            continue;
        }
        for relocation in elf.relocations(section)? {
            if let Some(entry) = uses.get_mut(relocation.symbol as usize) {
                entry.at_all = true;
                entry.tls |= elf::is_tls_relocation(relocation.kind);
            }
        }
    }
    Ok(uses)
}

/// What a defined symbol is; `None` for labels and for what is not part of the image.
pub(crate) fn kind_of(elf: &Elf<'_>, raw: &RawSymbol) -> Option<Kind> {
    if raw.section == elf::SHN_COMMON {
        return Some(Kind::Data);
    }
    let section = elf
        .sections
        .get(raw.section as usize)
        .filter(|section| section.is_loaded())?;
    match raw.kind {
        elf::STT_TLS => Some(Kind::Tls),
        elf::STT_FUNC | elf::STT_GNU_IFUNC => Some(Kind::Function),
        elf::STT_NOTYPE if is_table_for_unwinding(section.name) => None,
        elf::STT_NOTYPE if section.is_code() => Some(Kind::Function),
        _ => Some(Kind::Data),
    }
}

fn is_state(section: &str) -> bool {
    [".data", ".bss", ".tdata", ".tbss"]
        .iter()
        .any(|name| section.starts_with(name))
        && !section.starts_with(".data.rel.ro")
}

/// Sections that describe functions and call nothing.
pub(crate) fn is_table_for_unwinding(section: &str) -> bool {
    section == ".eh_frame" || section.starts_with(".gcc_except_table")
}

fn pairs(elf: &Elf<'_>, symbols: &Symbols<'_>) -> Result<Vec<Pair>, ObjectError> {
    let mut pairs = Vec::new();
    for (target, section) in elf.relocation_sections() {
        let target = &elf.sections[target];
        if target.name != PAIRS_SECTION {
            continue;
        }
        let places = SymbolsByPlace::new(elf, symbols);
        let mut names = vec![(None, None); target.size / PAIR_SIZE];
        for relocation in elf.relocations(section)? {
            let place = relocation.place as usize;
            let Some((old, new)) = names.get_mut(place / PAIR_SIZE) else {
                continue;
            };
            let name = places
                .target(symbols, &relocation)
                .map(|symbol| symbols.name(&symbol).to_owned());
            match place % PAIR_SIZE {
                0 => *old = name,
                8 => *new = name,
                _ => {}
            }
        }
        let bytes = elf.bytes(target)?;
        for (record, (old, new)) in names.into_iter().enumerate() {
            let missing = |field| ObjectError::PairWithoutSymbol { record, field };
            pairs.push(Pair {
                old: old.filter(|name| !name.is_empty()).ok_or(missing("old"))?,
                new: new.filter(|name| !name.is_empty()).ok_or(missing("new"))?,
                index: elf::u64_at(bytes, record * PAIR_SIZE + 16).unwrap_or_default(),
            });
        }
    }
    Ok(pairs)
}

/// The defined symbols of each section, by offset.
#[derive(Debug, Default)]
pub(crate) struct SymbolsByPlace {
    /// `(section, offset, symbol index)`, sorted.
    places: Vec<(u32, u64, u32)>,
}

impl SymbolsByPlace {
    pub(crate) fn new(elf: &Elf<'_>, symbols: &Symbols<'_>) -> Self {
        let named = symbols.iter().enumerate().filter(|(_, raw)| {
            raw.section != elf::SHN_UNDEF
                && !matches!(raw.kind, elf::STT_SECTION | elf::STT_FILE)
                && kind_of(elf, raw).is_some()
        });
        let mut places: Vec<_> = named
            .map(|(index, raw)| (raw.section, raw.value, index as u32))
            .collect();
        places.sort_unstable();
        SymbolsByPlace { places }
    }

    /// All symbols with their places, sorted by section and offset.
    pub(crate) fn all(&self) -> &[(u32, u64, u32)] {
        &self.places
    }

    /// The symbol that starts at or last before an offset of a section.
    pub(crate) fn at(&self, section: u32, offset: u64) -> Option<u32> {
        let after = self
            .places
            .partition_point(|(s, o, _)| (*s, *o) <= (section, offset));
        let (_, start, _) = *self.places[..after]
            .last()
            .filter(|(s, _, _)| *s == section)?;
        // Of several names for one place the first one stands for all.
        let first = self
            .places
            .partition_point(|(s, o, _)| (*s, *o) < (section, start));
        Some(self.places[first].2)
    }

    /// The symbol an absolute relocation (`R_X86_64_64`) refers to, through a section symbol if need be.
    fn target(&self, symbols: &Symbols<'_>, relocation: &Relocation) -> Option<RawSymbol> {
        let raw = symbols.get(relocation.symbol as usize)?;
        if raw.kind != elf::STT_SECTION {
            return Some(raw);
        }
        symbols.get(self.at(
            raw.section,
            raw.value.checked_add_signed(relocation.addend)?,
        )? as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::{ObjectError, PatchObject};
    use crate::image::samples::Samples;
    use crate::image::symbols::Kind;

    const PATCH: &str = r#"
        unsafe extern "Rust" { safe fn base_one(); safe fn base_two(); static BASE: u32; }
        fn private() { println!("private") }
        #[unsafe(no_mangle)] pub fn public() { println!("{}", unsafe { BASE }) }
        #[repr(C)] pub struct Pair(*const (), *const (), usize);
        unsafe impl Sync for Pair {}
        #[used] #[unsafe(link_section = ".hp_pairs")]
        static PAIRS: [Pair; 2] = [
            Pair(base_one as *const (), private as *const (), 5),
            Pair(base_two as *const (), public as *const (), usize::MAX),
        ];
    "#;

    #[test]
    fn pairs_and_symbols_of_an_object() {
        let samples = Samples::new();
        for level in ["-Copt-level=0", "-Copt-level=3"] {
            let data = samples.object(PATCH, &[level, "-Cdebuginfo=2"]);
            let object = PatchObject::parse(&data).unwrap();
            let [one, two] = &object.pairs[..] else {
                panic!("{:?}", object.pairs)
            };
            assert_eq!((one.old.as_str(), one.index), ("base_one", 5));
            assert!(one.new.ends_with("3app7private"), "{one:?}");
            assert_eq!(
                (two.old.as_str(), two.new.as_str(), two.index),
                ("base_two", "public", u64::MAX)
            );
            let public = object
                .defined
                .iter()
                .find(|defined| defined.name == "public")
                .unwrap();
            assert!(public.global && public.kind == Kind::Function && public.size > 0);
            let private = object
                .defined
                .iter()
                .find(|defined| defined.name == one.new)
                .unwrap();
            assert_eq!(private.kind, Kind::Function);
            let base = |name| {
                object
                    .undefined
                    .iter()
                    .find(|undefined| undefined.name == name)
                    .unwrap()
            };
            assert!(base("BASE").used && !base("BASE").tls);
            assert!(!base("base_one").used, "the table of pairs is no use");
        }
    }

    #[test]
    fn a_pair_needs_symbols() {
        let source = PATCH.replace("Pair(base_two as *const ()", "Pair(std::ptr::null()");
        let data = Samples::new().object(&source, &[]);
        let error = PatchObject::parse(&data).unwrap_err();
        assert_eq!(
            error,
            ObjectError::PairWithoutSymbol {
                record: 1,
                field: "old"
            }
        );
    }
}
