//! What has been loaded, and the step that makes it live.
//!
//! All checks of a request end before the first slot changes. Nothing here talks to the tool.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::error::Refusal;
use crate::image::Image;
use crate::loader::{self, Library};
use crate::wire::{BuildId, Store, Target};

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
                .function(offset)
                .ok_or(Refusal::NotCode { generation, offset })?,
        };
        Ok((slot, body))
    }
}
