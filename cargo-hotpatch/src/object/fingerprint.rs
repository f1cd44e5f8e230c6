//! What an object defines, each definition with a fingerprint of all that it means.
//!
//! A fingerprint covers the bytes and the relocations: targets that have names by name, all others (constants, jump
//! tables, local functions) by their content, recursively, with how they are aligned and what may be done with them.
//! So equal fingerprints in two builds mean the same code, wherever its parts lie and whatever numbers their local
//! symbols have. The alignment of a static that can be written is left out: it stays where it is, and
//! [`Definition::align`] tells what code expects of that place.

use xxhash_rust::xxh3::Xxh3;

use super::names::{NameId, Names};
use crate::image::elf::{self, Elf, ElfError, RawSymbol, Relocation, Section, Symbols, r};

/// A fingerprint.
pub type Fingerprint = u128;

/// What a definition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Code.
    Function,
    /// A static, which a program may write.
    Mutable,
    /// A static that nothing writes.
    Constant,
    /// A thread-local.
    ThreadLocal,
}

/// What an object defines under a name that other objects can see.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its name.
    pub name: NameId,
    /// What it is.
    pub kind: Kind,
    /// Of all of it.
    pub exact: Fingerprint,
    /// The same without the lines and columns that panics tell.
    pub placeless: Fingerprint,
    /// Bytes that it takes.
    pub size: u64,
    /// What its address is a multiple of, at least.
    pub align: u64,
    /// The named symbols that it refers to, itself or through what has no name; sorted.
    pub references: Vec<NameId>,
    /// It stands in a section that is read as a list: constructors, and what `linkme` and its like collect.
    pub is_listed: bool,
}

/// Reads an object's definitions. `is_source` tells paths of source files, as rustc spells them in panic messages.
///
/// # Errors
/// If this is not an object, or a damaged one.
pub fn definitions(
    object: &[u8],
    names: &mut Names,
    is_source: &dyn Fn(&[u8]) -> bool,
) -> Result<Vec<Definition>, ElfError> {
    let elf = Elf::parse(object)?;
    let symbols = elf.symbols()?;
    let mut tables: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
    for (index, section) in elf.sections.iter().enumerate() {
        if let Some(function) = section.name.strip_prefix(".gcc_except_table.") {
            tables.insert(function, index);
        }
    }
    let mut reader = Reader::new(&elf, names, is_source)?;
    let mut found = Vec::new();
    for raw in symbols.iter() {
        let is_definition = raw.binding != elf::STB_LOCAL
            && raw.section != elf::SHN_UNDEF
            && matches!(
                raw.kind,
                elf::STT_FUNC | STT_OBJECT | elf::STT_TLS | elf::STT_NOTYPE
            );
        let Some(section) = elf.sections.get(raw.section as usize) else {
            continue;
        };
        let name = symbols.name(&raw);
        // The pointer to the personality function is each linked file's own.
        if !is_definition || name.is_empty() || name.starts_with("DW.ref.") {
            continue;
        }
        let mut sum = reader.content(raw.section as usize)?.sum;
        // Which functions unwind, and what they drop then, stands in a table of its own.
        if let Some(table) = tables.get(name) {
            let table = reader.content(*table)?.sum;
            sum.include(&table);
        }
        sum.references.sort_unstable();
        sum.references.dedup();
        let kind = kind(section, &raw);
        let mut place = u128::from(raw.value);
        if matches!(kind, Kind::Function | Kind::Constant) {
            place |= u128::from(section.align) << 64;
        }
        found.push(Definition {
            name: reader.names.id(name),
            kind,
            exact: sum.exact ^ place,
            placeless: sum.placeless ^ place,
            size: raw.size,
            align: section.align,
            references: sum.references,
            is_listed: is_list(section.name),
        });
    }
    Ok(found)
}

const STT_OBJECT: u8 = object::elf::STT_OBJECT.0;
const SHF_WRITE: u64 = object::elf::SHF_WRITE.0;
const SHF_MERGE: u64 = object::elf::SHF_MERGE.0;
const SHF_STRINGS: u64 = object::elf::SHF_STRINGS.0;
/// What may be done with a section.
const ACCESS: u64 = SHF_WRITE | object::elf::SHF_EXECINSTR.0 | object::elf::SHF_TLS.0;

fn kind(section: &Section<'_>, raw: &RawSymbol) -> Kind {
    if raw.kind == elf::STT_TLS {
        Kind::ThreadLocal
    } else if section.is_code() {
        Kind::Function
    } else if section.flags & SHF_WRITE != 0 && !section.name.starts_with(".data.rel.ro") {
        Kind::Mutable
    } else {
        Kind::Constant
    }
}

/// Whether what stands in a section is found by its place there and not by name.
#[must_use]
pub fn is_list(section: &str) -> bool {
    const OWN: &[&str] = &[
        ".text",
        ".data",
        ".rodata",
        ".bss",
        ".tdata",
        ".tbss",
        ".eh_frame",
        ".gcc_except_table",
        ".lrodata",
        ".ldata",
        ".lbss",
        ".ltext",
    ];
    !OWN.iter().any(|own| section.starts_with(own))
}

/// What a section means.
#[derive(Debug, Clone, Default)]
struct Sum {
    exact: Fingerprint,
    placeless: Fingerprint,
    references: Vec<NameId>,
}

impl Sum {
    fn include(&mut self, other: &Sum) {
        self.exact = self.exact.rotate_left(1) ^ other.exact;
        self.placeless = self.placeless.rotate_left(1) ^ other.placeless;
        self.references.extend(&other.references);
    }
}

/// A section's meaning, and how far out the outermost section is that it leads back to.
struct Content {
    sum: Sum,
    outermost: usize,
}

/// Reads what sections mean.
pub(super) struct Reader<'a, 'data> {
    elf: &'a Elf<'data>,
    pub(super) symbols: Symbols<'data>,
    /// Of each section.
    pub(super) relocations: Vec<Vec<Relocation>>,
    names: &'a mut Names,
    is_source: &'a dyn Fn(&[u8]) -> bool,
    known: Vec<Option<Sum>>,
    /// The sections that are being read, outermost first.
    pub(super) open: Vec<usize>,
}

#[derive(Default)]
pub(super) struct Hashers {
    exact: Xxh3,
    pub(super) placeless: Xxh3,
}

impl Hashers {
    pub(super) fn both(&mut self, bytes: &[u8]) {
        self.exact.update(bytes);
        self.placeless.update(bytes);
    }
}

impl<'a, 'data> Reader<'a, 'data> {
    /// See [`definitions`].
    ///
    /// # Errors
    /// This is no object, or a damaged one.
    pub(super) fn new(
        elf: &'a Elf<'data>,
        names: &'a mut Names,
        is_source: &'a dyn Fn(&[u8]) -> bool,
    ) -> Result<Self, ElfError> {
        let mut relocations: Vec<Vec<Relocation>> = vec![Vec::new(); elf.sections.len()];
        for (index, section) in elf.relocation_sections() {
            if elf.sections[index].is_loaded() {
                relocations[index].extend(elf.relocations(section)?);
            }
        }
        Ok(Self {
            elf,
            symbols: elf.symbols()?,
            relocations,
            names,
            is_source,
            known: vec![None; elf.sections.len()],
            open: Vec::new(),
        })
    }

    fn content(&mut self, index: usize) -> Result<Content, ElfError> {
        if let Some(sum) = &self.known[index] {
            return Ok(Content {
                sum: sum.clone(),
                outermost: usize::MAX,
            });
        }
        let section = self.elf.sections[index];
        let bytes = self.elf.bytes(&section)?;
        let mut hashers = Hashers::default();
        hashers.both(&(section.size as u64).to_le_bytes());
        hashers.exact.update(bytes);
        let placeless = if self.is_place(index, bytes) {
            &bytes[..16]
        } else {
            bytes
        };
        hashers.placeless.update(placeless);
        let mut references = Vec::new();
        let mut outermost = usize::MAX;
        self.open.push(index);
        let relocations = std::mem::take(&mut self.relocations[index]);
        for relocation in &relocations {
            let led = self.target(relocation, &mut hashers, &mut references)?;
            outermost = outermost.min(led);
        }
        self.relocations[index] = relocations;
        self.open.pop();
        let sum = Sum {
            exact: hashers.exact.digest128(),
            placeless: hashers.placeless.digest128(),
            references,
        };
        // What leads back to a section around it reads otherwise when it is met first.
        if outermost >= self.open.len() {
            self.known[index] = Some(sum.clone());
            outermost = usize::MAX;
        }
        Ok(Content { sum, outermost })
    }

    /// Takes in where a relocation leads, and gives back how far out.
    pub(super) fn target(
        &mut self,
        relocation: &Relocation,
        hashers: &mut Hashers,
        references: &mut Vec<NameId>,
    ) -> Result<usize, ElfError> {
        hashers.both(&relocation.place.to_le_bytes());
        hashers.both(&relocation.kind.to_le_bytes());
        let Some(raw) = self.symbols.get(relocation.symbol as usize) else {
            return Ok(usize::MAX);
        };
        let name = self.symbols.name(&raw);
        let section = self.elf.sections.get(raw.section as usize).copied();
        let (Some(section), elf::STB_LOCAL, true) =
            (section, raw.binding, raw.section != elf::SHN_UNDEF)
        else {
            if !name.is_empty() {
                let id = self.names.id(name);
                hashers.both(self.names.without_instantiating_crate(id).as_bytes());
                references.push(id);
            }
            hashers.both(&relocation.addend.to_le_bytes());
            return Ok(usize::MAX);
        };
        let at = raw.value.wrapping_add_signed(relocation.addend);
        if section.flags & SHF_MERGE != 0
            && let Some(constant) = self.constant(&section, relocation, at)?
        {
            hashers.both(constant);
            return Ok(usize::MAX);
        }
        hashers.both(&at.to_le_bytes());
        hashers.both(&section.align.to_le_bytes());
        hashers.both(&(section.flags & ACCESS).to_le_bytes());
        let index = raw.section as usize;
        if let Some(depth) = self.open.iter().position(|open| *open == index) {
            hashers.both(&(self.open.len() - depth).to_le_bytes());
            return Ok(depth);
        }
        let content = self.content(index)?;
        hashers.exact.update(&content.sum.exact.to_le_bytes());
        hashers
            .placeless
            .update(&content.sum.placeless.to_le_bytes());
        references.extend(&content.sum.references);
        Ok(content.outermost)
    }

    /// The one constant that is meant in a section that holds many of the same size.
    fn constant(
        &self,
        section: &Section<'data>,
        relocation: &Relocation,
        at: u64,
    ) -> Result<Option<&'data [u8]>, ElfError> {
        let bytes = self.elf.bytes(section)?;
        let is_relative = relocation.kind != r::ABS64;
        let at = if is_relative { at.wrapping_add(4) } else { at };
        let Ok(at) = usize::try_from(at) else {
            return Ok(None);
        };
        if section.flags & SHF_STRINGS != 0 {
            return Ok(elf::c_string_at(bytes, at));
        }
        let size = section.name.strip_prefix(".rodata.cst");
        let size = size.and_then(|size| size.split('.').next()?.parse::<usize>().ok());
        Ok(size.and_then(|size| {
            // An operand behind the reference moves it back by a few bytes.
            let start = if size >= 8 {
                (at + 4) / size * size
            } else {
                at
            };
            bytes.get(start..start + size)
        }))
    }

    /// Whether a section is a `core::panic::Location` of the workspace: file, line and column, and nothing else.
    fn is_place(&self, index: usize, bytes: &[u8]) -> bool {
        let [file] = self.relocations[index].as_slice() else {
            return false;
        };
        if bytes.len() != 24 || file.place != 0 || file.kind != r::ABS64 {
            return false;
        }
        let Some(raw) = self.symbols.get(file.symbol as usize) else {
            return false;
        };
        let section = self.elf.sections.get(raw.section as usize);
        let path = section.and_then(|section| {
            let bytes = self.elf.bytes(section).ok()?;
            let at = raw.value.checked_add_signed(file.addend)?;
            bytes.get(usize::try_from(at).ok()?..)
        });
        let length = elf::u64_at(bytes, 8).and_then(|length| usize::try_from(length).ok());
        raw.binding == elf::STB_LOCAL
            && path.zip(length).is_some_and(|(path, length)| {
                path.get(..length)
                    .is_some_and(|path| (self.is_source)(path))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::{Definition, Kind, definitions};
    use crate::image::samples::Samples;
    use crate::object::names::Names;
    use std::collections::BTreeMap;

    /// The definitions of a crate by the last part of their paths.
    fn read(source: &str) -> BTreeMap<String, Definition> {
        let samples = Samples::new();
        // Panic messages name the file.
        let remap = format!("--remap-path-prefix={}=src", samples.path("").display());
        let arguments = ["-Copt-level=0", "-Clink-dead-code", "-Cmetadata=x", &remap];
        let object = samples.object(source, &arguments);
        let mut names = Names::default();
        let is_source = |path: &[u8]| path.ends_with(b".rs") && !path.starts_with(b"/rustc");
        let found = definitions(&object, &mut names, &is_source).unwrap();
        let named = found.into_iter().map(|definition| {
            let text = format!(
                "{:#}",
                rustc_demangle::demangle(names.text(definition.name))
            );
            (text, definition)
        });
        named.collect()
    }

    const SOURCE: &str = "
        pub static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
        pub static NAMES: [&str; 2] = [\"a\", \"b\"];
        pub fn index(all: &[u32], at: usize) -> u32 { all[at] + 1 }
        pub fn text() -> &'static str { \"some text\" }
        pub fn choose(n: u32) -> &'static str {
            match n { 0 => \"none\", 1 => \"one\", 2 => \"two\", 3 => \"three\", 4 => \"four\", _ => NAMES[0] }
        }
        pub fn float(x: f64) -> f64 { x * 1.25 + 3.5 }
        pub fn caller() -> u32 { index(&[1, 2], 0) }
    ";

    #[test]
    fn the_same_source_has_the_same_fingerprints() {
        let (one, other) = (read(SOURCE), read(SOURCE));
        assert!(one.len() > 6);
        for (name, definition) in &one {
            assert_eq!(definition.exact, other[name].exact, "{name}");
        }
        assert_eq!(one["app::COUNT"].kind, Kind::Mutable);
        assert_eq!(one["app::NAMES"].kind, Kind::Constant);
    }

    #[test]
    fn shifted_lines_are_told_apart_from_changes() {
        let (one, other) = (read(SOURCE), read(&format!("\n\n{SOURCE}")));
        assert_ne!(one["app::index"].exact, other["app::index"].exact);
        for (name, definition) in &one {
            assert_eq!(definition.placeless, other[name].placeless, "{name}");
        }
    }

    #[test]
    fn only_what_changed_differs() {
        let base = read(SOURCE);
        let differing = |from: &str, to: &str| -> Vec<String> {
            let edited = read(&SOURCE.replace(from, to));
            let differs = |(name, is): (&String, &Definition)| {
                let was = base.get(name);
                was.is_none_or(|was| was.placeless != is.placeless)
                    .then(|| name.clone())
            };
            edited.iter().filter_map(differs).collect()
        };
        assert_eq!(differing("some text", "other txt"), ["app::text"]);
        assert_eq!(differing("\"three\"", "\"drei!\""), ["app::choose"]);
        assert_eq!(differing("1.25", "1.75"), ["app::float"]);
        assert_eq!(differing("3.5", "4.5"), ["app::float"]);
        assert_eq!(differing("\"b\"", "\"c\""), ["app::NAMES"]);
        assert_eq!(
            differing("AtomicU32::new(1)", "AtomicU32::new(2)"),
            ["app::COUNT"]
        );
        assert_eq!(differing("all[at] + 1", "all[at] + 2"), ["app::index"]);
    }

    #[test]
    fn alignment_counts_where_it_can_be_had() {
        const ALIGNED: &str = "
            use std::sync::atomic::AtomicU8;
            #[repr(align(4))] pub struct Wide(pub [u8; 64]);
            #[repr(align(4))] pub struct Cells(pub [AtomicU8; 64]);
            pub static WIDE: Wide = Wide([1; 64]);
            pub static CELLS: Cells = Cells([const { AtomicU8::new(1) }; 64]);
            pub fn wide() -> &'static Wide { &Wide([2; 64]) }
            pub fn other() -> u32 { 1 }
        ";
        let (base, edited) = (
            read(ALIGNED),
            read(&ALIGNED.replace("align(4)", "align(32)")),
        );
        let differs = |name: &str| base[name].placeless != edited[name].placeless;
        assert!(differs("app::WIDE") && differs("app::wide"));
        assert!(!differs("app::CELLS") && !differs("app::other"));
        let aligned =
            |of: &BTreeMap<String, Definition>| (of["app::WIDE"].align, of["app::CELLS"].align);
        assert_eq!(aligned(&base), (4, 4));
        assert_eq!(aligned(&edited), (32, 32));
    }

    #[test]
    fn references_are_followed_through_what_has_no_name() {
        let arguments = ["-Copt-level=0", "-Clink-dead-code", "--crate-name=app"];
        let object = Samples::new().object(SOURCE, &arguments);
        let mut names = Names::default();
        let found = definitions(&object, &mut names, &|_| false).unwrap();
        let named = |end: &str| {
            let mut all = found.iter();
            all.find(|definition| names.text(definition.name).ends_with(end))
                .unwrap()
        };
        assert!(named("6caller").references.contains(&named("5index").name));
        assert!(named("6choose").references.contains(&named("5NAMES").name));
    }
}
