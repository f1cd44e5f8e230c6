//! What has been loaded, and the step that makes it live.
//!
//! All checks of a request end before the first slot changes. Nothing here talks to the tool.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::elf::Segments;
use crate::error::Refusal;
use crate::future::RUNNING_OFFSET;
use crate::image::Image;
use crate::loader::{self, Library};
use crate::wire::{BuildId, Place, Redirect, Store, Target};

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

    /// Maps a patch and returns its load bias; no slot changes.
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

    /// Stores all the slots, or none if any of them is refused, and returns how many it stored.
    pub fn publish(&self, stores: &[Store]) -> Result<u32, Refusal> {
        let checked = stores
            .iter()
            .map(|store| self.check(store))
            .collect::<Result<Vec<_>, _>>()?;
        let mut count = 0;
        for (slot, body) in checked {
            // SAFETY: `Image::slot` vouches for aligned memory of this program that is mapped writable for good; by the
            // tool's word it is a slot, which is an `AtomicPtr` and which all threads access as one.
            let slot = unsafe { AtomicPtr::from_ptr(slot) };
            // Release: see "Orderings" in slot.rs.
            slot.store(body, Ordering::Release);
            count += 1;
        }
        Ok(count)
    }

    /// Leads all the cells to their functions, or none if any of them is refused, and returns how many it led.
    pub fn redirect(&self, redirects: &[Redirect]) -> Result<u32, Refusal> {
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
        for (cell, function) in checked {
            // SAFETY: `Segments::cell` vouches for aligned memory that is mapped writable for good; by the tool's word it
            // is a cell of the linker's stand-in, which code reads in one instruction and nobody but this thread writes.
            let cell = unsafe { AtomicPtr::from_ptr(cell) };
            // Release: see "Orderings" in slot.rs. A `jmp` through a cell is a load that x86-64 orders like an acquire.
            cell.store(function, Ordering::Release);
            count += 1;
        }
        Ok(count)
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

    /// For each slot of a hot `async` function how many of its futures have begun and not ended.
    pub fn count(&self, slots: &[u64]) -> Result<Vec<u64>, Refusal> {
        let count = |slot: &u64| {
            let number = slot.saturating_add(RUNNING_OFFSET as u64);
            let number = self.image.slot(number).ok_or(Refusal::NotASlot(*slot))?;
            // SAFETY: as in `publish`; by the tool's word the slot is a `FutureSlot`, whose number all threads access as
            // an atomic.
            let number = unsafe { AtomicUsize::from_ptr(number.cast()) };
            // Relaxed: see "Orderings" in future.rs.
            Ok(number.load(Ordering::Relaxed) as u64)
        };
        slots.iter().map(count).collect()
    }

    fn check(&self, store: &Store) -> Result<(*mut *mut (), *mut ()), Refusal> {
        let slot = self
            .image
            .slot(store.slot)
            .ok_or(Refusal::NotASlot(store.slot))?;
        let body = match store.target {
            Target::Base => std::ptr::null_mut(),
            Target::Patch { generation, offset } => self
                .patches
                .get(&generation)
                .ok_or(Refusal::GenerationUnknown(generation))?
                .segments
                .function(offset)
                .ok_or(Refusal::NotCode { generation, offset })?,
        };
        Ok((slot, body))
    }
}
