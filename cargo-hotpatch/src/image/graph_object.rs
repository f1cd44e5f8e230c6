//! The nodes and edges of a single object file, before names are shared between objects.
//!
//! Every range of a loaded section belongs to a node: the symbol that starts it, or the section itself where
//! it has no symbol (constants and vtables of optimised or anonymous data). Unwinding tables, debug
//! information and the table of pairs describe code without calling it and make no edges.
//!
//! Code that takes a function's address may have put it anywhere: besides the edge to the function there is then
//! one from a node of data that stands for all such pointers ([`POINTERS`]).

use crate::image::elf::{self, Elf, ElfError, Relocation, Symbols, r};
use crate::image::graph::NodeKind;
use crate::image::object_file::{PAIRS_SECTION, SymbolsByPlace, is_table_for_unwinding, kind_of};
use crate::image::symbols::Kind;

/// Who can refer to a node by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linkage {
    /// Any object.
    Global,
    /// This object only.
    Local,
}

/// One node, its name borrowed from the object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ObjectNode<'data> {
    pub(crate) name: &'data str,
    pub(crate) kind: NodeKind,
    pub(crate) linkage: Linkage,
}

/// The part of the call graph that one object holds.
#[derive(Debug, Default)]
pub(crate) struct ObjectGraph<'data> {
    pub(crate) nodes: Vec<ObjectNode<'data>>,
    /// Pairs of indices in `nodes`, sorted, without duplicates.
    pub(crate) edges: Vec<(u32, u32)>,
}

const NO_NODE: u32 = u32::MAX;
/// The name of the node that refers to every function whose address an object's code takes.
const POINTERS: &str = ".pointers";

impl<'data> ObjectGraph<'data> {
    pub(crate) fn read(data: &'data [u8]) -> Result<Self, ElfError> {
        let elf = Elf::parse(data)?;
        let symbols = elf.symbols()?;
        let mut reader = Reader {
            by_place: SymbolsByPlace::new(&elf, &symbols),
            of_symbol: vec![NO_NODE; symbols.len()],
            of_section: vec![NO_NODE; elf.sections.len()],
            pointers: NO_NODE,
            graph: ObjectGraph::default(),
            elf: &elf,
            symbols,
        };
        reader.add_symbols();
        reader.add_aliases();
        for (target, section) in elf.relocation_sections() {
            if makes_edges(&elf.sections[target]) {
                reader.add_section(target as u32, section)?;
            }
        }
        reader.graph.edges.sort_unstable();
        reader.graph.edges.dedup();
        Ok(reader.graph)
    }
}

fn makes_edges(section: &elf::Section<'_>) -> bool {
    section.is_loaded() && section.name != PAIRS_SECTION && !is_table_for_unwinding(section.name)
}

struct Reader<'data, 'elf> {
    elf: &'elf Elf<'data>,
    symbols: Symbols<'data>,
    by_place: SymbolsByPlace,
    of_symbol: Vec<u32>,
    of_section: Vec<u32>,
    /// The node [`POINTERS`], once there is one.
    pointers: u32,
    graph: ObjectGraph<'data>,
}

/// The instruction with its operand at `place` calls it or jumps there, or loads what is called soon after (Intel SDM,
/// volume 2: `CALL`, `JMP`, `Jcc`, `MOV`).
fn calls(code: &[u8], place: u64) -> bool {
    let Ok(place) = usize::try_from(place) else {
        return false;
    };
    let before = |back: usize| place.checked_sub(back).and_then(|at| code.get(at)).copied();
    match (before(3), before(2), before(1)) {
        (_, _, Some(0xe8 | 0xe9)) | (_, Some(0xff), Some(0x15 | 0x25)) => true,
        // `mov symbol@GOTPCREL(%rip),%reg`
        (Some(rex @ (0x48 | 0x4c)), Some(0x8b), Some(operands)) if operands & 0xc7 == 0x05 => {
            let rest = code.get(place + 4..).unwrap_or_default();
            is_called_next(rest, rex == 0x4c, (operands >> 3) & 7)
        }
        (_, Some(0x0f), Some(condition)) => condition & 0xf0 == 0x80,
        _ => false,
    }
}

/// Code that is not optimised loads a function's address into a register, passes arguments and calls the register. In
/// between nothing moves the register elsewhere or loads it anew: that is how an address gets away.
fn is_called_next(code: &[u8], high: bool, register: u8) -> bool {
    /// Arguments take no more than this.
    const FAR: usize = 160;
    let code = &code[..code.len().min(FAR)];
    let call = code
        .windows(2)
        .position(|two| two == [0xff, 0xd0 | register]);
    let Some(call) = call else {
        return false;
    };
    let moves = code[..call].windows(3).any(|three| {
        let [rex, opcode, operands] = [three[0], three[1], three[2]];
        let of_register =
            rex & 0xfb == 0x48 && (rex & 4 != 0) == high && (operands >> 3) & 7 == register;
        matches!(opcode, 0x89 | 0x8b | 0x8d) && of_register
    });
    !moves
}

impl<'data> Reader<'data, '_> {
    fn add_symbols(&mut self) {
        for (index, raw) in self.symbols.iter().enumerate() {
            if matches!(raw.kind, elf::STT_SECTION | elf::STT_FILE) {
                continue;
            }
            let name = self.symbols.name(&raw);
            let kind = if raw.section == elf::SHN_UNDEF {
                if name.is_empty() {
                    continue;
                }
                NodeKind::Undefined
            } else {
                match kind_of(self.elf, &raw) {
                    Some(Kind::Function) => NodeKind::Function,
                    Some(Kind::Data) => NodeKind::Data,
                    Some(Kind::Tls) => NodeKind::Tls,
                    None => continue,
                }
            };
            let linkage = if raw.binding == elf::STB_LOCAL {
                Linkage::Local
            } else {
                Linkage::Global
            };
            self.of_symbol[index] = self.add_node(ObjectNode {
                name,
                kind,
                linkage,
            });
        }
    }

    fn add_node(&mut self, node: ObjectNode<'data>) -> u32 {
        self.graph.nodes.push(node);
        self.graph.nodes.len() as u32 - 1
    }

    /// Several names for one place: a use of one is a use of all.
    fn add_aliases(&mut self) {
        for window in self.by_place.all().windows(2) {
            if (window[0].0, window[0].1) == (window[1].0, window[1].1) {
                let [from, to] =
                    [window[0].2, window[1].2].map(|symbol| self.of_symbol[symbol as usize]);
                self.graph.edges.extend([(from, to), (to, from)]);
            }
        }
    }

    fn add_section(&mut self, target: u32, section: &elf::Section<'data>) -> Result<(), ElfError> {
        let of_code = &self.elf.sections[target as usize];
        let code = if of_code.is_code() {
            self.elf.bytes(of_code)?
        } else {
            &[]
        };
        for relocation in self.elf.relocations(section)? {
            if let Some(to) = self.referent(&relocation) {
                let is_code = self.graph.nodes[to as usize].kind == NodeKind::Function;
                if code.is_empty() && relocation.kind == r::PC32 && is_code {
                    // A jump table, which leads nowhere but into its own function. Pointers are absolute.
                    continue;
                }
                let from = self.node_at(target, relocation.place);
                if from != to {
                    self.graph.edges.push((from, to));
                }
                if !code.is_empty() && self.may_be_called(to) && !calls(code, relocation.place) {
                    let pointers = self.pointers();
                    self.graph.edges.push((pointers, to));
                }
            }
        }
        Ok(())
    }

    /// A function whose pointers last: those to the standard library's formatting live as long as a `format!`, and those
    /// to futures of hot functions are counted where they are.
    fn may_be_called(&self, node: u32) -> bool {
        let node = &self.graph.nodes[node as usize];
        let is_code = matches!(node.kind, NodeKind::Function | NodeKind::Undefined);
        let is_of =
            |krate: &str, module: &str| node.name.contains(krate) && node.name.contains(module);
        is_code && !is_of("4core", "3fmt") && !is_of("hotpatch_live", "6future")
    }

    fn pointers(&mut self) -> u32 {
        if self.pointers == NO_NODE {
            self.pointers = self.add_node(ObjectNode {
                name: POINTERS,
                kind: NodeKind::Data,
                linkage: Linkage::Local,
            });
        }
        self.pointers
    }

    fn referent(&mut self, relocation: &Relocation) -> Option<u32> {
        if relocation.kind == r::NONE {
            return None;
        }
        let raw = self.symbols.get(relocation.symbol as usize)?;
        if raw.kind != elf::STT_SECTION {
            return Some(self.of_symbol[relocation.symbol as usize])
                .filter(|node| *node != NO_NODE);
        }
        if !self
            .elf
            .sections
            .get(raw.section as usize)
            .is_some_and(makes_edges)
        {
            return None;
        }
        // A pc-relative operand is counted from the end of its field.
        let bias = if matches!(relocation.kind, r::PC32 | r::PLT32) {
            4
        } else {
            0
        };
        let offset = raw
            .value
            .saturating_add_signed(relocation.addend.saturating_add(bias));
        Some(self.node_at(raw.section, offset))
    }

    fn node_at(&mut self, section: u32, offset: u64) -> u32 {
        if let Some(symbol) = self.by_place.at(section, offset) {
            return self.of_symbol[symbol as usize];
        }
        let known = self.of_section[section as usize];
        if known != NO_NODE {
            return known;
        }
        let name = self.elf.sections[section as usize].name;
        let kind = if self.elf.sections[section as usize].is_code() {
            NodeKind::Function
        } else {
            NodeKind::Data
        };
        let node = self.add_node(ObjectNode {
            name,
            kind,
            linkage: Linkage::Local,
        });
        self.of_section[section as usize] = node;
        node
    }
}
