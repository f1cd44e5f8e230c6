//! Which functions the threads of the process are in.

use crate::image::symbols::{BaseImage, Kind, PatchImage, SymbolTable};
use crate::plan::worlds::StackFunction;
use crate::run::stacks::{Stacks, Thread};

/// Code of the process by address.
#[derive(Debug, Default)]
pub struct CodeMap {
    stacks: Stacks,
    /// Start, end and name of each function of the workspace and of patches; sorted.
    functions: Vec<(u64, u64, String)>,
    is_sorted: bool,
}

/// What the threads are in.
#[derive(Debug, Default)]
pub struct OnStack {
    /// Each function once for each thread.
    pub functions: Vec<StackFunction>,
    /// Threads that could not be looked at.
    pub unknown: Vec<String>,
}

impl CodeMap {
    /// Knows the program's functions.
    #[must_use]
    pub fn new(image: &BaseImage, bias: u64) -> Self {
        let mut map = Self::default();
        map.add(&image.symbols, bias);
        map
    }

    /// Learns a patch's.
    pub fn learn(&mut self, image: &PatchImage, bias: u64) {
        self.add(&image.symbols, bias);
    }

    fn add(&mut self, symbols: &SymbolTable, bias: u64) {
        let functions = symbols
            .iter()
            .filter(|(_, symbol)| symbol.kind == Kind::Function);
        self.functions.extend(functions.map(|(name, symbol)| {
            let start = bias + symbol.address;
            (start, start + symbol.size.max(1), name.to_owned())
        }));
        self.is_sorted = false;
    }

    /// Looks at the stacks of a process.
    ///
    /// # Errors
    /// The process is gone or may not be read.
    pub fn look(&mut self, pid: u32) -> std::io::Result<OnStack> {
        if !self.is_sorted {
            self.functions.sort_unstable();
            self.is_sorted = true;
        }
        let threads = self.stacks.read(pid)?;
        let mut found = OnStack::default();
        for thread in &threads {
            if thread.name == AGENT {
                continue;
            }
            if thread.frames.is_empty() {
                found.unknown.push(thread.name.clone());
            }
            self.functions_of(thread, &mut found.functions);
        }
        Ok(found)
    }

    fn functions_of(&self, thread: &Thread, found: &mut Vec<StackFunction>) {
        for (depth, address) in thread.frames.iter().enumerate() {
            // A return address is behind the call.
            let address = if depth == 0 { *address } else { address - 1 };
            let behind = self
                .functions
                .partition_point(|(start, ..)| *start <= address);
            let Some((_, end, name)) = behind.checked_sub(1).map(|at| &self.functions[at]) else {
                continue;
            };
            if address < *end {
                let function = StackFunction {
                    thread: thread.name.clone(),
                    symbol: name.clone(),
                };
                if !found.contains(&function) {
                    found.push(function);
                }
            }
        }
    }
}

/// The agent's own thread, by what the kernel leaves of its name.
const AGENT: &str = "hotpatch-agent";
