//! What has been loaded, and the step that makes it live.
//!
//! All checks of a request end before the first cell changes. Nothing here talks to the tool.
//!
//! # Orderings
//!
//! A cell is eight bytes in which the code of a link finds the address of a function: [`Program::redirect`] is the only
//! one who writes them, from the agent's thread, with `Release`. Before the store it has mapped and relocated the library
//! that the address lies in.
//!
//! *Readers* are all threads, by a `jmp` or a `call` through the cell, or by loading a function pointer from it: loads
//! that x86-64 orders like an `Acquire`. Who sees the address sees the mapping and the relocations behind it.
//!
//! Nothing orders the stores of *two* cells against each other for a reader: a thread may see the new body of one
//! function and, for a moment, the old body of another. Both are code that stays mapped, because no patch is ever
//! unloaded.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::elf::Segments;
use crate::error::Refusal;
use crate::hooks;
use crate::image::Image;
use crate::loader::{self, Library};
use crate::wire::{BuildId, Place, Redirect};

/// The running program with its patches.
#[derive(Debug)]
pub struct Program {
    image: Image,
    patches: HashMap<u32, Library>,
}

impl Program {
    /// The base alone.
    pub fn new(image: Image) -> Program {
        Program {
            image,
            patches: HashMap::new(),
        }
    }

    /// The main executable.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Maps a patch and returns its load bias; no cell changes.
    pub fn load(&mut self, generation: u32, path: &Path, image: &BuildId) -> Result<u64, Refusal> {
        // Generation 0 is the base.
        if generation == 0 || self.patches.contains_key(&generation) {
            return Err(Refusal::GenerationTaken(generation));
        }
        // Two programs without a build id are not the same program.
        if image.0.is_empty() || *image != self.image.build_id {
            return Err(Refusal::ImageMismatch);
        }
        let library = loader::open(path, self.patches.values())?;
        let bias = library.bias;
        self.patches.insert(generation, library);
        Ok(bias)
    }

    /// Leads all the cells to their functions, or none if any of them is refused, and returns how many it led.
    /// With `at_checkpoint` that happens where the program lets patches go live, if it says where; `None` if it did not come
    /// there in time.
    pub fn redirect(
        &self,
        redirects: &[Redirect],
        at_checkpoint: bool,
    ) -> Result<Option<u32>, Refusal> {
        let checked = redirects
            .iter()
            .map(|redirect| {
                let Place { generation, offset } = redirect.cell;
                let cell = self.segments(generation)?.cell(offset);
                let cell = cell.ok_or(Refusal::NotASlot(offset))?;
                let Place { generation, offset } = redirect.function;
                let function = self.segments(generation)?.function(offset);
                Ok((
                    cell,
                    function.ok_or(Refusal::NotCode { generation, offset })?,
                ))
            })
            .collect::<Result<Vec<_>, Refusal>>()?;
        let mut count = 0;
        let mut publish = || {
            for (cell, function) in &checked {
                // SAFETY: `Segments::cell` vouches for aligned memory that is mapped writable for good; by the tool's word
                // it is a cell of the linker's stand-in, which code reads in one instruction and nobody but this thread
                // writes.
                let cell = unsafe { AtomicPtr::from_ptr(*cell) };
                // Release: see "Orderings" above.
                cell.store(*function, Ordering::Release);
                count += 1;
            }
        };
        let is_published = if at_checkpoint {
            hooks::publish(&mut publish)
        } else {
            publish();
            true
        };
        Ok(is_published.then_some(count))
    }

    /// The pointer to what lies at this address of the process, if it is data of the base or of a patch that the program may
    /// write for its whole life.
    pub fn writable(&self, address: u64, size: usize, align: usize) -> Option<*mut u8> {
        let patches = self.patches.values().map(|library| &library.segments);
        let mut all = [&self.image.segments].into_iter().chain(patches);
        all.find_map(|segments| segments.writable_at(address, size, align))
    }

    /// Where the base or a patch lies.
    fn segments(&self, generation: u32) -> Result<&Segments, Refusal> {
        match generation {
            0 => Ok(&self.image.segments),
            _ => self
                .patches
                .get(&generation)
                .map(|library| &library.segments)
                .ok_or(Refusal::GenerationUnknown(generation)),
        }
    }
}
