//! Which functions the threads of the process are in.

use crate::image::symbols::{BaseImage, Kind, PatchImage, SymbolTable};
use crate::object::v0;
use crate::plan::worlds::{OnStack, StackFunction};
use crate::run::stacks::{Coverage, Stacks, Thread};

/// Code of the process by address.
#[derive(Debug, Default)]
pub struct CodeMap {
    stacks: Stacks,
    /// Start, end and name of each function of the workspace and of patches; sorted.
    functions: Vec<(u64, u64, String)>,
    is_sorted: bool,
    /// The program's own `main`. A program that is held before it goes there with what it has by then.
    main: Option<StackFunction>,
}

impl CodeMap {
    /// Knows the functions of a program, the crate of which is called so.
    #[must_use]
    pub fn new(image: &BaseImage, bias: u64, krate: &str) -> Self {
        let mut map = Self::default();
        map.add(&image.symbols, bias);
        let mut functions = map.functions.iter();
        let main = functions.find(|(.., name)| v0::is_main_of(name, krate));
        map.main = main.map(|(start, _, name)| StackFunction {
            thread: "main".to_owned(),
            symbol: name.clone(),
            body: *start,
        });
        map
    }

    /// Learns a patch's.
    pub fn learn(&mut self, image: &PatchImage, bias: u64) {
        self.add(&image.symbols, bias);
    }

    /// Functions whose symbols have `root` in them are parts of these, and are called so: closures, each of the function
    /// that its path names.
    pub fn call(&mut self, root: &str, functions: &[String]) {
        let Some(first) = functions.first() else {
            return;
        };
        let paths = functions
            .iter()
            .map(|of| format!("{:#}", rustc_demangle::demangle(of)));
        let own: Vec<String> = paths
            .map(|path| format!("::{}::", path.rsplit("::").next().unwrap_or_default()))
            .collect();
        let parts = self
            .functions
            .iter_mut()
            .filter(|(.., name)| name.contains(root));
        for (.., name) in parts {
            let path = format!("{:#}", rustc_demangle::demangle(name));
            let around = own.iter().position(|own| path.contains(own));
            around.map_or(first, |at| &functions[at]).clone_into(name);
        }
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

    /// Looks at the stacks of a process. What it may not read, or cannot find any more, is told as unseen.
    pub fn look(&mut self, pid: u32) -> OnStack {
        self.sort();
        let mut found = OnStack::default();
        let threads = self.stacks.read(pid).unwrap_or_else(|error| {
            let what = format!("the stacks of the program, which cannot be read: {error}");
            found.unseen.push(what);
            Vec::new()
        });
        for thread in &threads {
            if thread.name == AGENT {
                continue;
            }
            found.unseen.extend(unseen(thread));
            self.functions_of(thread, &mut found.functions);
        }
        // `main` goes on until the program ends, and where it was not seen it is yet to begin.
        if let Some(main) = &self.main
            && !found
                .functions
                .iter()
                .any(|function| function.body == main.body)
        {
            found.functions.push(main.clone());
        }
        found
    }

    /// Looks at the stack of one thread; nothing if it has ended or cannot be read.
    pub fn look_at(&mut self, pid: u32, id: u32) -> Option<Looked> {
        self.sort();
        let thread = self.stacks.read_one(pid, id).ok().flatten()?;
        let functions = self.bodies_of(&thread);
        let functions = functions.map(|(body, name)| (body, name.to_owned()));
        Some(Looked {
            functions: functions.collect(),
            thread: thread.name,
        })
    }

    fn sort(&mut self) {
        if !self.is_sorted {
            self.functions.sort_unstable();
            self.is_sorted = true;
        }
    }

    fn functions_of(&self, thread: &Thread, found: &mut Vec<StackFunction>) {
        for (body, symbol) in self.bodies_of(thread) {
            let function = StackFunction {
                thread: thread.name.clone(),
                symbol: symbol.to_owned(),
                body,
            };
            if !found.contains(&function) {
                found.push(function);
            }
        }
    }

    /// The bodies that a thread is in, innermost first, each by its address and with its name.
    fn bodies_of(&self, thread: &Thread) -> impl Iterator<Item = (u64, &str)> {
        thread
            .frames
            .iter()
            .enumerate()
            .filter_map(|(depth, address)| {
                // A return address is behind the call.
                let address = if depth == 0 { *address } else { address - 1 };
                let behind = self
                    .functions
                    .partition_point(|(start, ..)| *start <= address);
                let (start, end, name) = &self.functions[behind.checked_sub(1)?];
                (address < *end).then_some((*start, name.as_str()))
            })
    }
}

/// One thread, as it was seen.
#[derive(Debug)]
pub struct Looked {
    /// Its name.
    pub thread: String,
    /// The bodies that it is in, innermost first, each by its address and with its symbol.
    pub functions: Vec<(u64, String)>,
}

/// What may be on the stack of a thread and was not found, in words.
fn unseen(thread: &Thread) -> Option<String> {
    if thread.coverage != Coverage::Partial {
        return None;
    }
    let part = match thread.frames.is_empty() {
        true => "which cannot be read",
        false => "of which only a part can be read",
    };
    Some(format!("the stack of thread `{}`, {part}", thread.name))
}

/// The agent's own thread, by what the kernel leaves of its name.
const AGENT: &str = "hotpatch-agent";

#[cfg(test)]
mod tests {
    use super::{CodeMap, unseen};
    use crate::run::stacks::{Coverage, Thread};

    #[test]
    fn stacks_that_cannot_be_read_are_told() {
        // More than Linux gives out, see `PID_MAX_LIMIT` in its `include/linux/threads.h`.
        let on_stack = CodeMap::default().look(1 << 23);
        assert!(on_stack.functions.is_empty());
        assert!(
            on_stack.unseen[0].starts_with("the stacks of the program, which cannot be read: "),
            "{:?}",
            on_stack.unseen
        );
    }

    #[test]
    fn a_thread_of_which_frames_may_be_missing_is_told() {
        let thread = |frames: &[u64], coverage| Thread {
            id: 1,
            name: "deep".to_owned(),
            frames: frames.to_vec(),
            coverage,
        };
        assert_eq!(unseen(&thread(&[1], Coverage::Exact)), None);
        assert_eq!(unseen(&thread(&[1, 2], Coverage::Searched)), None);
        let part = "the stack of thread `deep`, of which only a part can be read";
        assert_eq!(
            unseen(&thread(&[1, 2], Coverage::Partial)).as_deref(),
            Some(part)
        );
        let nothing = "the stack of thread `deep`, which cannot be read";
        assert_eq!(
            unseen(&thread(&[], Coverage::Partial)).as_deref(),
            Some(nothing)
        );
    }
}
